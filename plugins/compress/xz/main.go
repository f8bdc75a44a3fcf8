package main

import (
	"bytes"
	"context"
	"io"

	"github.com/ulikunitz/xz"

	"github.com/barman-go/barman/sdk/compress"
	"github.com/barman-go/barman/sdk/plugin"
)

func main() { plugin.Serve(definition()) }

func definition() plugin.Definition {
	return plugin.Definition{
		Name: "xz", Version: "1.0.0", Summary: "xz files, the smallest and slowest", License: "Apache-2.0",
		Compress: func(context.Context, plugin.Env) (compress.Compressor, error) { return coder{}, nil },
	}
}

const mib = 1 << 20

// dictionaries are the sizes that xz chooses for its levels, in bytes. Beyond 16 MiB a segment of the usual size has nothing
// to find, and every decoder must set that much memory aside.
var dictionaries = [10]int{1: 1 * mib, 2: 2 * mib, 3: 4 * mib, 4: 4 * mib, 5: 8 * mib, 6: 8 * mib, 7: 16 * mib, 8: 16 * mib, 9: 16 * mib}

// coder keeps nothing between files: the library cannot use an encoder again.
type coder struct{}

// Formats describes xz; the levels are those of Barman's compression_level.
func (coder) Formats() []compress.Format {
	return []compress.Format{{
		ID: "xz", Magic: []byte{0xfd, '7', 'z', 'X', 'Z', 0x00}, Extension: ".xz", CanCompress: true, CanDecompress: true,
		Levels: &compress.Levels{Min: 1, Max: 9, Low: 1, Medium: 3, High: 5},
	}}
}

// Compress writes one stream.
func (coder) Compress(_ context.Context, o compress.Options, dst io.Writer, src io.Reader) error {
	level := min(max(o.Level, 1), 9)
	z, err := xz.WriterConfig{DictCap: dictionaries[level], CheckSum: xz.CRC64}.NewWriter(dst)
	if err != nil {
		return err
	}
	if _, err := io.Copy(z, src); err != nil {
		return err
	}
	return z.Close()
}

// Decompress reads all streams up to the end of src.
func (coder) Decompress(_ context.Context, _ compress.Options, dst io.Writer, src io.Reader) error {
	in := &footerReader{r: src}
	z, err := xz.NewReader(in)
	if err != nil {
		return err
	}
	if _, err := io.Copy(dst, z); err != nil {
		return err
	}
	if in.end != [2]byte{'Y', 'Z'} {
		// The library takes a file that was cut in the header of a block for one that ends there.
		return io.ErrUnexpectedEOF
	}
	return nil
}

// footerReader knows how what it has read ends: the footer of a stream ends with YZ, and zeros may follow (the .xz file format,
// sections 2.1.2 and 2.2).
type footerReader struct {
	r io.Reader
	// end are the last byte that is not zero and the one before it; last is the last byte.
	end  [2]byte
	last byte
}

func (f *footerReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if n == 0 {
		return n, err
	}
	if trimmed := bytes.TrimRight(p[:n], "\x00"); len(trimmed) > 1 {
		f.end = [2]byte(trimmed[len(trimmed)-2:])
	} else if len(trimmed) == 1 {
		f.end = [2]byte{f.last, trimmed[0]}
	}
	f.last = p[n-1]
	return n, err
}
