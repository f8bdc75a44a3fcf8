package main

import (
	"context"
	"io"
	"sync"

	"github.com/klauspost/compress/s2"

	"github.com/barman-go/barman/sdk/compress"
	"github.com/barman-go/barman/sdk/plugin"
)

func main() { plugin.Serve(definition()) }

func definition() plugin.Definition {
	return plugin.Definition{
		Name: "snappy", Version: "1.0.0", Summary: "Snappy in its framing format, as fast as lz4", License: "Apache-2.0",
		Compress: func(context.Context, plugin.Env) (compress.Compressor, error) { return new(coder), nil },
	}
}

// maxBlock is the format's limit of the plain bytes in a chunk.
const maxBlock = 64 << 10

// coder keeps encoders and decoders for the next file: they hold blocks and tables.
type coder struct {
	encoders, decoders sync.Pool
}

// Formats describes Snappy's framing format.
func (*coder) Formats() []compress.Format {
	return []compress.Format{{
		ID: "snappy", Magic: []byte("\xff\x06\x00\x00sNaPpY"), Extension: ".sz", CanCompress: true, CanDecompress: true,
	}}
}

// Compress writes one stream, between its marks.
func (c *coder) Compress(_ context.Context, _ compress.Options, dst io.Writer, src io.Reader) error {
	z, ok := c.encoders.Get().(*s2.Writer)
	if !ok {
		z = s2.NewWriter(nil, s2.WriterSnappyCompat(), s2.WriterBlockSize(maxBlock), s2.WriterConcurrency(1))
	}
	defer c.encoders.Put(z)
	z.Reset(dst)
	if err := z.AddSkippableBlock(markChunk, []byte(markBegin)); err != nil {
		return err
	}
	if _, err := io.Copy(z, src); err != nil {
		return err
	}
	if err := z.AddSkippableBlock(markChunk, []byte(markEnd)); err != nil {
		return err
	}
	return z.Close()
}

// Decompress reads all streams up to the end of src.
func (c *coder) Decompress(_ context.Context, _ compress.Options, dst io.Writer, src io.Reader) error {
	d, ok := c.decoders.Get().(*decoder)
	if !ok {
		d = newDecoder()
	}
	defer c.decoders.Put(d)
	d.begin(src)
	n, err := io.Copy(dst, d.Reader)
	if err != nil {
		return err
	}
	return d.end(n)
}
