package pluginhost

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/sdk/hook"
	"github.com/barman-go/barman/sdk/schema"
)

// asHost makes the test binary a host that is to be killed; its value is the directory of the plugins.
const asHost = "PLUGINHOST_TEST_AS_HOST"

// faultBinary is test/faultplugin, built once.
var faultBinary string

func TestMain(m *testing.M) {
	if dir := os.Getenv(asHost); dir != "" {
		hostToBeKilled(dir)
		return
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "pluginhost-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	faultBinary = filepath.Join(dir, "faultplugin")
	build := exec.Command("go", "build", "-o", faultBinary, "github.com/barman-go/barman/test/faultplugin")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// install links the fault plugin under names into a new directory.
func install(t *testing.T, names ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "plugins")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := os.Link(faultBinary, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// newHost makes a host that sees only the given plugins, and a log that can be read.
func newHost(t *testing.T, opts Options) (*Host, *logBuffer) {
	t.Helper()
	log := &logBuffer{}
	opts.Log = hclog.New(&hclog.LoggerOptions{Output: log, Level: hclog.Debug, DisableTime: true})
	if opts.SearchPath == nil {
		opts.SearchPath = []string{}
	}
	if opts.TempDir == "" {
		dir, err := os.MkdirTemp("/tmp", "phost-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		opts.TempDir = dir
	}
	h := New(opts)
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h, log
}

// config gives a plugin these values.
func config(v schema.Values) func(schema.Schema) (schema.Values, error) {
	return func(schema.Schema) (schema.Values, error) { return v, nil }
}

func fault(name, marker string) Use {
	return Use{Server: "main", Decode: config(schema.Values{"fault": name, "marker": marker})}
}

// lines collects a hook's output.
type lines struct{ text []string }

func (l *lines) Line(text string, _ bool) { l.text = append(l.text, text) }

// runHook opens the hook plugin "fault" and runs it with variables.
func runHook(t *testing.T, h *Host, variables map[string]string) ([]string, hook.Result, error) {
	t.Helper()
	c, err := h.Hook(t.Context(), "fault", Use{Server: "main"})
	if err != nil {
		t.Fatal(err)
	}
	out := &lines{}
	result, err := c.Run(t.Context(), hook.Event{
		Name: hook.EventBackup, Phase: hook.PhasePre, Environment: variables, Backup: &hook.Backup{ID: "20260101T000000"},
	}, out)
	return out.text, result, err
}

// hostToBeKilled starts a plugin that runs a tool, and waits for its end.
func hostToBeKilled(dir string) {
	h := New(Options{BundledDir: dir, SearchPath: []string{}, TempDir: os.Getenv(asHost + "_TEMP")})
	c, err := h.Hook(context.Background(), "fault", Use{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, err = c.Run(context.Background(), hook.Event{
		Environment: map[string]string{"FAULT": "tool", "MARKER": os.Getenv(asHost + "_MARKER")},
	}, nil)
	fmt.Fprintln(os.Stderr, "the hook ended:", err)
	os.Exit(1)
}

// eventually waits for a condition; what it waits for happens in another process.
func eventually(t *testing.T, within time.Duration, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(5 * time.Millisecond) {
		if met() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}

// waitForFile returns the content of a file that another process writes.
func waitForFile(t *testing.T, path string) string {
	t.Helper()
	var content []byte
	eventually(t, 20*time.Second, path+" appears", func() bool {
		var err error
		content, err = os.ReadFile(path)
		return err == nil
	})
	return string(content)
}

// running tells whether a process is there and no zombie.
func isRunning(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	after := stat[strings.LastIndexByte(string(stat), ')')+1:]
	return !strings.HasPrefix(string(after), " Z")
}
