package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// updatable writes a main file with a broken server beside a sound one, and loads it.
func updatable(t *testing.T, auto string) (LoadOptions, *Config) {
	t.Helper()
	home := t.TempDir()
	main := filepath.Join(home, "barman.hcl")
	text := `barman { barman_home = "` + home + `" }
server "main" {
  conninfo      = "host=pg"
  backup_method = "local-rsync"
  archiver      = true
}
server "broken" {
  backup_method = "local-rsync"
  archiver      = true
}`
	if err := errors.Join(os.WriteFile(main, []byte(text), 0o600), os.WriteFile(filepath.Join(home, AutoFile), []byte(auto), 0o600)); err != nil {
		t.Fatal(err)
	}
	opts := LoadOptions{Path: main, Home: home}
	cfg, found := Load(opts)
	if found.Fatal() {
		t.Fatal(found)
	}
	return opts, cfg
}

func TestUpdateKeepsWhatStandsInTheFile(t *testing.T) {
	opts, cfg := updatable(t, `# ours
server "main" {
  description = "old" # why
  path_prefix = ["/a"]
}
`)
	text, changed, err := Update(opts, cfg.Global, []Change{
		{Name: "main", Options: map[string]string{"description": `a "b" ${c}`, "minimum_redundancy": "2"}},
		{Name: "m", Model: true, Options: map[string]string{"cluster": "main"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `# ours
server "main" {
  description        = "a \"b\" $${c}" # why
  path_prefix        = ["/a"]
  minimum_redundancy = "2"
}

model "m" {
  cluster = "main"
}
`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Error(diff)
	}
	s, _ := changed.Server("main")
	if s.Description != `a "b" ${c}` || s.MinimumRedundancy != 2 || len(changed.Models) != 1 {
		t.Errorf("the changed configuration has %q, %d, %d models", s.Description, s.MinimumRedundancy, len(changed.Models))
	}
	if kept, err := os.ReadFile(cfg.Global.AutoPath()); err != nil || !strings.Contains(string(kept), `"old"`) {
		t.Errorf("the file has been changed: %s, %v", kept, err)
	}
}

func TestUpdateRefusesWhatCannotBe(t *testing.T) {
	for name, test := range map[string]struct {
		change Change
		want   string
	}{
		"value":   {Change{Name: "main", Options: map[string]string{"check_timeout": "soon"}}, "Validation failed for server 'main': key 'check_timeout' -> "},
		"option":  {Change{Name: "main", Options: map[string]string{"nothing": "1"}}, "Invalid option 'nothing' for server 'main'"},
		"fixed":   {Change{Name: "main", Options: map[string]string{"disabled": "true"}}, "Invalid option 'disabled' for server 'main'"},
		"global":  {Change{Name: "main", Options: map[string]string{"barman_home": "/x"}}, "Invalid option 'barman_home' for server 'main'"},
		"model":   {Change{Name: "m", Model: true, Options: map[string]string{"cluster": "main", "wals_directory": "/x"}}, "Invalid option 'wals_directory' for model 'm'"},
		"disable": {Change{Name: "main", Options: map[string]string{"backup_method": "postgres", "reuse_backup": "link"}}, "reuse_backup option is not supported by postgres backup_method"},
		"name":    {Change{Name: "all", Options: map[string]string{"description": "x"}}, "reserved"},
	} {
		t.Run(name, func(t *testing.T) {
			opts, cfg := updatable(t, "")
			_, _, err := Update(opts, cfg.Global, []Change{test.change})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
	opts, cfg := updatable(t, "server \"main\" {\n")
	if _, _, err := Update(opts, cfg.Global, nil); err == nil {
		t.Error("a damaged file is changed")
	}
}

func TestUpdateRepairsABrokenServer(t *testing.T) {
	opts, cfg := updatable(t, "")
	_, changed, err := Update(opts, cfg.Global, []Change{{Name: "broken", Options: map[string]string{"conninfo": "host=pg2"}}})
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := changed.Server("broken"); s.Disabled {
		t.Errorf("still disabled: %q", s.Messages)
	}
}
