package archive

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/sdk/compress"
)

// Decode writes the plain content of a file in the given format to dest, which must not exist. Content that cannot be
// decoded is a *DamagedError.
//
// What the plugin of the format cannot decode, or of which it makes nothing that looks like WAL, goes to LastResort. Python
// Barman asks a custom_decompression_filter first, whatever the format. The outcome is the same where the filter is right:
// it may do more than the magic says, such as removing a cipher below gzip, or know a dictionary of zstd. Where it is
// wrong, because it passes on what it does not know (zstd -dcf), its output is not taken for WAL.
func (c *Codecs) Decode(ctx context.Context, path, format, dest string) error {
	err := c.decodeBy(ctx, format, path, dest)
	second := c.LastResort
	if second == "" || err == nil && fileLooksPlain(dest) {
		return err
	}
	if format == second {
		// The filter's magic may be one of a known format.
		head, _, headErr := readHead(path)
		if headErr != nil {
			return headErr
		}
		second = catalog.IdentifyFormat(head)
	}
	if second == "" || ctx.Err() != nil {
		return err
	}
	other := fsx.TempPath(dest)
	if c.decodeBy(ctx, second, path, other) == nil && fileLooksPlain(other) {
		return os.Rename(other, dest)
	}
	if removeErr := os.Remove(other); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
		return removeErr
	}
	return err
}

// decodeBy decodes with the plugin of a format.
func (c *Codecs) decodeBy(ctx context.Context, format, path, dest string) error {
	p, id, err := c.decoder(ctx, format)
	if err != nil {
		return err
	}
	req := compress.FileRequest{Source: path, Destination: dest, Options: compress.Options{Format: id}}
	_, err = p.DecompressFile(ctx, req)
	if err != nil && aboutContent(ctx, err) {
		return &DamagedError{Path: path, Format: format, Err: err}
	}
	return err
}

// fileLooksPlain is looksPlain of a file; one that cannot be read does not.
func fileLooksPlain(path string) bool {
	head, _, err := readHead(path)
	return err == nil && looksPlain(head)
}
