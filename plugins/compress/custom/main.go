package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/barman-go/barman/sdk/compress"
	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/plugin"
	"github.com/barman-go/barman/sdk/schema"
	"github.com/barman-go/barman/sdk/toolexec"
)

// Options of the `config { }` block; core fills them from custom_compression_filter and its siblings.
const (
	optionCompress   = "compression_filter"
	optionDecompress = "decompression_filter"
	optionMagic      = "magic"
)

func main() { plugin.Serve(definition()) }

func definition() plugin.Definition {
	return plugin.Definition{
		Name: "custom", Version: "1.0.0", Summary: "any pair of shell filters", License: "Apache-2.0",
		Tools: []plugin.Tool{{Name: "sh", Required: true}},
		Schema: schema.Schema{
			{Name: optionCompress, Type: schema.String, Help: "Shell command that compresses standard input to standard output."},
			{Name: optionDecompress, Type: schema.String, Help: "Shell command that undoes it."},
			{Name: optionMagic, Type: schema.String, Help: `First bytes of a compressed file in hexadecimal, such as "0x1f8b08".`},
		},
		Validate: func(v schema.Values) diag.List {
			if _, err := parseMagic(v.String(optionMagic)); err != nil {
				return diag.List{diag.FromError(err)}
			}
			return nil
		},
		Compress: open,
	}
}

func open(_ context.Context, env plugin.Env) (compress.Compressor, error) {
	magic, err := parseMagic(env.Config.String(optionMagic))
	return &filters{
		magic: magic, path: env.PathPrefix,
		compress: env.Config.String(optionCompress), decompress: env.Config.String(optionDecompress),
	}, err
}

// parseMagic reads "0x1f8b08". Empty means that the format cannot be recognised.
func parseMagic(text string) ([]byte, error) {
	digits, found := strings.CutPrefix(strings.ToLower(text), "0x")
	magic, err := hex.DecodeString(digits)
	if text != "" && (err != nil || !found || digits == "") {
		return nil, diag.Diagnostic{
			Severity: diag.Error, Attribute: optionMagic, Code: diag.CodeInvalidOption,
			Summary: fmt.Sprintf("magic %q is not hexadecimal", text), Detail: `write it as "0x" and two digits a byte: "0x1f8b08"`,
		}
	}
	return magic, nil
}

type filters struct {
	compress, decompress string
	magic                []byte
	path                 []string
}

// Formats describes the one format, with what the configuration allows to do.
func (f *filters) Formats() []compress.Format {
	return []compress.Format{{
		ID: "custom", Magic: f.magic, CanCompress: f.compress != "", CanDecompress: f.decompress != "",
	}}
}

// Compress runs the compression filter.
func (f *filters) Compress(ctx context.Context, _ compress.Options, dst io.Writer, src io.Reader) error {
	return f.run(ctx, f.compress, dst, src)
}

// Decompress runs the decompression filter, on which it depends whether damage is noticed.
func (f *filters) Decompress(ctx context.Context, _ compress.Options, dst io.Writer, src io.Reader) error {
	return f.run(ctx, f.decompress, dst, src)
}

func (f *filters) run(ctx context.Context, filter string, dst io.Writer, src io.Reader) error {
	in := &input{r: src}
	_, err := toolexec.Run(ctx, toolexec.Command{
		Name: "/bin/sh", Args: []string{"-c", filter}, PathPrefix: f.path, Stdin: in, Stdout: dst,
	})
	if rest := in.take(); err == nil && rest {
		err = errors.New("it ended without reading all of its input")
	}
	if err != nil {
		return fmt.Errorf("filter %q: %w", filter, err)
	}
	return nil
}

// input guards the source: the goroutine that feeds a filter may outlive a filter that ended early.
type input struct {
	mu    sync.Mutex
	r     io.Reader
	taken bool
}

// Read reads from the source until it is taken away.
func (in *input) Read(p []byte) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.taken {
		return 0, io.EOF
	}
	return in.r.Read(p)
}

// take ends reading and tells whether anything was left to read.
func (in *input) take() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.taken = true
	n, _ := io.ReadFull(in.r, make([]byte, 1))
	return n > 0
}
