package main

import (
	"context"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"

	"github.com/barman-go/barman/sdk/compress"
	"github.com/barman-go/barman/sdk/plugin"
)

func main() { plugin.Serve(definition()) }

func definition() plugin.Definition {
	return plugin.Definition{
		Name: plugin.CalledAs(plugin.TypeCompress, "gzip", "pigz", "pygzip"), Version: "1.0.0",
		Summary: "gzip files, several times as fast as zlib", License: "Apache-2.0",
		Compress: func(context.Context, plugin.Env) (compress.Compressor, error) { return newCoder(), nil },
	}
}

// effort maps gzip's levels 1–9 to those of the library, whose scale differs. Measured on WAL of pgbench, the size is
// that of zlib at the same number, ±4 %, in a fifth of the time. The library's 9 is slower and larger than its 8, and its
// 1 is larger than its 2 without being faster.
var effort = [10]int{1: 2, 2: 3, 3: 4, 4: 5, 5: 6, 6: 6, 7: 7, 8: 8, 9: 8}

// coder keeps encoders and decoders for the next file: each holds over a megabyte of tables.
type coder struct {
	encoders [10]sync.Pool
	decoders sync.Pool
}

func newCoder() *coder { return &coder{} }

// Formats describes gzip; the levels are those of Barman's compression_level.
func (*coder) Formats() []compress.Format {
	return []compress.Format{{
		ID: "gzip", Magic: []byte{0x1f, 0x8b, 0x08}, Extension: ".gz", CanCompress: true, CanDecompress: true,
		Levels: &compress.Levels{Min: 1, Max: 9, Low: 1, Medium: 6, High: 9},
	}}
}

// Compress writes one gzip member.
func (c *coder) Compress(_ context.Context, o compress.Options, dst io.Writer, src io.Reader) error {
	level := min(max(o.Level, 1), 9)
	z, ok := c.encoders[level].Get().(*gzip.Writer)
	if !ok {
		var err error
		if z, err = gzip.NewWriterLevel(nil, effort[level]); err != nil {
			return err
		}
	}
	defer c.encoders[level].Put(z)
	z.Reset(dst)
	if _, err := io.Copy(z, src); err != nil {
		return err
	}
	return z.Close()
}

// Decompress reads all members up to the end of src.
func (c *coder) Decompress(_ context.Context, _ compress.Options, dst io.Writer, src io.Reader) error {
	z, ok := c.decoders.Get().(*gzip.Reader)
	if !ok {
		z = new(gzip.Reader)
	}
	defer c.decoders.Put(z)
	if err := z.Reset(src); err != nil {
		return err
	}
	_, err := io.Copy(dst, z)
	return err
}
