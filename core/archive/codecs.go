package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/barman-go/barman/core/catalog"
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

// Codecs chooses the compress plugin for a file. Plugins are opened when they are first needed. Its methods may be called
// at the same time.
type Codecs struct {
	// Open opens the plugin of a name such as "zstd". It is called once per name, and again after it failed.
	Open func(ctx context.Context, name string) (Compressor, error)
	// Compression is the configured plugin for encoding, or empty for none; Level is low, medium, high or a number.
	Compression, Level string
	// Magics recognise formats besides those that catalog knows.
	Magics []Magic
	// LastResort is the plugin that gets what the plugin of the format cannot decode; empty for none. See Decode.
	LastResort string
	// Installed names the compress plugins that can be found. It is asked, and they are started, only for a file that is
	// neither in a known format nor plain. May be nil.
	Installed func() []string

	mu     sync.Mutex
	opened map[string]Compressor
}

// compresses tells whether WAL is encoded at all.
func (c *Codecs) compresses() bool { return c.Compression != "" && c.Compression != "none" }

// allPlugins names the configured plugin and then all others that are installed.
func (c *Codecs) allPlugins() []string {
	var names []string
	if c.compresses() {
		names = append(names, c.Compression)
	}
	if c.Installed != nil {
		names = append(names, c.Installed()...)
	}
	return names
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

func (c *Codecs) formats(ctx context.Context, name string) ([]compress.Format, error) {
	p, err := c.plugin(ctx, name)
	if err != nil {
		return nil, err
	}
	return p.Formats(ctx)
}

// encoder is a plugin with the format and level to use.
type encoder struct {
	Compressor
	options compress.Options
}

// encoder returns nil when nothing is to be compressed.
func (c *Codecs) encoder(ctx context.Context) (*encoder, error) {
	if !c.compresses() {
		return nil, nil
	}
	return c.encoderOf(ctx, c.Compression, c.Level)
}

func (c *Codecs) encoderOf(ctx context.Context, name, level string) (*encoder, error) {
	formats, err := c.formats(ctx, name)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(formats, func(f compress.Format) bool { return f.CanCompress })
	if i < 0 {
		return nil, fmt.Errorf("compress plugin %s can only decompress", name)
	}
	number, err := resolveLevel(level, formats[i].Levels)
	if err != nil {
		return nil, fmt.Errorf("compress plugin %s: %w", name, err)
	}
	p, err := c.plugin(ctx, name)
	if err != nil {
		return nil, err
	}
	return &encoder{p, compress.Options{Format: formats[i].ID, Level: number}}, nil
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

// errNoDecoder means that no plugin can be had that decodes a format.
var errNoDecoder = errors.New("no plugin can decode it")

// decoder returns a plugin that can decode a format, under the format's name there: the one of that name, that of the
// format's family, the configured one, or any that is installed.
func (c *Codecs) decoder(ctx context.Context, format string) (Compressor, string, error) {
	var problems []error
	tried := map[string]bool{}
	try := func(names ...string) (Compressor, string) {
		for _, name := range names {
			if tried[name] {
				continue
			}
			tried[name] = true
			formats, err := c.formats(ctx, name)
			if err != nil {
				problems = append(problems, err)
				continue
			}
			for _, f := range formats {
				if f.CanDecompress && catalog.SameFormat(f.ID, format) {
					p, err := c.plugin(ctx, name)
					if err == nil {
						return p, f.ID
					}
					problems = append(problems, err)
				}
			}
		}
		return nil, ""
	}
	if p, id := try(format, catalog.FormatFamily(format)); p != nil {
		return p, id, nil
	}
	if p, id := try(c.allPlugins()...); p != nil {
		return p, id, nil
	}
	if ctx.Err() != nil {
		return nil, "", context.Cause(ctx)
	}
	return nil, "", errors.Join(append([]error{fmt.Errorf("format %q: %w", format, errNoDecoder)}, problems...)...)
}
