package config

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/barman-go/barman/core/pattern"
	"github.com/barman-go/barman/core/redact"
)

// maxFileSize bounds configuration files and what file() reads.
const maxFileSize = 16 << 20

// sourceFile is one file of the configuration.
type sourceFile struct {
	path  string
	lines []string
}

// topBlock is a block at the top level of a file. A block that cannot be parsed has no body but syntax errors.
type topBlock struct {
	*hclsyntax.Block
	file   *sourceFile
	syntax hcl.Diagnostics
}

// readLimited reads a whole file and refuses one that cannot be a configuration.
func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFileSize {
		return nil, fmt.Errorf("%s is larger than %d MiB", path, maxFileSize>>20)
	}
	return data, nil
}

func newSourceFile(path string, data []byte) *sourceFile {
	return &sourceFile{path: path, lines: strings.Split(string(data), "\n")}
}

// topLevel matches a line that starts a block at the top level, and the first label.
var topLevel = pattern.New(`^(barman|server|model|plugin)\b[^{\n]*`)

// parse returns the blocks at the top level of a file, and what else stands there. One syntax error spoils at most the
// block it is in: when the whole file cannot be parsed, each piece that starts with a block's header in the first
// column is parsed for itself.
func (f *sourceFile) parse(data []byte) (blocks []topBlock, stray hclsyntax.Attributes, diags hcl.Diagnostics) {
	if body, diags := parseBody(data, f.path, 1); !diags.HasErrors() {
		return f.topBlocks(body), body.Attributes, nil
	}
	starts := []int{0}
	for i, line := range f.lines {
		if i > 0 && topLevel.MatchString(line) {
			starts = append(starts, i)
		}
	}
	for n, start := range starts {
		end := len(f.lines)
		if n+1 < len(starts) {
			end = starts[n+1]
		}
		piece := strings.Join(f.lines[start:end], "\n") + "\n"
		body, d := parseBody([]byte(piece), f.path, start+1)
		if !d.HasErrors() {
			blocks = append(blocks, f.topBlocks(body)...)
			continue
		}
		if broken := f.brokenBlock(start); broken != nil {
			broken.syntax = d
			blocks = append(blocks, *broken)
			continue
		}
		diags = append(diags, d...)
	}
	return blocks, nil, diags
}

func parseBody(data []byte, path string, line int) (*hclsyntax.Body, hcl.Diagnostics) {
	file, diags := hclsyntax.ParseConfig(data, path, hcl.Pos{Line: line, Column: 1})
	if file == nil {
		return nil, diags
	}
	return file.Body.(*hclsyntax.Body), diags
}

func (f *sourceFile) topBlocks(body *hclsyntax.Body) []topBlock {
	blocks := make([]topBlock, len(body.Blocks))
	for i, b := range body.Blocks {
		blocks[i] = topBlock{Block: b, file: f}
	}
	return blocks
}

var labelPattern = pattern.New(`"([^"\\]*)"|([A-Za-z_][\w-]*)`)

// brokenBlock reads type and labels from the header line of a block whose inside cannot be parsed.
func (f *sourceFile) brokenBlock(line int) *topBlock {
	header := topLevel.FindString(f.lines[line])
	if header == "" {
		return nil
	}
	var words []string
	for _, m := range labelPattern.FindAllStringSubmatch(header, -1) {
		words = append(words, m[1]+m[2])
	}
	at := hcl.Range{
		Filename: f.path, Start: hcl.Pos{Line: line + 1, Column: 1},
		End: hcl.Pos{Line: line + 1, Column: len(header) + 1},
	}
	return &topBlock{Block: &hclsyntax.Block{Type: words[0], Labels: words[1:], TypeRange: at}, file: f}
}

var (
	// secretAttribute finds a literal value whose name says that it is secret.
	secretAttribute = pattern.New(
		`(?i)([\w-]*(?:password|passwd|secret|token|passphrase|credential|api_?key|private_?key)[\w-]*"?\s*[=:]\s*)"(?:[^"\\]|\\.)*"?`)
	credentials = pattern.New(`(://[^\s:@/"]*:)[^\s@"]*@`)
)

// snippet is a line of the file with secrets masked; changed tells that columns no longer match.
func (f *sourceFile) snippet(line int) (text string, changed bool) {
	if line < 1 || line > len(f.lines) {
		return "", false
	}
	original := strings.TrimRight(f.lines[line-1], "\r")
	text = secretAttribute.ReplaceAllString(original, `${1}"`+redact.Mark+`"`)
	text = credentials.ReplaceAllString(redact.Text(text), "${1}"+redact.Mark+"@")
	return text, text != original
}

// diagnostic starts a diagnostic that points into the file.
func (f *sourceFile) diagnostic(severity Severity, at hcl.Range, format string, args ...any) Diagnostic {
	d := Diagnostic{Severity: severity, Summary: fmt.Sprintf(format, args...), Range: rangeOf(at)}
	d.Snippet, d.masked = f.snippet(at.Start.Line)
	return d
}

// fromHCL turns what the HCL library found into diagnostics.
func (f *sourceFile) fromHCL(severity Severity, found hcl.Diagnostics) Diagnostics {
	var out Diagnostics
	for _, h := range found {
		s := severity
		if h.Severity == hcl.DiagWarning {
			s = Warning
		}
		d := Diagnostic{Severity: s, Summary: h.Summary, Detail: h.Detail, Range: Range{File: f.path}}
		if h.Subject != nil {
			d.Range = rangeOf(*h.Subject)
			d.Snippet, d.masked = f.snippet(h.Subject.Start.Line)
		}
		out = append(out, d)
	}
	return out
}
