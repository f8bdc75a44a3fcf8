package main

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"

	"github.com/barman-go/barman/core/fsx"
)

// copyBuffer is how much is copied at once.
const copyBuffer = 256 << 10

// formatReader decodes one format, which files that begin with magic are in.
type formatReader struct {
	name, magic string
	reader      func(io.Reader) (io.Reader, error)
}

// formats are the compressions that Barman stores and sends. WAL and history files begin with none of their magics.
var formats = []formatReader{
	{"bzip2", "BZh", func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil }},
	{"gzip", "\x1f\x8b\x08", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
	{"lz4", "\x04\x22\x4d\x18", func(r io.Reader) (io.Reader, error) { return lz4.NewReader(r), nil }},
	{"snappy", "\xff\x06\x00\x00sNaPpY", func(r io.Reader) (io.Reader, error) { return s2.NewReader(r), nil }},
	{"xz", "\xfd7zXZ\x00", func(r io.Reader) (io.Reader, error) { return xz.NewReader(r) }},
	{"zstd", "\x28\xb5\x2f\xfd", func(r io.Reader) (io.Reader, error) {
		// One goroutine leaves nothing behind when decoding ends early.
		return zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
	}},
}

// headSize is how many bytes it takes to recognise a format.
const headSize = 10

// decode copies r to w, decompressed if it is compressed, up to the end of both.
func decode(w io.Writer, r io.Reader) error {
	in := bufio.NewReaderSize(r, copyBuffer)
	head, err := in.Peek(headSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	plain := io.Reader(struct{ io.Reader }{in})
	for _, f := range formats {
		if !bytes.HasPrefix(head, []byte(f.magic)) {
			continue
		}
		if plain, err = f.reader(in); err != nil {
			return fmt.Errorf("decode as %s: %w", f.name, err)
		}
		plain = struct{ io.Reader }{plain}
		break
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{w}, plain, make([]byte, copyBuffer))
	return err
}

// decodeInPlace decodes a file that is compressed, and leaves others alone.
func decodeInPlace(path string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
	head := make([]byte, headSize)
	n, err := in.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	compressed := false
	for _, f := range formats {
		compressed = compressed || bytes.HasPrefix(head[:n], []byte(f.magic))
	}
	if !compressed {
		return nil
	}
	out, err := fsx.CreateTemp(path, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(out.Name()) //nolint:errcheck // gone after the rename
	if err := errors.Join(decode(out, in), out.Close()); err != nil {
		return err
	}
	return os.Rename(out.Name(), path)
}
