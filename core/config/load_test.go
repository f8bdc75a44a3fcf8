package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func noEnv(string) (string, bool) { return "", false }

func TestLookupOrder(t *testing.T) {
	dir := t.TempDir()
	file := func(name, home string) string {
		path := filepath.Join(dir, name)
		writeFile(t, path, `barman { barman_home = "`+home+`" }`)
		return path
	}
	flag, variable := file("flag.hcl", "/flag"), file("env.hcl", "/env")
	first, second := file("first.hcl", "/first"), file("second.hcl", "/second")
	missing := filepath.Join(dir, "missing.hcl")
	env := func(name string) (string, bool) { return variable, name == EnvConfigFile }
	for _, c := range []struct {
		name string
		opts LoadOptions
		want string
	}{
		{"flag wins", LoadOptions{Path: flag, Env: env, Search: []string{first}}, "/flag"},
		{"then the environment", LoadOptions{Env: env, Search: []string{first}}, "/env"},
		{"then the first location", LoadOptions{Env: noEnv, Search: []string{first, second}}, "/first"},
		{"that exists", LoadOptions{Env: noEnv, Search: []string{missing, second}}, "/second"},
	} {
		cfg, diags := Load(c.opts)
		if cfg == nil || len(diags) > 0 || cfg.Global.BarmanHome != c.want {
			t.Errorf("%s: got %+v %v, want %s", c.name, cfg, diags, c.want)
		}
	}
}

func TestMissingFileIsFatal(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.hcl")
	for _, c := range []struct {
		opts LoadOptions
		want string
	}{
		{LoadOptions{Path: missing, Env: noEnv}, "Configuration file '" + missing + "' does not exist"},
		{LoadOptions{Env: func(string) (string, bool) { return missing, true }}, "Configuration file '" + missing + "' does not exist"},
		{
			LoadOptions{Env: noEnv, Search: []string{missing}},
			"Could not find any configuration file at default locations.\nCheck Barman's documentation for more help.",
		},
		{LoadOptions{Path: t.TempDir(), Env: noEnv}, "cannot be read"},
	} {
		cfg, diags := Load(c.opts)
		if cfg != nil || !diags.Fatal() || !strings.Contains(diags[0].Summary, c.want) {
			t.Errorf("got %v %v, want %q", cfg, diags, c.want)
		}
	}
}

func TestDefaultLocations(t *testing.T) {
	got := strings.Join(DefaultLocations("/home/b"), " ")
	if want := "/home/b/.barman.hcl /etc/barman.hcl /etc/barman/barman.hcl"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestExamplesLoadWithoutDiagnostics(t *testing.T) {
	for name, servers := range map[string]int{"minimal.hcl": 1, "full.hcl": 4} {
		cfg, diags := Load(LoadOptions{Path: "../../examples/" + name, Env: noEnv})
		if len(diags) > 0 || cfg == nil {
			t.Errorf("%s: %v", name, diags)
			continue
		}
		if len(cfg.Servers) != servers {
			t.Errorf("%s: %d servers, want %d", name, len(cfg.Servers), servers)
		}
	}
}

func loadText(t testing.TB, text string) (*Config, Diagnostics) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "barman.hcl")
	writeFile(t, path, text)
	return Load(LoadOptions{Path: path, Env: noEnv, Home: filepath.Dir(path)})
}

func TestServerFieldsAndDirectories(t *testing.T) {
	cfg, diags := loadText(t, `
barman {
  barman_home           = "/srv/barman"
  barman_lock_directory = "/run/barman"
  path_prefix           = "/opt/a:/opt/b"
}
server "main" {
  conninfo                 = "host=pg"
  ssh_command              = "ssh pg"
  archiver                 = true
  backup_options           = "concurrent_backup"
  check_timeout            = 12
  last_backup_maximum_age  = "2 DAYS"
  max_incoming_wals_queue  = 0
  custom_compression_magic = "0x1f8b"
  pre_backup_script        = "once"
  post_wal_delete_retry_script = "again"
}`)
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	s, ok := cfg.Server("main")
	if !ok {
		t.Fatal("no server")
	}
	for _, c := range []struct{ what, got, want string }{
		{"meta", s.MetaDirectory(), "/srv/barman/main/meta"},
		{"identity", s.IdentityFile(), "/srv/barman/main/identity.json"},
		{"active model", s.ActiveModelFile(), "/srv/barman/main/.active-model.auto"},
		{"xlog.db", s.XlogDBFile(), "/srv/barman/main/wals/main-xlog.db"},
		{"lock directory", s.LockDirectory, "/run/barman"},
		{"path_prefix", strings.Join(s.PathPrefix, " "), "/opt/a /opt/b"},
		{"global path_prefix", strings.Join(cfg.Global.PathPrefix, " "), "/opt/a /opt/b"},
		{"magic", string(s.Magic()), "\x1f\x8b"},
		{"pre script", s.HookScript("pre", "backup", false), "once"},
		{"no script", s.HookScript("pre", "backup", true), ""},
		{"retry script", s.HookScript("post", "wal_delete", true), "again"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.what, c.got, c.want)
		}
	}
	if s.CheckTimeout != 12*time.Second {
		t.Errorf("check_timeout: %v", s.CheckTimeout)
	}
	if s.LastBackupMaximumAge == nil || *s.LastBackupMaximumAge != 48*time.Hour || s.LastWALMaximumAge != nil {
		t.Errorf("ages: %v %v", s.LastBackupMaximumAge, s.LastWALMaximumAge)
	}
	if s.MaxIncomingWALsQueue == nil || *s.MaxIncomingWALsQueue != 0 {
		t.Errorf("max_incoming_wals_queue: %v, want 0 and not unset", s.MaxIncomingWALsQueue)
	}
	if n := len(s.Values()); n != 110 {
		t.Errorf("%d values, want 110", n)
	}
}

func TestConflictThroughSymbolicLink(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "target"), filepath.Join(dir, "link")); err != nil { // dangling for now
		t.Fatal(err)
	}
	cfg, _ := loadText(t, `
barman { barman_home = "`+dir+`" }
server "main" {
  conninfo               = "host=pg"
  ssh_command            = "ssh pg"
  archiver               = true
  errors_directory       = "`+dir+`/target/x"
  incoming_wals_directory = "`+dir+`/link/x"
}`)
	want := "Conflicting path: incoming_wals_directory=" + dir + "/link/x (symlink to: " + dir + "/target/x) conflicts with " +
		"'errors_directory' for server 'main'"
	s, _ := cfg.Server("main")
	if len(s.Messages) != 1 || s.Messages[0] != want || !s.Disabled {
		t.Errorf("got %q\nwant %q", s.Messages, want)
	}
}

func TestShowMasksPasswordsAndNamesSources(t *testing.T) {
	cfg, _ := loadText(t, `
barman {
  barman_home = "/srv/barman"
  compression = "gzip"
}
server "main" {
  conninfo    = "host=pg password=hunter2"
  ssh_command = "ssh pg"
}`)
	s, _ := cfg.Server("main")
	rows := map[string]Row{}
	for _, r := range append(s.Show(), cfg.ShowGlobal()...) {
		if strings.Contains(r.Value, "hunter2") {
			t.Errorf("%s shows the password", r.Option)
		}
		if _, seen := rows[r.Option]; !seen {
			rows[r.Option] = r
		}
	}
	for option, want := range map[string]Row{
		"conninfo":      {Option: "conninfo", Value: "host=pg password=*REDACTED*", Source: cfg.Path + ":7", Block: `server "main"`},
		"compression":   {Option: "compression", Value: "gzip", Source: cfg.Path + ":4", Block: "barman"},
		"archiver":      {Option: "archiver", Value: "True", Source: "rule"},
		"check_timeout": {Option: "check_timeout", Value: "30", Source: "default"},
		"barman_home":   {Option: "barman_home", Value: "/srv/barman", Source: cfg.Path + ":3", Block: "barman"},
	} {
		if rows[option] != want {
			t.Errorf("got %+v, want %+v", rows[option], want)
		}
	}
}

func TestRenderColors(t *testing.T) {
	var b strings.Builder
	ds := Diagnostics{{Severity: Warning, Summary: "careful"}, {Severity: Error, Summary: "broken"}, {Severity: Fatal, Summary: "over"}}
	if err := ds.Render(&b, true); err != nil {
		t.Fatal(err)
	}
	want := "\x1b[33mWARNING: careful\x1b[0m\n\x1b[31mERROR: broken\x1b[0m\n\x1b[31mover\x1b[0m\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

// FuzzHCL loads arbitrary text as the main file: no crash, and either a usable configuration or a fatal diagnostic.
func FuzzHCL(f *testing.F) {
	for _, name := range []string{"../../examples/minimal.hcl", "../../examples/full.hcl"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add("barman {\n barman_home = \"/nowhere\"\n}\nserver \"a\" {\n conninfo = \n}\nserver \"b\" {}\n")
	f.Add("barman { barman_home = \"${barman.barman_home}\" }")
	f.Add("server \"x")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "file") || strings.Contains(text, "configuration_files_directory") || strings.Contains(text, "\\") {
			t.Skip() // would read files of this machine
		}
		path := filepath.Join(dir, "fuzz.hcl")
		writeFile(t, path, text)
		cfg, diags := Load(LoadOptions{Path: path, Env: noEnv, Home: dir})
		if (cfg == nil) != diags.Fatal() {
			t.Fatalf("configuration %v, diagnostics %v", cfg, diags)
		}
		var b strings.Builder
		if err := diags.Render(&b, false); err != nil {
			t.Fatal(err)
		}
		if cfg == nil {
			return
		}
		for _, s := range cfg.Servers {
			if len(s.Messages) > 0 && !s.Disabled {
				t.Errorf("server %q has messages and is not disabled", s.Name)
			}
			if badName(s.Name) != "" {
				t.Errorf("unsafe server name %q", s.Name)
			}
			s.Show()
		}
	})
}
