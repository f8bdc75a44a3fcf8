package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/schema"
)

var webhook = schema.Schema{
	{Name: "url", Type: schema.String, Required: true},
	{Name: "method", Type: schema.String, Default: "POST", Allowed: []string{"POST", "PUT"}},
	{Name: "timeout", Type: schema.Integer, Default: 10},
	{Name: "rate", Type: schema.Number},
	{Name: "verify", Type: schema.Bool, Default: true},
	{Name: "headers", Type: schema.StringMap},
	{Name: "tags", Type: schema.StringList},
	{Name: "pin", Type: schema.String, Sensitive: true},
	{Name: "old", Type: schema.String, Deprecated: "use url"},
}

// hookConfig loads a server with one hook block and these lines in its config block.
func hookConfig(t *testing.T, lines string) *PluginBlock {
	t.Helper()
	cfg, _ := loadText(t, `
barman { barman_home = "/srv/barman" }
plugin "hook" "webhook" {
  pass_env = ["HTTPS_PROXY"]
  config {
    timeout = 5
    method  = "PUT"
  }
}
server "main" {
  conninfo    = "host=pg"
  ssh_command = "ssh pg"
  archiver    = true
  hook "post_backup" "webhook" {
    retry   = true
    timeout = 90
    config {
      `+strings.ReplaceAll(lines, "\n", "\n      ")+`
    }
  }
  plugin "hook" "webhook" {
    path = "/opt/webhook"
    config {
      timeout = 7
    }
  }
}`)
	s, ok := cfg.Server("main")
	if !ok || s.Disabled || len(s.Hooks) != 1 {
		t.Fatalf("server: %+v", s)
	}
	h := s.Hooks[0]
	if h.Phase != "post" || h.Event != "backup" || !h.Retry || h.Timeout != 90*time.Second || h.Option() != "post_backup_retry_script" {
		t.Fatalf("hook: %+v", h)
	}
	return h.Config
}

func TestHookOptionsLieOverThoseOfServerAndTop(t *testing.T) {
	block := hookConfig(t, `url = "https://${server.name}${barman.barman_home}"`)
	if block.Path != "/opt/webhook" || len(block.PassEnv) != 1 || block.Server != "main" || block.Name != "webhook" {
		t.Errorf("block: %+v", block)
	}
	got, diags := DecodePlugin(block, webhook)
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	want := schema.Values{"url": "https://main/srv/barman", "method": "PUT", "timeout": 7, "verify": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPluginOptionsHaveTheTypesOfTheSchema(t *testing.T) {
	block := hookConfig(t, `url = 5
rate = "0.5"
verify = "false"
headers = { A = "b", C = 1 }
tags = ["x", 2]
timeout = "30"
method = null
pin = "s3cret"`)
	got, diags := DecodePlugin(block, webhook)
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	want := schema.Values{
		"url": "5", "method": "PUT", "timeout": 30, "rate": 0.5, "verify": false,
		"headers": map[string]string{"A": "b", "C": "1"}, "tags": []string{"x", "2"}, "pin": "s3cret",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPluginOptionMistakesPointAtTheLine(t *testing.T) {
	for _, c := range []struct {
		name, lines string
		severity    Severity
		want        []string
	}{
		{"required", ``, Error, []string{`Required option "url" of hook plugin "webhook" is missing`, `in hook "post_backup" "webhook"`}},
		{"misspelt", "url = \"u\"\ntimeot = 3", Error, []string{`Unknown option "timeot" of hook plugin "webhook"`, "line 19", `Did you mean "timeout"?`}},
		{"unknown", "url = \"u\"\nxyzzy = 3", Error, []string{`Its options are: url, method`}},
		{"type", "url = \"u\"\ntimeout = \"soon\"", Error, []string{`Option "timeout" must be a whole number`, `timeout = "soon"`, "^^^"}},
		{"fraction", "url = \"u\"\ntimeout = 1.5", Error, []string{`Option "timeout" must be a whole number`}},
		{"list", "url = \"u\"\ntags = \"x\"", Error, []string{`Option "tags" must be a list of texts`}},
		{"null in list", "url = \"u\"\ntags = [null]", Error, []string{`Option "tags" must be a list of texts`}},
		{"map", "url = \"u\"\nheaders = [1]", Error, []string{`Option "headers" must be a map of texts`}},
		{"bool", "url = \"u\"\nverify = \"maybe\"", Error, []string{`Option "verify" must be true or false`}},
		{"choice", "url = \"u\"\nmethod = \"POTS\"", Error, []string{`Option "method" must be one of 'POST', 'PUT'`, `Did you mean "POST"?`}},
		{"block", "url = \"u\"\nheaders {\nA = \"b\"\n}", Error, []string{`Unknown block "headers"`, "headers = { … }"}},
		{"expression", "url = env(\"NOT_SET\")", Error, []string{`environment variable "NOT_SET" is not set`}},
		{"deprecated", "url = \"u\"\nold = \"x\"", Warning, []string{`Option "old" of hook plugin "webhook" is deprecated`, "use url"}},
	} {
		_, diags := DecodePlugin(hookConfig(t, c.lines), webhook)
		if len(diags) != 1 || diags[0].Severity != c.severity || diags[0].Server != "main" {
			t.Errorf("%s: got %+v", c.name, diags)
			continue
		}
		for _, want := range c.want {
			if text := diags[0].Text(false); !strings.Contains(text, want) {
				t.Errorf("%s: %q is missing in\n%s", c.name, want, text)
			}
		}
	}
}

func TestSensitivePluginOptionsAreNeverShown(t *testing.T) {
	for _, lines := range []string{
		`pin = ["hunter2"]`, // wrong type
		`pin = "hunter2${barman.nothing}"`,
		`pinn = "hunter2"`, // misspelt
		`pins { a = "hunter2" }`,
		`token = "hunter2"`, // not even known to the plugin
	} {
		_, diags := DecodePlugin(hookConfig(t, lines), webhook)
		if len(diags) < 2 { // url is missing as well
			t.Errorf("%s: no diagnostic: %v", lines, diags)
		}
		for _, d := range diags {
			if strings.Contains(d.Text(false)+d.Error(), "hunter2") {
				t.Errorf("%s is shown:\n%s", lines, d.Text(false))
			}
		}
	}
}

func TestNilBlockGivesDefaults(t *testing.T) {
	got, diags := DecodePlugin(nil, schema.Schema{{Name: "level", Type: schema.Integer, Default: 3}, {Name: "x", Type: schema.String}})
	if diff := cmp.Diff(schema.Values{"level": 3}, got); diff != "" || len(diags) > 0 {
		t.Errorf("(-want +got)\n%s%v", diff, diags)
	}
	if _, diags := DecodePlugin(nil, webhook); !diags.HasErrors() {
		t.Error("a required option without a block: no error")
	}
}

func TestPluginsOwnDiagnosticsPointAtTheConfiguration(t *testing.T) {
	block := hookConfig(t, "url = \"ftp://x\"\npin = \"hunter2\"")
	found := diag.List{
		{Severity: diag.Error, Summary: "scheme is not supported", Attribute: "url", Detail: "use https"},
		{Severity: diag.Warning, Summary: "pin is short", Attribute: "pin"},
		{Severity: diag.Error, Summary: "curl is missing"},
		{Severity: diag.Error, Summary: "timeout is too short", Attribute: "timeout"},
	}
	got := PluginDiagnostics(block, webhook, found)
	if got[0].Range.Line != 18 || !strings.Contains(got[0].Snippet, "ftp://x") || got[0].Severity != Error {
		t.Errorf("url: %+v", got[0])
	}
	if got[1].Range.Line != 19 || got[1].Snippet != "" || got[1].Severity != Warning {
		t.Errorf("pin: %+v", got[1])
	}
	if got[2].Range.Line != block.Range.Line || got[2].Snippet != "" {
		t.Errorf("no attribute: %+v", got[2])
	}
	if got[3].Range.Line != 25 || got[3].Block != `plugin "hook" "webhook"` {
		t.Errorf("timeout: %+v", got[3])
	}
	if ds := PluginDiagnostics(nil, webhook, found); len(ds) != 4 || ds[0].Range != (Range{}) {
		t.Errorf("without a block: %+v", ds)
	}
}

func TestPluginLayers(t *testing.T) {
	cfg, diags := loadText(t, `
barman { barman_home = "/srv/barman" }
plugin "compress" "zstd" {
  path   = "/opt/zstd"
  sha256 = "`+strings.Repeat("AB", 32)+`"
}
server "a" {
  conninfo = "host=pg"
  ssh_command = "x"
  archiver = true
  backup_options = "concurrent_backup"
  plugin "compress" "zstd" { path = "/opt/other" }
  plugin "transfer" "zfs" {}
}
server "b" {
  conninfo = "host=pg"
  ssh_command = "x"
  archiver = true
  backup_options = "concurrent_backup"
}`)
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	a, _ := cfg.Server("a")
	b, _ := cfg.Server("b")
	if p := cfg.Plugin(a, "compress", "zstd"); p.Path != "/opt/other" || p.SHA256 != "" {
		t.Errorf("a: the pin of another executable is kept: %+v", p)
	}
	for _, s := range []*Server{b, nil} {
		if p := cfg.Plugin(s, "compress", "zstd"); p.Path != "/opt/zstd" || p.SHA256 != strings.Repeat("ab", 32) {
			t.Errorf("%+v", p)
		}
	}
	if p := cfg.Plugin(b, "transfer", "zfs"); p != nil {
		t.Errorf("b has no zfs: %+v", p)
	}
	if ps := cfg.PluginsOf(a); len(ps) != 2 || ps[0].Name != "zstd" || ps[1].Name != "zfs" {
		t.Errorf("plugins of a: %+v", ps)
	}
}
