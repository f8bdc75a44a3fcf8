package main

import (
	stdbzip2 "compress/bzip2"
	"context"
	"io"
	"sync"

	"github.com/dsnet/compress/bzip2"

	"github.com/barman-go/barman/sdk/compress"
	"github.com/barman-go/barman/sdk/plugin"
)

func main() { plugin.Serve(definition()) }

func definition() plugin.Definition {
	return plugin.Definition{
		Name: plugin.CalledAs(plugin.TypeCompress, "bzip2", "pybzip2"), Version: "1.0.0",
		Summary: "bzip2 files, smaller and slower than gzip", License: "Apache-2.0",
		Compress: func(context.Context, plugin.Env) (compress.Compressor, error) { return new(coder), nil },
	}
}

// maxLevel is the largest block size, in units of 100 kB.
const maxLevel = 9

// coder keeps encoders for the next file: each holds megabytes of blocks and suffixes.
type coder struct {
	encoders [maxLevel + 1]sync.Pool
}

// Formats describes bzip2; the levels are those of Barman's compression_level.
func (*coder) Formats() []compress.Format {
	return []compress.Format{{
		ID: "bzip2", Magic: []byte("BZh"), Extension: ".bz2", CanCompress: true, CanDecompress: true,
		Levels: &compress.Levels{Min: 1, Max: maxLevel, Low: 1, Medium: 5, High: 9},
	}}
}

// Compress writes one stream.
func (c *coder) Compress(_ context.Context, o compress.Options, dst io.Writer, src io.Reader) error {
	level := min(max(o.Level, 1), maxLevel)
	z, ok := c.encoders[level].Get().(*bzip2.Writer)
	if !ok {
		var err error
		if z, err = bzip2.NewWriter(nil, &bzip2.WriterConfig{Level: level}); err != nil {
			return err
		}
	}
	defer c.encoders[level].Put(z)
	if err := z.Reset(dst); err != nil {
		return err
	}
	if _, err := io.Copy(z, src); err != nil {
		return err
	}
	return z.Close()
}

// Decompress reads all streams up to the end of src.
func (*coder) Decompress(_ context.Context, _ compress.Options, dst io.Writer, src io.Reader) error {
	_, err := io.Copy(dst, stdbzip2.NewReader(src))
	return err
}
