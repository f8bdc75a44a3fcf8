package plugin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/hook"
	pluginv1 "github.com/barman-go/barman/sdk/pb/barman/plugin/v1"
	"github.com/barman-go/barman/sdk/schema"
)

var everyType = schema.Schema{
	{Name: "text", Type: schema.String, Default: "a", Allowed: []string{"a", "b"}, Help: "A text."},
	{Name: "count", Type: schema.Integer, Default: 10, Help: "A count."},
	{Name: "ratio", Type: schema.Number, Default: 0.5, Help: "A ratio."},
	{Name: "on", Type: schema.Bool, Default: true, Help: "A switch."},
	{Name: "list", Type: schema.StringList, Default: []string{"x", "y"}, Help: "A list."},
	{Name: "map", Type: schema.StringMap, Default: map[string]string{"k": "v"}, Help: "A map."},
	{Name: "url", Type: schema.String, Required: true, Help: "Where to."},
	{Name: "token", Type: schema.String, Sensitive: true, Deprecated: "use url", Help: "A secret."},
}

// nothing is a hook that does nothing.
type nothing struct{}

func (nothing) Events() []string { return []string{hook.EventBackup} }
func (nothing) Run(context.Context, hook.Event, hook.Output) hook.Result {
	return hook.Result{Outcome: hook.Success}
}

func openNothing(context.Context, Env) (hook.Hook, error) { return nothing{}, nil }

func TestInfoAndSchemaCrossTheWire(t *testing.T) {
	def := Definition{
		Name: "webhook", Version: "1.2.3-rc.1", Summary: "posts", License: "MIT", Capabilities: []string{"dry-run"},
		Tools:  []Tool{{Name: "curl", MinimumVersion: "7.0", Required: true}},
		Schema: everyType, Hook: openNothing,
	}
	c := NewClient(dial(t, def))
	info, err := c.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := Info{
		Type: "hook", Name: "webhook", Version: "1.2.3-rc.1", Summary: "posts", License: "MIT",
		Services: []string{hook.ServiceName}, Capabilities: []string{"dry-run"}, Tools: def.Tools,
	}
	if d := cmp.Diff(want, info); d != "" {
		t.Error(d)
	}
	got, err := c.Schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(everyType, got); d != "" {
		t.Error(d)
	}
}

func TestOpenGivesCompleteValues(t *testing.T) {
	var env Env
	conn := dial(t, Definition{Schema: everyType, Hook: func(_ context.Context, e Env) (hook.Hook, error) {
		env = e
		return nothing{}, nil
	}})
	id, found, err := NewClient(conn).Open(t.Context(), OpenRequest{
		Config: schema.Values{"url": "u", "count": 9007199254740993, "list": []string{}, "token": "t"},
		Server: "main", PathPrefix: []string{"/a"}, WorkDir: "/w",
	})
	if err != nil || id == "" {
		t.Fatal(id, err)
	}
	want := schema.Values{
		"text": "a", "count": 9007199254740993, "ratio": 0.5, "on": true, "list": []string{}, "url": "u", "token": "t",
		"map": map[string]string{"k": "v"},
	}
	if d := cmp.Diff(want, env.Config); d != "" {
		t.Error(d)
	}
	if env.Server != "main" || env.WorkDir != "/w" || len(env.PathPrefix) != 1 {
		t.Errorf("got %+v", env)
	}
	wantFound := diag.List{{
		Severity: diag.Warning, Attribute: "token", Code: diag.CodeInvalidOption, Summary: `option "token" is deprecated`,
		Detail: "use url",
	}}
	if d := cmp.Diff(wantFound, found); d != "" {
		t.Error(d)
	}
}

func TestDiagnosticsOfValidateAndOpenCrossTheWire(t *testing.T) {
	rule := diag.Diagnostic{
		Severity: diag.Error, Summary: "no", Detail: "try\nagain", Attribute: "url", Code: "custom", Retryable: true,
	}
	conn := dial(t, Definition{
		Schema:   everyType,
		Validate: func(schema.Values) diag.List { return diag.List{rule} },
		Hook:     openNothing,
	})
	c := NewClient(conn)
	got, err := c.Validate(t.Context(), schema.Values{"url": "u"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(diag.List{rule}, got); d != "" {
		t.Error(d)
	}
	id, got, err := c.Open(t.Context(), OpenRequest{Config: schema.Values{"url": "u"}})
	if id != "" || err != nil || !got.HasErrors() {
		t.Errorf("opened %q, %v, %v", id, got, err)
	}
	if got, err = c.Validate(t.Context(), schema.Values{}); err != nil || len(got) != 1 || got[0].Attribute != "url" {
		t.Errorf("without the required option: %v, %v", got, err)
	}
	resp, err := pluginv1.NewPluginClient(conn).Open(t.Context(), &pluginv1.OpenRequest{ConfigJson: "[1]"})
	if err != nil || len(resp.GetDiagnostics()) != 1 || resp.GetInstance() != "" {
		t.Errorf("configuration that is no object: %v, %v", resp, err)
	}
}

func TestOpenThatFailsGivesAllItsDiagnostics(t *testing.T) {
	conn := dial(t, Definition{Hook: func(context.Context, Env) (hook.Hook, error) {
		return nil, errors.Join(diag.Diagnostic{Summary: "one"}, fmt.Errorf("at start: %w", diag.Diagnostic{Summary: "two", Code: "c"}))
	}})
	_, got, err := NewClient(conn).Open(t.Context(), OpenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	want := diag.List{{Severity: diag.Error, Summary: "one"}, {Severity: diag.Error, Summary: "at start: two", Code: "c"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

type closing struct {
	nothing
	closed chan struct{}
}

func (c closing) Close() error { close(c.closed); return nil }

func TestCloseEndsTheInstance(t *testing.T) {
	h := closing{closed: make(chan struct{})}
	var life context.Context
	conn := dial(t, Definition{Hook: func(ctx context.Context, _ Env) (hook.Hook, error) { life = ctx; return h, nil }})
	id := openOn(t, conn, nil)
	if life.Err() != nil {
		t.Error("the instance's context ended with Open")
	}
	for range 2 {
		if err := NewClient(conn).Close(t.Context(), id); err != nil {
			t.Errorf("closing again: %v", err)
		}
	}
	<-h.closed
	if life.Err() == nil {
		t.Error("the instance's context lives on")
	}
	_, err := hook.NewClient(conn, id).Run(t.Context(), hook.Event{}, nil)
	var d diag.Diagnostic
	if !errors.As(err, &d) || d.Code != diag.CodeProtocol || d.Summary != "the plugin does not know this instance" {
		t.Errorf("got %v", err)
	}
}

func TestDefinitionMistakesAreAllNamed(t *testing.T) {
	err := Definition{
		Name: "Big Name", Version: "v1", Hook: openNothing,
		Schema: schema.Schema{
			{Name: "Bad-Name", Type: schema.String, Help: "x"},
			{Name: "a", Type: schema.Integer, Default: "one", Help: "x"},
			{Name: "a", Type: 99},
			{Name: "r", Type: schema.Bool, Required: true, Default: true, Help: "x"},
			{Name: "h", Type: schema.Bool},
		},
	}.Check()
	if err == nil {
		t.Fatal("no mistake found")
	}
	for _, want := range []string{
		`name "Big Name"`, `version "v1"`, "summary is empty", `option "Bad-Name": the name`, `option "a": default: must be of type integer`,
		`option "a": is listed twice`, `option "a": has no type`, `option "r": is required and has a default`, `option "h": has no help`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
	if err := (Definition{Name: "x", Version: "1.0.0", Summary: "x"}).Check(); err == nil {
		t.Error("a plugin without a type passes")
	}
}

func TestCommandLine(t *testing.T) {
	def := Definition{
		Name: "webhook", Version: "1.2.3", Summary: "posts", Schema: everyType[:1], Hook: openNothing,
	}
	for _, c := range []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{nil, 1, "", "barman-hook-webhook is a plugin of Barman and is started by it."},
		{[]string{"--version"}, 0, "barman-hook-webhook 1.2.3\n", ""},
		{[]string{"--help"}, 0, `hook "post_backup" "webhook"`, ""},
		{[]string{"--nope"}, 2, "", `unknown argument "--nope"`},
		{[]string{"describe", "x"}, 2, "", "too many arguments"},
		{[]string{"describe"}, 0, `"name": "webhook"`, ""},
	} {
		var stdout, stderr bytes.Buffer
		code := commandLine(def, c.args, &stdout, &stderr)
		if code != c.code || !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
			t.Errorf("%v: exit code %d\nstdout: %s\nstderr: %s", c.args, code, &stdout, &stderr)
		}
		if c.stderr == "" && stderr.Len() > 0 || c.stdout == "" && stdout.Len() > 0 {
			t.Errorf("%v: also printed\nstdout: %s\nstderr: %s", c.args, &stdout, &stderr)
		}
	}
}

func TestDescribeWithoutConfiguration(t *testing.T) {
	def := Definition{Name: "webhook", Version: "1.2.3", Summary: "posts", Schema: everyType, Hook: openNothing}
	text, err := describe(def)
	if err != nil {
		t.Fatal(err)
	}
	var got description
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Options) != len(everyType) || !strings.Contains(got.Note, `option "url" is required`) {
		t.Errorf("got %+v", got)
	}
}
