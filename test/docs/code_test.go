package docs

import (
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barman-go/barman/core/config"
)

func TestConfigurationsInPagesAreUnderstood(t *testing.T) {
	for _, p := range pages(t) {
		for _, b := range p.blocks("hcl") {
			t.Run(fmt.Sprintf("%s:%d", p.name, b.line), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "barman.hcl")
				if err := os.WriteFile(path, []byte(whole(b.code)), 0o600); err != nil {
					t.Fatal(err)
				}
				_, found := config.Load(config.LoadOptions{Path: path})
				for _, d := range found {
					// A page that shows one option leaves out what makes a server complete.
					if strings.Contains(b.code, "conninfo") || d.Severity == config.Fatal || d.Option != "" {
						t.Errorf("%s", d.Text(false))
					}
				}
			})
		}
	}
}

// whole adds what a page leaves out: the block of Barman itself, where its data lives, and what "…" stands for.
func whole(code string) string {
	code = strings.ReplaceAll(code, `"…"`, `"`+strings.Repeat("0", 64)+`"`)
	switch {
	case strings.Contains(code, "barman_home"):
		return code
	case strings.Contains(code, "barman {\n"):
		return strings.Replace(code, "barman {\n", "barman {\nbarman_home = \"/var/lib/barman\"\n", 1)
	}
	return "barman {\nbarman_home = \"/var/lib/barman\"\n}\n" + code
}

func TestExampleConfigurationsAreFreeOfMistakes(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(root, "examples", "*.hcl"))
	if err != nil || len(paths) == 0 {
		t.Fatal("no examples: ", err)
	}
	for _, path := range paths {
		_, found := config.Load(config.LoadOptions{Path: path})
		for _, d := range found {
			t.Errorf("%s", d.Text(false))
		}
	}
}

func TestGoInPagesIsGo(t *testing.T) {
	for _, p := range pages(t) {
		for _, b := range p.blocks("go") {
			if _, err := format.Source([]byte(b.code)); err != nil {
				t.Errorf("%s:%d: %v", p.name, b.line, err)
			}
		}
	}
}
