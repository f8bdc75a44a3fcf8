package ini

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/barman-go/barman/core/config"
)

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// importText imports one file and returns the HCL without its first line, which names the file.
func importText(t *testing.T, text string) (string, config.Diagnostics) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "barman.conf")
	write(t, path, text)
	out, diags := Import(path)
	_, rest, _ := strings.Cut(string(out), "\n")
	return rest, diags
}

func TestImportWritesEquivalentHCL(t *testing.T) {
	got, diags := importText(t, `; The main file
[barman]
barman_home = /var/lib/barman
# where locks live
barman_lock_directory: "/run/barman"
log_file = %(barman_home)s/barman.log
compression_level = -2
path_prefix = /opt/a:/opt/b
disabled_by_me = 1

# the big one
[main]
description = 'Main "prod" ${x} %%%%{y}'
conninfo = host=pg1
  user=barman
Parallel_Jobs = 1_0
archiver = ON
backup_options = concurrent_backup, external_configuration
tablespace_bandwidth_limit = a:1 b:2
retention_policy = RECOVERY WINDOW OF 1 WEEK
pre_backup_script =
check_timeout = soon

[main:dr]
cluster = main
model = yes
conninfo = host=dr
# the end
`)
	want := `
# The main file
barman {
  barman_home = "/var/lib/barman"
  # where locks live
  barman_lock_directory = "/run/barman"
  log_file = "/var/lib/barman/barman.log"
  compression_level = -2
  path_prefix = ["/opt/a", "/opt/b"]
  # not an option: disabled_by_me = 1
}

# the big one
server "main" {
  description = "Main \"prod\" $${x} %%{y}"
  conninfo = "host=pg1\nuser=barman"
  parallel_jobs = 10
  archiver = true
  backup_options = ["concurrent_backup", "external_configuration"]
  tablespace_bandwidth_limit = { "a" = 1, "b" = 2 }
  retention_policy = "RECOVERY WINDOW OF 1 WEEK"
  pre_backup_script = ""
  check_timeout = "soon"
}

model "main:dr" {
  cluster = "main"
  conninfo = "host=dr"
}

# the end
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	var summaries []string
	for _, d := range diags {
		summaries = append(summaries, d.Summary)
	}
	wantDiags := []string{
		`Invalid configuration option "disabled_by_me" in [barman] section.`,
		`Invalid value 'soon' for option "check_timeout" in [main]: invalid literal for int() with base 10: 'soon'`,
	}
	if diff := cmp.Diff(wantDiags, summaries); diff != "" {
		t.Errorf("diagnostics (-want +got)\n%s", diff)
	}
}

// What is imported is loaded, and every value is the one that Barman 3.17 would have used.
func TestImportedFileLoadsWithTheSameValues(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "barman.conf")
	write(t, old, `[barman]
barman_home = `+dir+`/home
configuration_files_directory = `+dir+`/conf.d
compression = gzip
backup_options = concurrent_backup
[DEFAULT]
check_timeout = 9
`)
	write(t, filepath.Join(dir, "conf.d/10.conf"), "[main]\nconninfo = host=ten\nssh_command = ssh pg\narchiver = on\nslot_name = %(archiver)s_slot\n")
	write(t, filepath.Join(dir, "conf.d/20.conf"), "[main]\nconninfo = host=twenty\ncompression =\n[barman]\ncompression = gzip\n")
	write(t, filepath.Join(dir, "conf.d/x.txt"), "[other]\n")
	write(t, filepath.Join(dir, "home/.barman.auto.conf"), "[main]\nparallel_jobs = 3\n")
	out, diags := Import(old)
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	imported := filepath.Join(dir, "barman.hcl")
	write(t, imported, string(out))
	cfg, diags := config.Load(config.LoadOptions{Path: imported, Env: func(string) (string, bool) { return "", false }})
	if cfg == nil || len(diags) > 0 {
		t.Fatalf("%v\n%s", diags, out)
	}
	if diff := cmp.Diff([]string{"main"}, cfg.ServerNames()); diff != "" {
		t.Fatal(diff)
	}
	s, _ := cfg.Server("main")
	for option, want := range map[string]string{
		"conninfo": "host=twenty", "compression": "None", "parallel_jobs": "3", "slot_name": "on_slot", "check_timeout": "9",
		"backup_options": "BackupOptions({'concurrent_backup'})",
	} {
		if v, _ := s.Value(option); v.Text() != want {
			t.Errorf("%s: got %s, want %s\n%s", option, v.Text(), want, out)
		}
	}
}

func TestImportRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text, want string
		line       int
	}{
		"no barman section":    {"[main]\nconninfo = x\n", "has no [barman] section", 0},
		"no barman_home":       {"[barman]\ncompression = gzip\n", `Parameter "barman_home" is required`, 0},
		"a line of rubbish":    {"[barman]\nbarman_home = /x\nrubbish\n", "line 3 has neither", 3},
		"text before sections": {"a = b\n[barman]\n", "line 1 stands before the first [section]", 1},
	} {
		out, diags := importText(t, c.text)
		if out != "" || !diags.Fatal() || !strings.Contains(diags[0].Summary, c.want) || diags[0].Range.Line != c.line {
			t.Errorf("%s: got %q %+v", name, out, diags)
		}
	}
	if out, diags := Import(filepath.Join(t.TempDir(), "missing")); out != nil || !diags.Fatal() {
		t.Errorf("missing file: %q %v", out, diags)
	}
}

func TestDropInMayNotChangeBarmanSection(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "barman.conf"), "[barman]\nbarman_home = "+dir+"\nconfiguration_files_directory = "+dir+"/d\n")
	write(t, filepath.Join(dir, "d/x.conf"), "[barman]\ncompression = gzip\n")
	out, diags := Import(filepath.Join(dir, "barman.conf"))
	want := "FATAL: the configuration file x.conf contains a not empty [barman] section"
	if out != nil || len(diags) != 1 || diags[0].Summary != want {
		t.Errorf("got %q %v", out, diags)
	}
}

func TestInterpolation(t *testing.T) {
	section := map[string]string{"a": "1", "b": "%(a)s2", "loop": "%(loop)s", "p": "100%%"}
	lookup := func(name string) (string, bool) { v, ok := section[name]; return v, ok }
	for in, want := range map[string]string{
		"plain": "plain", "%(a)s": "1", "x%(b)sy": "x12y", "%(A)s": "1", "50%%": "50%", "%(p)s": "100%", "%%(a)s": "%(a)s",
		"%(missing)s": "error", "%x": "error", "%(a": "error", "%": "error", "%(loop)s": "error",
	} {
		got, err := interpolate(in, lookup, 1)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("interpolate(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestValueThatCannotBeInterpolatedIsKept(t *testing.T) {
	got, diags := importText(t, "[barman]\nbarman_home = /x\n[main]\ndescription = %(barman_home)s\n")
	if len(diags) != 1 || !strings.Contains(diags[0].Summary, "stops Barman 3.17") || diags[0].Range.Line != 4 {
		t.Errorf("diagnostics: %+v", diags)
	}
	if !strings.Contains(got, `description = "%(barman_home)s"`) {
		t.Errorf("got\n%s", got)
	}
}

func TestWarningsDoNotShowPasswords(t *testing.T) {
	_, diags := importText(t, "[barman]\nbarman_home = /x\n[main]\nconninfo = password=hunter2 %x\n")
	if len(diags) == 0 {
		t.Fatal("no warning")
	}
	for _, d := range diags {
		if strings.Contains(d.Text(false), "hunter2") {
			t.Errorf("shown: %s", d.Text(false))
		}
	}
}

// FuzzINI imports arbitrary text: no crash, and what is written is always valid HCL.
func FuzzINI(f *testing.F) {
	f.Add("[barman]\nbarman_home = /x\n[main]\ndescription = a \"b\" ${c} %%{d} \\ \x01\n  more\nconninfo: x\n")
	f.Add("[barman]\nbarman_home=/x\n; c\n[DEFAULT]\na=1\n[a]\nmodel=on\ncluster=c\n")
	f.Add("[barman]\nbarman_home=%(barman_home)s\n")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(strings.ToLower(text), "configuration_files_directory") {
			t.Skip() // would read directories of this machine
		}
		path := filepath.Join(dir, "fuzz.conf")
		write(t, path, text)
		out, diags := Import(path)
		if (out == nil) != diags.HasErrors() {
			t.Fatalf("output %q, diagnostics %v", out, diags)
		}
		if out == nil {
			return
		}
		if _, found := hclsyntax.ParseConfig(out, "fuzz.hcl", hcl.InitialPos); found.HasErrors() {
			t.Fatalf("not valid HCL: %v\n%s", found, out)
		}
	})
}
