package plugintest

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/barman-go/barman/sdk/compress"
	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/hook"
	"github.com/barman-go/barman/sdk/plugin"
	"github.com/barman-go/barman/sdk/schema"
	"github.com/barman-go/barman/sdk/transfer"
)

// Option adapts the kit to a plugin.
type Option func(*settings)

type settings struct {
	binary     string
	config     schema.Values
	pathPrefix []string
	noDescribe bool
	unchecked  bool
	hooks      []hookCase
	info       plugin.Info
}

// WithConfig gives the options of the plugin's `config { }` block; needed when it has required ones.
func WithConfig(v schema.Values) Option { return func(s *settings) { s.config = v } }

// WithPathPrefix gives the directories in which the plugin looks for its tools.
func WithPathPrefix(dirs ...string) Option { return func(s *settings) { s.pathPrefix = dirs } }

// WithoutDescribe is for plugins without the SDK for Go, which need not answer `describe` on the command line.
func WithoutDescribe() Option { return func(s *settings) { s.noDescribe = true } }

// WithoutIntegrity is for a compressor whose formats cannot notice damage, because they have no checksum.
func WithoutIntegrity() Option { return func(s *settings) { s.unchecked = true } }

// WithHookCase runs a hook on an event and checks how it ends.
func WithHookCase(ev hook.Event, want hook.Outcome) Option {
	return func(s *settings) { s.hooks = append(s.hooks, hookCase{ev, want}) }
}

var semver = regexp.MustCompile(`^\d+\.\d+\.\d+([-+].*)?$`)

// Run checks the executable, which must have the name that Barman looks for. Each promise is a subtest.
func Run(t *testing.T, binary string, opts ...Option) {
	s := &settings{binary: binary}
	for _, o := range opts {
		o(s)
	}
	p := start(t, s)
	info, err := p.base.Info(t.Context())
	if err != nil {
		t.Fatalf("GetInfo: %v", err)
	}
	s.info = info
	t.Run("info", func(t *testing.T) { checkInfo(t, s) })
	t.Run("schema", func(t *testing.T) { checkSchema(t, p) })
	t.Run("open refuses an unknown option", func(t *testing.T) { checkUnknownOption(t, p) })
	t.Run("close", func(t *testing.T) { checkClose(t, p) })
	if !s.noDescribe {
		t.Run("describe on the command line", func(t *testing.T) { checkDescribe(t, s) })
		t.Run("started by hand", func(t *testing.T) { checkByHand(t, s) })
	}
	switch info.Type {
	case plugin.TypeCompress:
		checkCompressor(t, p)
	case plugin.TypeTransfer:
		checkTransfer(t, p)
	case plugin.TypeHook:
		checkHook(t, p)
	}
	for what, end := range map[string]func(*process){
		"exits when asked":          (*process).shutdown,
		"exits when Barman is gone": (*process).loseHost,
		"exits on SIGTERM":          func(p *process) { _ = p.cmd.Process.Signal(syscall.SIGTERM) },
	} {
		t.Run(what, func(t *testing.T) {
			p := start(t, s)
			p.open(t)
			end(p)
			p.waitForEnd(t)
		})
	}
	p.stop(t)
}

func checkInfo(t *testing.T, s *settings) {
	i := s.info
	if want := plugin.ExecutableName(i.Type, i.Name); filepath.Base(s.binary) != want {
		t.Errorf("the file is %s; a %s plugin called %q must be %s", filepath.Base(s.binary), i.Type, i.Name, want)
	}
	service := map[string]string{
		plugin.TypeCompress: compress.ServiceName, plugin.TypeTransfer: transfer.ServiceName, plugin.TypeHook: hook.ServiceName,
	}[i.Type]
	if service == "" {
		t.Fatalf("type %q is not one of %v", i.Type, plugin.Types())
	}
	if !slices.Contains(i.Services, service) {
		t.Errorf("services %v do not hold %s", i.Services, service)
	}
	if !semver.MatchString(i.Version) {
		t.Errorf("version %q is not semantic", i.Version)
	}
	if i.Summary == "" || strings.Contains(i.Summary, "\n") {
		t.Errorf("the summary must be one line, found %q", i.Summary)
	}
	if i.License == "" {
		t.Error("no licence is given")
	}
}

func checkSchema(t *testing.T, p *process) {
	sch, err := p.base.Schema(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := sch.Check(); err != nil {
		t.Error(err)
	}
	found, err := p.base.Validate(t.Context(), p.settings.config)
	if err != nil || found.HasErrors() {
		t.Errorf("the configuration of this test is refused: %v %v", err, found.Err())
	}
}

func checkUnknownOption(t *testing.T, p *process) {
	config := schema.Values{"no_such_option": "x"}
	for name, v := range p.settings.config {
		config[name] = v
	}
	id, found, err := p.base.Open(t.Context(), plugin.OpenRequest{Config: config, WorkDir: t.TempDir()})
	if err != nil {
		t.Fatalf("a mistake in the configuration must be a diagnostic: %v", err)
	}
	if id != "" || !found.HasErrors() {
		t.Errorf("opened %q although an option is unknown", id)
	}
}

func checkClose(t *testing.T, p *process) {
	id := p.open(t)
	for _, instance := range []string{id, id, "no such instance"} {
		if err := p.base.Close(t.Context(), instance); err != nil {
			t.Errorf("closing %q: %v", instance, err)
		}
	}
	for _, instance := range []string{id, "no such instance"} {
		err := p.describeInstance(t, instance)
		var d diag.Diagnostic
		if !errors.As(err, &d) || d.Code != diag.CodeProtocol {
			t.Errorf("a call of the unknown instance %q gives %v, want the status NOT_FOUND", instance, err)
		}
	}
}

func checkDescribe(t *testing.T, s *settings) {
	out, err := exec.Command(s.binary, "describe").Output()
	if err != nil {
		t.Fatal(err)
	}
	var d struct{ Type, Name, Version string }
	if err := json.Unmarshal(out, &d); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if d.Type != s.info.Type || d.Name != s.info.Name || d.Version != s.info.Version {
		t.Errorf("it describes %+v", d)
	}
}

func checkByHand(t *testing.T, s *settings) {
	cmd := exec.Command(s.binary)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || len(out) != 0 || said.Len() == 0 {
		t.Errorf("it must explain itself on standard error and fail: %v, stdout %q, stderr %q", err, out, said.String())
	}
}
