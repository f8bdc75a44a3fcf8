package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"github.com/barman-go/barman/sdk/compress"
)

// magic starts a file of format "fault": magic, plain bytes, and their CRC-32 and length at the end.
const magic = "FLT1"

type compressor struct{ fault fault }

func (c *compressor) Formats() []compress.Format {
	return []compress.Format{{
		ID: "fault", Magic: []byte(magic), Extension: ".flt", CanCompress: true, CanDecompress: true,
		Levels: &compress.Levels{Min: 1, Max: 3, Low: 1, Medium: 2, High: 3},
	}}
}

func (c *compressor) Compress(ctx context.Context, _ compress.Options, dst io.Writer, src io.Reader) error {
	if _, err := io.WriteString(dst, magic); err != nil {
		return err
	}
	crc := crc32.NewIEEE()
	n, err := io.Copy(io.MultiWriter(dst, crc), src)
	if err != nil {
		return err
	}
	if err := c.fault.commit(ctx); err != nil {
		return err
	}
	var trailer [12]byte
	binary.BigEndian.PutUint32(trailer[:], crc.Sum32())
	binary.BigEndian.PutUint64(trailer[4:], uint64(n))
	_, err = dst.Write(trailer[:])
	return err
}

func (c *compressor) Decompress(ctx context.Context, _ compress.Options, dst io.Writer, src io.Reader) error {
	if err := c.fault.commit(ctx); err != nil {
		return err
	}
	all, err := io.ReadAll(src)
	if err != nil {
		return err
	}
	if len(all) < len(magic)+12 || !bytes.HasPrefix(all, []byte(magic)) {
		return io.ErrUnexpectedEOF
	}
	plain, trailer := all[len(magic):len(all)-12], all[len(all)-12:]
	if binary.BigEndian.Uint64(trailer[4:]) != uint64(len(plain)) ||
		binary.BigEndian.Uint32(trailer) != crc32.ChecksumIEEE(plain) {
		return errors.New("the checksum does not match")
	}
	_, err = dst.Write(plain)
	return err
}
