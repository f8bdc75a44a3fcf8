package archive

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/compress"
)

// Compressor is one compress plugin. Its methods may be called at the same time.
type Compressor interface {
	Formats(ctx context.Context) ([]compress.Format, error)
	CompressFile(ctx context.Context, req compress.FileRequest) (compress.FileResult, error)
	DecompressFile(ctx context.Context, req compress.FileRequest) (compress.FileResult, error)
	// TestFile decodes Source and reports what came out; Destination is not used.
	TestFile(ctx context.Context, req compress.FileRequest) (compress.FileResult, error)
}

// Magic recognises a format by the first bytes of a file.
type Magic struct {
	// Format is the name recorded in the WAL index, and that of the plugin.
	Format string
	Bytes  []byte
}

// Codecs chooses the compress plugin for a file. Plugins are opened when they are first needed.
type Codecs struct {
	// Open opens the plugin of a name such as "zstd". It is called once per name.
	Open func(ctx context.Context, name string) (Compressor, error)
	// Compression is the configured plugin for encoding, or empty for none; Level is low, medium, high or a number.
	Compression, Level string
	// Magics recognise formats besides those that catalog knows.
	Magics []Magic
	// Installed names the compress plugins that can be found. It is asked, and they are started, only for a file that is
	// neither in a known format nor plain. May be nil.
	Installed func() []string

	mu     sync.Mutex
	opened map[string]Compressor
}

// Format tells which format a file that begins with head is in; "" means that it is not compressed. Files that plugins
// wrote years ago are recognised as long as any installed plugin knows their magic.
func (c *Codecs) Format(ctx context.Context, head []byte) (string, error) {
	if known := catalog.IdentifyFormat(head); known != "" {
		return known, nil
	}
	for _, m := range c.Magics {
		if bytes.HasPrefix(head, m.Bytes) {
			return m.Format, nil
		}
	}
	if looksPlain(head) {
		return "", nil
	}
	names := []string{c.Compression}
	if c.Installed != nil {
		names = append(names, c.Installed()...)
	}
	for _, name := range names {
		format, err := c.formatOfPlugin(ctx, name, head)
		if format != "" || err != nil && name == c.Compression {
			return format, err
		}
	}
	return "", nil
}

func (c *Codecs) formatOfPlugin(ctx context.Context, name string, head []byte) (string, error) {
	if name == "" || name == "none" {
		return "", nil
	}
	p, err := c.plugin(ctx, name)
	if err != nil {
		return "", err
	}
	formats, err := p.Formats(ctx)
	for _, f := range formats {
		start := int(f.MagicOffset)
		if len(f.Magic) > 0 && len(head) >= start && bytes.HasPrefix(head[start:], f.Magic) {
			return f.ID, nil
		}
	}
	return "", err
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

// FormatOf is Format for a file.
func (c *Codecs) FormatOf(ctx context.Context, path string) (string, error) {
	head, _, err := readHead(path)
	if err != nil {
		return "", err
	}
	return c.Format(ctx, head)
}

func (c *Codecs) plugin(ctx context.Context, name string) (Compressor, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.opened[name]; ok {
		return p, nil
	}
	p, err := c.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	if c.opened == nil {
		c.opened = map[string]Compressor{}
	}
	c.opened[name] = p
	return p, nil
}

// encoder is the configured plugin with the format and level to use.
type encoder struct {
	Compressor
	options compress.Options
}

// encoder returns nil when nothing is to be compressed.
func (c *Codecs) encoder(ctx context.Context) (*encoder, error) {
	if c.Compression == "" || c.Compression == "none" {
		return nil, nil
	}
	p, err := c.plugin(ctx, c.Compression)
	if err != nil {
		return nil, err
	}
	formats, err := p.Formats(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range formats {
		if f.CanCompress {
			level, err := resolveLevel(c.Level, f.Levels)
			if err != nil {
				return nil, fmt.Errorf("compress plugin %s: %w", c.Compression, err)
			}
			return &encoder{p, compress.Options{Format: f.ID, Level: level}}, nil
		}
	}
	return nil, fmt.Errorf("compress plugin %s can only decompress", c.Compression)
}

// resolveLevel turns low, medium, high or a number into a level of the format; a number outside the range is moved to
// its nearest end.
func resolveLevel(text string, levels *compress.Levels) (int, error) {
	if levels == nil {
		return 0, nil
	}
	switch strings.ToLower(text) {
	case "", "medium":
		return levels.Medium, nil
	case "low":
		return levels.Low, nil
	case "high":
		return levels.High, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("compression level %q is neither low, medium, high nor a number", text)
	}
	return min(max(n, levels.Min), levels.Max), nil
}

// decoder returns a plugin that can decode a format, under the format's name there.
func (c *Codecs) decoder(ctx context.Context, format string) (Compressor, string, error) {
	var firstErr error
	for _, name := range []string{format, catalog.FormatFamily(format), c.Compression} {
		if name == "" {
			continue
		}
		p, err := c.plugin(ctx, name)
		if err != nil {
			if firstErr == nil {
				firstErr = err
			}
			continue
		}
		formats, err := p.Formats(ctx)
		if err != nil {
			return nil, "", err
		}
		for _, f := range formats {
			if f.CanDecompress && catalog.SameFormat(f.ID, format) {
				return p, f.ID, nil
			}
		}
	}
	if firstErr != nil {
		return nil, "", fmt.Errorf("no plugin can decode format %q: %w", format, firstErr)
	}
	return nil, "", fmt.Errorf("no plugin can decode format %q", format)
}

// test decodes a stored file and measures its plain content.
func (c *Codecs) test(ctx context.Context, path, format string) (compress.FileResult, error) {
	p, id, err := c.decoder(ctx, format)
	if err != nil {
		return compress.FileResult{}, err
	}
	return p.TestFile(ctx, compress.FileRequest{Source: path, Options: compress.Options{Format: id}})
}

// Plain returns a path of the file's uncompressed content: path itself when it is not compressed, and otherwise a
// temporary file in dir, which the caller removes with the returned function.
func (c *Codecs) Plain(ctx context.Context, path, dir string) (plain string, remove func(), err error) {
	format, err := c.FormatOf(ctx, path)
	if err != nil {
		return "", nil, err
	}
	if format == "" {
		return path, func() {}, nil
	}
	temp := fsx.TempPath(filepath.Join(dir, filepath.Base(path)))
	remove = func() { _ = os.Remove(temp) }
	if err := c.Decode(ctx, path, format, temp); err != nil {
		remove()
		return "", nil, err
	}
	return temp, remove, nil
}

// Decode writes the plain content of a file in the given format to dest, which must not exist.
func (c *Codecs) Decode(ctx context.Context, path, format, dest string) error {
	p, id, err := c.decoder(ctx, format)
	if err != nil {
		return err
	}
	_, err = p.DecompressFile(ctx, compress.FileRequest{Source: path, Destination: dest, Options: compress.Options{Format: id}})
	return err
}

// Compare tells whether two files have the same plain content. Temporary files go to dir.
func (c *Codecs) Compare(ctx context.Context, a, b, dir string) (bool, error) {
	plainA, removeA, err := c.Plain(ctx, a, dir)
	if err != nil {
		return false, err
	}
	defer removeA()
	plainB, removeB, err := c.Plain(ctx, b, dir)
	if err != nil {
		return false, err
	}
	defer removeB()
	return fsx.EqualFiles(plainA, plainB)
}
