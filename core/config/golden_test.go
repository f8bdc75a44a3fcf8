package config

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the wanted parts of testdata; read the difference before committing")

// TestLoad runs the triples in testdata/load: input files, wanted values, wanted diagnostics. $DIR in an input file and in
// what is wanted stands for the directory that the files are in. The part "values" has lines
//
//	SERVER.OPTION = VALUE from SOURCE
//	SERVER messages: [ … ]
//	errors: [ … ]
//
// and the test shows what the line's left side asks for. "fatal" as the only line wants no configuration at all.
func TestLoad(t *testing.T) {
	files, err := filepath.Glob("testdata/load/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { runGolden(t, file) })
	}
}

func runGolden(t *testing.T, path string) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]*txtar.File{}
	for i, f := range archive.Files {
		if f.Name == "values" || f.Name == "diagnostics" {
			want[f.Name] = &archive.Files[i]
			continue
		}
		writeFile(t, filepath.Join(dir, f.Name), strings.ReplaceAll(string(f.Data), "$DIR", dir))
	}
	env := map[string]string{"BARMAN_TEST": "from the environment"}
	cfg, diags := Load(LoadOptions{
		Path: filepath.Join(dir, "main.hcl"), Home: dir,
		Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	})
	var rendered strings.Builder
	if err := diags.Render(&rendered, false); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{
		"values":      goldenValues(cfg, string(want["values"].Data)),
		"diagnostics": rendered.String(),
	}
	for name, text := range got {
		text = strings.ReplaceAll(text, dir, "$DIR")
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s show a password:\n%s", name, text)
		}
		if *update {
			want[name].Data = []byte(text)
		} else if diff := cmp.Diff(string(want[name].Data), text); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	if *update {
		if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// goldenValues answers each line of the wanted part with what the configuration says.
func goldenValues(cfg *Config, wanted string) string {
	if cfg == nil {
		return "fatal\n"
	}
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimSpace(wanted), "\n") {
		question, _, _ := strings.Cut(line, " = ")
		switch server, option, _ := strings.Cut(question, "."); {
		case strings.HasPrefix(line, "errors:"):
			fmt.Fprintf(&b, "errors: %q\n", cfg.Errors)
		case strings.HasPrefix(line, "servers:"):
			fmt.Fprintf(&b, "servers: %q\n", cfg.ServerNames())
		case strings.Contains(line, " messages:"):
			name, _, _ := strings.Cut(line, " messages:")
			s, ok := cfg.Server(name)
			if !ok {
				fmt.Fprintf(&b, "%s messages: there is no such server\n", name)
				continue
			}
			fmt.Fprintf(&b, "%s messages: disabled=%v %q\n", name, s.Disabled, s.Messages)
		case server == "barman":
			v, _ := cfg.Global.Value(option)
			fmt.Fprintf(&b, "%s = %s from %s\n", question, v.Redacted(), v.Source)
		default:
			s, ok := cfg.Server(server)
			if !ok {
				fmt.Fprintf(&b, "%s = there is no such server\n", question)
				continue
			}
			v, ok := s.Value(option)
			if !ok {
				fmt.Fprintf(&b, "%s = there is no such option\n", question)
				continue
			}
			fmt.Fprintf(&b, "%s = %s from %s\n", question, v.Redacted(), v.Source)
		}
	}
	return b.String()
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
