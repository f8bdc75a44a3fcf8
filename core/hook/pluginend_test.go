package hook_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/core/hook"
	"github.com/barman-go/barman/core/pluginhost"
)

// limit is the timeout of hooks that hang. The plugin starts within it, on a busy machine too; a script that gets no further
// is run once more, and nothing else changes.
const limit = 4 * time.Second

// impatient waits for nothing between two attempts.
func impatient(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func TestScriptThatHangsIsStoppedWithAllThatItStarted(t *testing.T) {
	cases := map[string]string{
		"hangs":                 `sleep 600 & echo $$ $! > new; mv new pids; wait`,
		"ignores SIGTERM":       `trap '' TERM; sleep 600 & echo $$ $! > new; mv new pids; wait; sleep 600`,
		"has a child that does": `(trap '' TERM; sleep 600; sleep 600) & echo $$ $! > new; mv new pids; wait`,
	}
	for name, script := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // what ignores SIGTERM has five seconds to think better of it
			dir := t.TempDir()
			set, log := scripts(t, hook.Options{Server: "main", Directory: dir, Environ: os.Environ(), Sleep: impatient}, limit, map[string]string{
				"pre_backup_retry_script": `test -e pids && exit 0; echo "still at it"; ` + script,
			})
			if err := set.Pre(t.Context(), hook.BackupEvent(hook.Backup{})); err != nil {
				t.Fatal(err)
			}
			pids, err := os.ReadFile(filepath.Join(dir, "pids"))
			if err != nil {
				t.Fatal(err)
			}
			for _, pid := range strings.Fields(string(pids)) {
				if isRunning(pid) {
					t.Errorf("process %s still runs", pid)
				}
			}
			for _, want := range []string{"was stopped after its timeout of 4s", "still at it", "returned 0"} {
				if !strings.Contains(log.String(), want) {
					t.Errorf("the log lacks %q:\n%s", want, log)
				}
			}
		})
	}
}

func TestScriptThatIsKilledIsRepeated(t *testing.T) {
	for _, signal := range []string{"SEGV", "KILL", "TERM"} {
		set, log := scripts(t, hook.Options{Server: "main", Directory: t.TempDir(), Environ: os.Environ(), Sleep: impatient}, 0, map[string]string{
			"pre_backup_script":       `kill -` + signal + ` $$`,
			"pre_backup_retry_script": `test -e again || { touch again; kill -` + signal + ` $$; }`,
		})
		if err := set.Pre(t.Context(), hook.BackupEvent(hook.Backup{})); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(log.String(), "returned -1"); got != 2 || strings.Count(log.String(), "returned 0") != 1 {
			t.Errorf("SIG%s: the log tells of %d deaths:\n%s", signal, got, log)
		}
	}
}

func TestHookWhosePluginEndsIsRepeated(t *testing.T) {
	dir := pluginDir(t, "barman-hook-fault", func(dir string) error {
		build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "barman-hook-fault"), "../../test/faultplugin")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		return nil
	})
	for fault, wants := range map[string][]string{
		"panic-once": {"ended unexpectedly: exit status 2: told to panic once"},
		"kill-once":  {"ended unexpectedly: signal: killed"},
		"hang-once":  {"webhook was stopped after its timeout of 4s", "plugin is killed, because it does not stop"},
	} {
		var buf bytes.Buffer
		log := hclog.New(&hclog.LoggerOptions{Output: &buf, Level: hclog.Debug})
		host := newHost(t, pluginhost.Options{BundledDir: dir, StopTimeout: 100 * time.Millisecond, Log: log})
		marker := filepath.Join(t.TempDir(), "marker")
		set := hook.NewSet(hook.Options{Environ: []string{"FAULT=" + fault, "MARKER=" + marker}, Log: log, Sleep: impatient}, []hook.Hook{{
			Event: "delete", Phase: "pre", Retry: true, Timeout: limit, Title: "webhook", InheritEnvironment: true,
			Open: func(ctx context.Context) (hook.Runner, error) {
				return host.Hook(context.WithoutCancel(ctx), "fault", pluginhost.Use{})
			},
		}})
		if err := set.Pre(t.Context(), hook.DeleteEvent(hook.Backup{})); err != nil {
			t.Errorf("%s: %v", fault, err)
		}
		if err := host.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(marker); err != nil {
			t.Errorf("%s: %v", fault, err)
		}
		for _, want := range wants {
			if !strings.Contains(buf.String(), want) {
				t.Errorf("%s: the log lacks %q:\n%s", fault, want, buf.String())
			}
		}
	}
}

// isRunning tells whether a process is there and no zombie.
func isRunning(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	after := stat[bytes.LastIndexByte(stat, ')')+1:]
	return !bytes.HasPrefix(after, []byte(" Z"))
}
