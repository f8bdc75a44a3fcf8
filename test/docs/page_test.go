package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// page is one Markdown file.
type page struct {
	// name is relative to the root of the checkout.
	name string
	text string
}

// block is a fenced block of code.
type block struct {
	language string
	// line is that of the first line of code, counted from 1.
	line int
	code string
}

const root = "../.."

// pages returns every page for readers: in the root, docs/ and examples/.
func pages(t *testing.T) []page {
	t.Helper()
	var all []page
	add := func(path string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page{name, string(text)})
	}
	top, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil || len(top) == 0 {
		t.Fatal("no pages in the root: ", err)
	}
	for _, path := range top {
		add(path)
	}
	for _, dir := range []string{"docs", "examples"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() && filepath.Ext(path) == ".md" {
				add(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// blocks returns the fenced blocks of a language.
func (p page) blocks(language string) []block {
	var found []block
	var open *block
	number := 0
	for line := range strings.Lines(p.text) {
		number++
		switch fence, isFence := strings.CutPrefix(strings.TrimSpace(line), "```"); {
		case isFence && open == nil:
			open = &block{language: fence, line: number + 1}
		case isFence:
			if open.language == language {
				found = append(found, *open)
			}
			open = nil
		case open != nil:
			open.code += line
		}
	}
	return found
}

// prose is the page without its fenced blocks.
func (p page) prose() string {
	var b strings.Builder
	inside := false
	for line := range strings.Lines(p.text) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			inside = !inside
		} else if !inside {
			b.WriteString(line)
		}
	}
	return b.String()
}
