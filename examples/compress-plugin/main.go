// Barman-compress-flate is an example of a compression plugin: Deflate from Go's standard library, in a file format of its
// own that detects every damage.
//
//	"FLATE1" | deflate stream | CRC-32 of the plain bytes, big endian
package main

import (
	"bufio"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"github.com/barman-go/barman/sdk/compress"
	"github.com/barman-go/barman/sdk/plugin"
)

func main() {
	plugin.Serve(plugin.Definition{
		Name: "flate", Version: "1.0.0", Summary: "Deflate with a checksum", License: "Apache-2.0",
		Compress: func(context.Context, plugin.Env) (compress.Compressor, error) { return coder{}, nil },
	})
}

const magic = "FLATE1"

var errDamaged = errors.New("the file is damaged")

type coder struct{}

func (coder) Formats() []compress.Format {
	return []compress.Format{{
		ID: "flate", Magic: []byte(magic), Extension: ".flate", CanCompress: true, CanDecompress: true,
		Levels: &compress.Levels{Min: 1, Max: 9, Low: 1, Medium: 6, High: 9},
	}}
}

func (coder) Compress(_ context.Context, o compress.Options, dst io.Writer, src io.Reader) error {
	if _, err := io.WriteString(dst, magic); err != nil {
		return err
	}
	z, err := flate.NewWriter(dst, o.Level)
	if err != nil {
		return err
	}
	sum := crc32.NewIEEE()
	if _, err := io.Copy(io.MultiWriter(z, sum), src); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return binary.Write(dst, binary.BigEndian, sum.Sum32())
}

func (coder) Decompress(_ context.Context, _ compress.Options, dst io.Writer, src io.Reader) error {
	in := bufio.NewReader(src) // flate reads no byte too many from a bufio.Reader
	start := make([]byte, len(magic))
	if _, err := io.ReadFull(in, start); err != nil || string(start) != magic {
		return errDamaged
	}
	sum := crc32.NewIEEE()
	if _, err := io.Copy(io.MultiWriter(dst, sum), flate.NewReader(in)); err != nil {
		return err
	}
	trailer, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	if len(trailer) != 4 || binary.BigEndian.Uint32(trailer) != sum.Sum32() {
		return errDamaged
	}
	return nil
}
