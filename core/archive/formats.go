package archive

import (
	"bytes"
	"context"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/wal"
)

// Magic recognises a format by the first bytes of a file.
type Magic struct {
	// Format is the name recorded in the WAL index, and that of the plugin.
	Format string
	Bytes  []byte
}

// Format tells which format a delivered file that begins with head is in; "" means that it is not compressed, or in a
// way that nothing here recognises. Files that plugins wrote years ago are recognised as long as any installed plugin
// knows their magic.
func (c *Codecs) Format(ctx context.Context, head []byte) (string, error) {
	if known := c.commonFormat(head); known != "" {
		return known, nil
	}
	if looksPlain(head) {
		return "", nil
	}
	for _, name := range c.allPlugins() {
		formats, err := c.formats(ctx, name)
		if err != nil && name == c.Compression {
			return "", err // another one may be broken and is none of our business
		}
		for _, f := range formats {
			start := int(f.MagicOffset)
			if len(f.Magic) > 0 && len(head) >= start && bytes.HasPrefix(head[start:], f.Magic) {
				return f.ID, nil
			}
		}
	}
	return "", nil
}

// StoredFormat is Format for a file in the archive. There, what is neither plain nor recognised was written by the
// configured compressor, if its format has no magic; as with custom_compression_filter and no magic.
func (c *Codecs) StoredFormat(ctx context.Context, head []byte) (string, error) {
	format, err := c.Format(ctx, head)
	if format != "" || err != nil || looksPlain(head) || catalog.IsPGPEncrypted(head) || !c.compresses() {
		return format, err
	}
	formats, err := c.formats(ctx, c.Compression)
	for _, f := range formats {
		if len(f.Magic) == 0 && f.CanDecompress {
			return f.ID, nil
		}
	}
	return "", err
}

// FormatOf is StoredFormat of a file.
func (c *Codecs) FormatOf(ctx context.Context, path string) (string, error) {
	head, _, err := readHead(path)
	if err != nil {
		return "", err
	}
	return c.StoredFormat(ctx, head)
}

// commonFormat recognises formats without asking a plugin. Barman compares magics in the order of the formats' names, and
// that of a custom filter only while it is the configured compression: then it comes after bzip2's and before gzip's. Here
// it is known afterwards too, so that a change of the setting leaves no file behind.
func (c *Codecs) commonFormat(head []byte) string {
	known := catalog.IdentifyFormat(head)
	for _, m := range c.Magics {
		if bytes.HasPrefix(head, m.Bytes) && (known == "" || m.Format == c.Compression && m.Format < known) {
			return m.Format
		}
	}
	return known
}

// looksPlain tells a WAL segment, a text such as a history file, and a partial segment that was not written to yet.
func looksPlain(head []byte) bool {
	if _, err := wal.DecodePageHeader(head); err == nil {
		return true
	}
	text, zero := true, true
	for _, b := range head {
		text = text && (b >= ' ' && b != 0x7f || b == '\n' || b == '\t' || b == '\r')
		zero = zero && b == 0
	}
	return text || zero
}
