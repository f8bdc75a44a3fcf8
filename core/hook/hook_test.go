package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	sdkhook "github.com/barman-go/barman/sdk/hook"
	"github.com/barman-go/barman/sdk/toolexec"
)

// shell runs commands as the plugin "script" does, without a process of its own; end-to-end tests use the plugin.
type shell struct{ command string }

func (s shell) Run(ctx context.Context, ev sdkhook.Event, out sdkhook.Output) (sdkhook.Result, error) {
	var stdout bytes.Buffer
	env := []string{"PATH=" + os.Getenv("PATH"), fmt.Sprintf("ATTEMPT=%d", ev.Attempt)}
	for name, value := range ev.Environment {
		env = append(env, name+"="+value)
	}
	code, err := toolexec.Run(ctx, toolexec.Command{
		Name: "/bin/sh", Args: []string{"-c", s.command}, WholeEnv: env, Stdout: &stdout,
		OnStderr: func(line string) { out.Line(line, true) },
	})
	if ctx.Err() != nil {
		return sdkhook.Result{}, ctx.Err()
	}
	for line := range strings.Lines(stdout.String()) {
		out.Line(strings.TrimSuffix(line, "\n"), false)
	}
	outcome := map[int]sdkhook.Outcome{
		0: sdkhook.Success, 62: sdkhook.AbortContinue, 63: sdkhook.AbortStop,
	}[code]
	if outcome == 0 {
		outcome = sdkhook.Failure
	}
	return sdkhook.Result{Outcome: outcome, ExitCode: code, Err: err}, nil
}

// bench is a set whose hooks are shell scripts, with a clock that only counts.
type bench struct {
	*Set
	trace  string
	log    bytes.Buffer
	slept  []time.Duration
	opened []string
}

// newBench makes a set from script options. In a script, $TRACE is a file to append to.
func newBench(t *testing.T, scripts map[string]string) *bench {
	t.Helper()
	b := &bench{trace: filepath.Join(t.TempDir(), "trace")}
	hooks := Scripts(func(option string) string { return scripts[option] }, func(command string) Opener {
		return func(context.Context) (Runner, error) {
			b.opened = append(b.opened, command)
			return shell{command}, nil
		}
	})
	b.Set = NewSet(Options{
		Version: "3.17.0", Server: "main", Configuration: "etc/barman.hcl", Environ: []string{"TRACE=" + b.trace},
		Log: hclog.New(&hclog.LoggerOptions{Output: &b.log, Level: hclog.Trace, DisableTime: true}),
		Sleep: func(ctx context.Context, d time.Duration) error {
			b.slept = append(b.slept, d)
			return ctx.Err()
		},
	}, hooks)
	return b
}

func (b *bench) traced(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(b.trace)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// allScripts gives every one of the twenty options the same script.
func allScripts(script string) map[string]string {
	scripts := map[string]string{}
	for _, event := range events {
		for _, phase := range []string{"pre", "post"} {
			for _, kind := range []string{"script", "retry_script"} {
				scripts[phase+"_"+event+"_"+kind] = script
			}
		}
	}
	return scripts
}

const traceHook = `echo "$BARMAN_HOOK $BARMAN_PHASE" >> "$TRACE"`

func TestOrderIsPreStandardPreRetryPostRetryPostStandard(t *testing.T) {
	for name, ev := range map[string]Event{
		"backup": BackupEvent(Backup{}), "delete": DeleteEvent(Backup{}), "archive": ArchiveEvent(WAL{}),
		"wal_delete": WALDeleteEvent(WAL{}), "recovery": RecoveryEvent(Recovery{}),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, allScripts(traceHook))
			if err := b.Pre(t.Context(), ev); err != nil {
				t.Fatal(err)
			}
			b.Post(t.Context(), ev)
			want := []string{
				name + "_script pre", name + "_retry_script pre", name + "_retry_script post", name + "_script post",
			}
			if diff := cmp.Diff(want, b.traced(t)); diff != "" {
				t.Errorf("trace (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAbortStopInPrePhaseStopsTheOperation(t *testing.T) {
	b := newBench(t, map[string]string{"pre_wal_delete_script": traceHook + "; exit 63", "pre_wal_delete_retry_script": "exit 63"})
	err := b.Pre(t.Context(), WALDeleteEvent(WAL{}))
	var abort *AbortError
	if !errors.As(err, &abort) {
		t.Fatalf("error %v, want an AbortError", err)
	}
	if diff := cmp.Diff("Abort 'pre_wal_delete_retry_script' retry hook script (exit 63, exit code: 63)", err.Error()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	// 63 of the standard hook stopped nothing: the retry hook ran after it.
	if diff := cmp.Diff([]string{"wal_delete_script pre"}, b.traced(t)); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	b.logged(t, "[ERROR] exit 63 was aborted (got exit status 63, Barman requested to stop)")
}

func (b *bench) logged(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(strings.ReplaceAll(b.log.String(), "]  ", "] "), w) {
			t.Errorf("the log lacks %q:\n%s", w, b.log.String())
		}
	}
}

func TestAbortStopInPostPhaseIsIgnoredWithAWarning(t *testing.T) {
	b := newBench(t, map[string]string{"post_wal_delete_retry_script": "exit 63", "post_wal_delete_script": traceHook})
	b.Post(t.Context(), WALDeleteEvent(WAL{}))
	if diff := cmp.Diff([]string{"wal_delete_script post"}, b.traced(t)); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	b.logged(t,
		"[ERROR] exit 63 was aborted (got exit status 63, Barman requested to stop)",
		"[WARN] Ignoring stop request after receiving abort (exit code 63) from post-wal-delete retry hook script: exit 63")
}

func TestAbortContinueGoesOn(t *testing.T) {
	b := newBench(t, map[string]string{"pre_backup_retry_script": traceHook + "; exit 62"})
	if err := b.Pre(t.Context(), BackupEvent(Backup{})); err != nil {
		t.Errorf("error %v", err)
	}
	if got := len(b.traced(t)); got != 1 || len(b.slept) != 0 {
		t.Errorf("%d attempts, pauses %v; want one attempt", got, b.slept)
	}
	b.logged(t, "was aborted (got exit status 62, Barman resumes)")
}

func TestRetryHookIsRepeatedUntilItSucceeds(t *testing.T) {
	b := newBench(t, map[string]string{"pre_archive_retry_script": `echo "$ATTEMPT" >> "$TRACE"; echo out; echo err >&2; test "$ATTEMPT" = 14`})
	if err := b.Pre(t.Context(), ArchiveEvent(WAL{})); err != nil {
		t.Fatal(err)
	}
	var attempts []string
	for i := range 14 {
		attempts = append(attempts, fmt.Sprint(i+1))
	}
	if diff := cmp.Diff(attempts, b.traced(t)); diff != "" {
		t.Errorf("attempts (-want +got):\n%s", diff)
	}
	group := []time.Duration{3e9, 3e9, 3e9, 3e9, 3e9, 60e9}
	if diff := cmp.Diff(append(slices.Concat(group, group), 3e9), b.slept); diff != "" {
		t.Errorf("pauses (-want +got):\n%s", diff)
	}
	b.logged(t, "[DEBUG] Retry again in 3 seconds",
		"[DEBUG] Reached 5 failures. Take a nap then retry again in 60 seconds",
		"[DEBUG] out:", "[WARN] err:", "returned 1:", "| out", "| err")
}

func TestStandardHookRunsOnceWhateverItsExitCode(t *testing.T) {
	b := newBench(t, map[string]string{"pre_backup_script": traceHook + "; exit 1", "post_backup_script": traceHook + "; kill -9 $$"})
	if err := b.Pre(t.Context(), BackupEvent(Backup{})); err != nil {
		t.Errorf("error %v", err)
	}
	b.Post(t.Context(), BackupEvent(Backup{}))
	if diff := cmp.Diff([]string{"backup_script pre", "backup_script post"}, b.traced(t)); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	if len(b.slept) != 0 {
		t.Errorf("pauses %v", b.slept)
	}
}

func TestPluginIsOpenedOnceAndOnlyWhenNeeded(t *testing.T) {
	b := newBench(t, map[string]string{"pre_archive_script": "true", "pre_backup_script": "exit 0"})
	for range 3 {
		if err := b.Pre(t.Context(), ArchiveEvent(WAL{})); err != nil {
			t.Fatal(err)
		}
		b.Post(t.Context(), BackupEvent(Backup{}))
	}
	if diff := cmp.Diff([]string{"true"}, b.opened); diff != "" {
		t.Errorf("opened (-want +got):\n%s", diff)
	}
	if !b.Has(sdkhook.EventBackup) || b.Has(sdkhook.EventRecovery) {
		t.Error("Has is wrong about backup or recovery")
	}
	var none *Set
	if none.Has(sdkhook.EventBackup) || none.Pre(t.Context(), BackupEvent(Backup{})) != nil {
		t.Error("a nil set has hooks")
	}
	none.Post(t.Context(), BackupEvent(Backup{}))
}

func TestPluginThatCannotBeOpened(t *testing.T) {
	missing := errors.New("plugin webhook not found")
	open := func(context.Context) (Runner, error) { return nil, missing }
	cases := []struct {
		phase   string
		retry   bool
		stopped bool
	}{{"pre", true, true}, {"pre", false, false}, {"post", true, false}, {"post", false, false}}
	for _, c := range cases {
		var log bytes.Buffer
		s := NewSet(Options{Log: hclog.New(&hclog.LoggerOptions{Output: &log})}, []Hook{
			{Event: "backup", Phase: c.phase, Retry: c.retry, Title: "webhook", Open: open},
		})
		err := s.Pre(t.Context(), BackupEvent(Backup{}))
		s.Post(t.Context(), BackupEvent(Backup{}))
		var typed *OpenError
		if stopped := errors.As(err, &typed) && errors.Is(err, missing); stopped != c.stopped {
			t.Errorf("%s, retry %v: error %v", c.phase, c.retry, err)
		}
		if !c.stopped && !strings.Contains(log.String(), "plugin webhook not found") {
			t.Errorf("%s, retry %v: the log says %q", c.phase, c.retry, log.String())
		}
	}
}

// crashing is a plugin that crashes at its first call.
type crashing struct{ calls int }

func (c *crashing) Run(context.Context, sdkhook.Event, sdkhook.Output) (sdkhook.Result, error) {
	if c.calls++; c.calls == 1 {
		return sdkhook.Result{}, errors.New("plugin webhook was killed")
	}
	return sdkhook.Result{Outcome: sdkhook.Success}, nil
}

func TestCrashOfThePluginIsAFailure(t *testing.T) {
	plugin := &crashing{}
	var slept []time.Duration
	s := NewSet(Options{Sleep: func(_ context.Context, d time.Duration) error { slept = append(slept, d); return nil }}, []Hook{{
		Event: "backup", Phase: "pre", Retry: true, Title: "webhook",
		Open: func(context.Context) (Runner, error) { return plugin, nil },
	}})
	if err := s.Pre(t.Context(), BackupEvent(Backup{})); err != nil || plugin.calls != 2 || len(slept) != 1 {
		t.Errorf("error %v, %d calls, pauses %v; want two calls with one pause", err, plugin.calls, slept)
	}
}

func TestCancellingEndsARetryHook(t *testing.T) {
	b := newBench(t, map[string]string{"pre_backup_retry_script": "exit 1"})
	ctx, cancel := context.WithCancel(t.Context())
	b.options.Sleep = func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }
	if err := b.Pre(ctx, BackupEvent(Backup{})); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if err := sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("sleep: %v", err)
	}
	b = newBench(t, map[string]string{"pre_backup_script": traceHook})
	if err := b.Pre(ctx, BackupEvent(Backup{})); !errors.Is(err, context.Canceled) || b.traced(t)[0] != "" {
		t.Errorf("a hook ran after the end: %v, %v", err, b.traced(t))
	}
}

func TestOutputDetailsAreBounded(t *testing.T) {
	out := &output{log: hclog.NewNullLogger()}
	for i := range 20000 {
		out.Line(fmt.Sprintf("line %d", i), i%2 == 0)
	}
	details := out.details()
	if len(details) > 2*maxDetails || !strings.HasSuffix(details, "line 19998\n") || !strings.Contains(details, "line 19999\n") {
		t.Errorf("%d bytes, ends with %q", len(details), details[len(details)-20:])
	}
}
