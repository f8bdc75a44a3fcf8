package hook_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/core/hook"
	"github.com/barman-go/barman/core/pluginhost"
	sdkhook "github.com/barman-go/barman/sdk/hook"
	"github.com/barman-go/barman/sdk/schema"
	"github.com/barman-go/barman/test/lab"
)

// built are the plugins of these tests, each built when it is needed for the first time.
var built struct {
	sync.Mutex
	dir string
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// pluginDir returns a directory that holds a plugin which build makes there.
func pluginDir(t *testing.T, executable string, build func(dir string) error) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "hook-test-")
		if err != nil {
			t.Fatal(err)
		}
		built.dir = dir
	}
	if _, err := os.Stat(filepath.Join(built.dir, executable)); err != nil {
		if err := build(built.dir); err != nil {
			t.Fatal(err)
		}
	}
	return built.dir
}

// newHost returns a host of the plugins in a directory.
func newHost(t *testing.T, options pluginhost.Options) *pluginhost.Host {
	t.Helper()
	options.SearchPath = []string{}
	host := pluginhost.New(options)
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	return host
}

// scripts returns the set of a server whose scripts run in the real plugin, each for as long as timeout allows, and what
// it logs.
func scripts(t *testing.T, options hook.Options, timeout time.Duration, values map[string]string) (*hook.Set, *bytes.Buffer) {
	t.Helper()
	host := newHost(t, pluginhost.Options{BundledDir: pluginDir(t, "barman-hook-script", func(dir string) error {
		return lab.AddPlugins(t.Context(), dir, "hooks/script")
	})})
	var log bytes.Buffer
	options.Log = hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Trace})
	hooks := hook.Scripts(
		func(option string) string { return values[option] },
		func(command string) hook.Opener {
			return func(ctx context.Context) (hook.Runner, error) {
				return host.Hook(ctx, "script", pluginhost.Use{Server: options.Server, Decode: func(schema.Schema) (schema.Values, error) {
					return schema.Values{"command": command}, nil
				}})
			}
		})
	for i := range hooks {
		hooks[i].Timeout = timeout
	}
	return hook.NewSet(options, hooks), &log
}

func TestScriptsRunInTheirPlugin(t *testing.T) {
	dir := t.TempDir()
	trace := filepath.Join(dir, "trace")
	var pauses []time.Duration
	options := hook.Options{
		Version: "3.17.0", Server: "main", Configuration: "/etc/barman.hcl", Directory: dir,
		Environ: []string{"TRACE=" + trace, "PATH=/usr/bin:/bin", "SECRET=kept out of plugins, but not of scripts"},
		Sleep:   func(_ context.Context, d time.Duration) error { pauses = append(pauses, d); return nil },
	}
	line := `echo "$BARMAN_HOOK $BARMAN_PHASE $BARMAN_SEGMENT $BARMAN_TIMESTAMP" >> "$TRACE"`
	set, log := scripts(t, options, 0, map[string]string{
		"pre_archive_script":        line + `; pwd; echo "$SECRET"; exit 63`,
		"pre_archive_retry_script":  line + `; echo no >&2; test -e ready || { touch ready; exit 1; }`,
		"post_archive_retry_script": line + `; exit 63`,
		"post_archive_script":       line,
	})
	wal := hook.WAL{Name: "000000010000000000000001", Timestamp: 1735725600}
	if err := set.Pre(t.Context(), hook.ArchiveEvent(wal)); err != nil {
		t.Fatal(err)
	}
	set.Post(t.Context(), hook.ArchiveEvent(wal))

	got, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, h := range []string{
		"archive_script pre", "archive_retry_script pre", "archive_retry_script pre", "archive_retry_script post", "archive_script post",
	} {
		fmt.Fprintf(&want, "%s 000000010000000000000001 1735725600.0\n", h)
	}
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]time.Duration{3 * time.Second}, pauses); diff != "" {
		t.Errorf("pauses (-want +got):\n%s", diff)
	}
	for _, text := range []string{dir, "kept out of plugins", "[WARN]  no", "returned 63", "Ignoring stop request"} {
		if !strings.Contains(log.String(), text) {
			t.Errorf("the log lacks %q:\n%s", text, log)
		}
	}
}

func TestAbortStopComesThroughThePlugin(t *testing.T) {
	set, _ := scripts(t, hook.Options{Server: "main"}, 0, map[string]string{"pre_backup_retry_script": "exit 63"})
	err := set.Pre(t.Context(), hook.BackupEvent(hook.Backup{Backup: sdkhook.Backup{ID: "20250101T000000"}}))
	var abort *hook.AbortError
	if !errors.As(err, &abort) {
		t.Fatalf("error %v, want an AbortError", err)
	}
}

func TestCancellingStopsAScriptThatRuns(t *testing.T) {
	dir := t.TempDir()
	started := filepath.Join(dir, "started")
	set, _ := scripts(t, hook.Options{Server: "main", Directory: dir, Environ: os.Environ()}, 0, map[string]string{
		"pre_backup_retry_script": "echo $$ > new; mv new started; sleep 600",
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error)
	go func() { done <- set.Pre(ctx, hook.BackupEvent(hook.Backup{})) }()
	var pid []byte
	for len(pid) == 0 {
		pid, _ = os.ReadFile(started)
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if _, err := os.Stat("/proc/" + strings.TrimSpace(string(pid))); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the script still runs: %v", err)
	}
}
