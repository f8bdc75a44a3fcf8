package hook_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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

// scripts returns the set of a server whose scripts run in the real plugin, and what it logs.
func scripts(t *testing.T, options hook.Options, values map[string]string) (*hook.Set, *bytes.Buffer) {
	t.Helper()
	dir := t.TempDir()
	if err := lab.AddPlugins(t.Context(), dir, "hooks/script"); err != nil {
		t.Fatal(err)
	}
	host := pluginhost.New(pluginhost.Options{BundledDir: dir, SearchPath: []string{}})
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	var log bytes.Buffer
	options.Log = hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Trace})
	return hook.NewSet(options, hook.Scripts(
		func(option string) string { return values[option] },
		func(command string) hook.Opener {
			return func(ctx context.Context) (hook.Runner, error) {
				return host.Hook(ctx, "script", pluginhost.Use{Server: options.Server, Decode: func(schema.Schema) (schema.Values, error) {
					return schema.Values{"command": command}, nil
				}})
			}
		})), &log
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
	set, log := scripts(t, options, map[string]string{
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
	set, _ := scripts(t, hook.Options{Server: "main"}, map[string]string{"pre_backup_retry_script": "exit 63"})
	err := set.Pre(t.Context(), hook.BackupEvent(hook.Backup{Backup: sdkhook.Backup{ID: "20250101T000000"}}))
	var abort *hook.AbortError
	if !errors.As(err, &abort) {
		t.Fatalf("error %v, want an AbortError", err)
	}
}

func TestCancellingStopsAScriptThatRuns(t *testing.T) {
	dir := t.TempDir()
	started := filepath.Join(dir, "started")
	set, _ := scripts(t, hook.Options{Server: "main", Directory: dir, Environ: os.Environ()}, map[string]string{
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
