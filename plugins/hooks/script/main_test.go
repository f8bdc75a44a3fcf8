package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/sdk/hook"
)

// log collects what a script printed.
type log struct {
	mu            sync.Mutex
	info, warning []string
}

func (l *log) Line(text string, warning bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if warning {
		l.warning = append(l.warning, text)
	} else {
		l.info = append(l.info, text)
	}
}

func TestExitCodeDecidesTheOutcome(t *testing.T) {
	cases := []struct {
		command string
		want    hook.Result
		err     string
	}{
		{command: "true", want: hook.Result{Outcome: hook.Success}},
		{command: "exit 62", want: hook.Result{Outcome: hook.AbortContinue, ExitCode: 62}},
		{command: "exit 63", want: hook.Result{Outcome: hook.AbortStop, ExitCode: 63}},
		{command: "exit 1", want: hook.Result{Outcome: hook.Failure, ExitCode: 1}, err: "the script ended with exit code 1"},
		{command: "exit 64", want: hook.Result{Outcome: hook.Failure, ExitCode: 64}, err: "the script ended with exit code 64"},
		{command: "/no/such/script", want: hook.Result{Outcome: hook.Failure, ExitCode: 127}, err: "the script ended with exit code 127"},
		{command: "kill -9 $$", want: hook.Result{Outcome: hook.Failure, ExitCode: -1}, err: "the script was killed by SIGKILL"},
		{command: "sh -c 'exit 62' | cat", want: hook.Result{Outcome: hook.Success}},
	}
	for _, c := range cases {
		t.Run(c.command, func(t *testing.T) {
			got := script{command: c.command}.Run(t.Context(), hook.Event{}, &log{})
			text := ""
			if got.Err != nil {
				text, got.Err = got.Err.Error(), nil
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			if text != c.err {
				t.Errorf("error %q, want %q", text, c.err)
			}
		})
	}
}

func TestOutputIsStreamedByLine(t *testing.T) {
	out := &log{}
	script{command: `echo one; echo; printf 'caf\351\n'; echo oops >&2; printf 'no end'`}.Run(t.Context(), hook.Event{}, out)
	if diff := cmp.Diff([]string{"one", "", "caf\uFFFD", "no end"}, out.info); diff != "" {
		t.Errorf("standard output (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"oops"}, out.warning); diff != "" {
		t.Errorf("standard error (-want +got):\n%s", diff)
	}
}

func TestEnvironmentOfTheRequestWins(t *testing.T) {
	t.Setenv("PATH", "/usr/bin:/bin")
	t.Setenv("KEPT", "from the plugin")
	t.Setenv("LANG", "from the plugin")
	t.Setenv("BARMAN_PLUGIN_LIVENESS_FD", "3")
	out := &log{}
	ev := hook.Event{Environment: map[string]string{"LANG": "from the request", "BARMAN_ERROR": "", "BARMAN_HOOK": "it's \"quoted\""}}
	script{
		command: `echo "$KEPT"; echo "$LANG"; echo "${BARMAN_ERROR-unset}"; echo "$BARMAN_HOOK"; echo "$PATH"
echo "${BARMAN_PLUGIN_LIVENESS_FD-unset}"; echo "${LC_ALL-unset}"`,
		path: []string{"/opt/one", "/opt/two"},
	}.Run(t.Context(), ev, out)
	want := []string{
		"from the plugin", "from the request", "", `it's "quoted"`, "/opt/one:/opt/two:/usr/bin:/bin", "unset",
		valueOr("LC_ALL", "unset"),
	}
	if diff := cmp.Diff(want, out.info); diff != "" {
		t.Errorf("what the script saw (-want +got):\n%s", diff)
	}
}

func valueOr(name, absent string) string {
	if v, ok := os.LookupEnv(name); ok {
		return v
	}
	return absent
}

func TestPathPrefixFindsTheScript(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "fence"), []byte("#!/bin/sh\necho fenced $1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	out := &log{}
	script{command: "fence now", path: []string{dir}}.Run(t.Context(), hook.Event{}, out)
	if diff := cmp.Diff([]string{"fenced now"}, out.info); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestScriptRunsWhereBarmanWasStarted(t *testing.T) {
	dir, here := t.TempDir(), t.TempDir()
	t.Chdir(here)
	for pwd, want := range map[string]string{dir: dir, "": here, "/no/such/directory": here, "relative": here} {
		out := &log{}
		script{command: "pwd -P"}.Run(t.Context(), hook.Event{Environment: map[string]string{"PWD": pwd}}, out)
		if diff := cmp.Diff([]string{want}, out.info); diff != "" {
			t.Errorf("PWD %q: working directory (-want +got):\n%s", pwd, diff)
		}
	}
}

func TestStandardInputIsEmpty(t *testing.T) {
	out := &log{}
	script{command: "wc -c"}.Run(t.Context(), hook.Event{}, out)
	if diff := cmp.Diff([]string{"0"}, out.info); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestBackgroundProcessNeitherBlocksNorDies(t *testing.T) {
	out := &log{}
	result := script{command: `sleep 600 & echo $!`}.Run(t.Context(), hook.Event{}, out)
	if result.Outcome != hook.Success || len(out.info) != 1 {
		t.Fatalf("result %+v, output %q", result, out.info)
	}
	var pid int
	if _, err := fmt.Sscan(out.info[0], &pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("the background process is gone: %v", err)
	}
}

func TestCancellingKillsTheWholeGroup(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan hook.Result)
	go func() {
		command := fmt.Sprintf("sleep 600 & echo $! > '%[1]s.new'; echo $$ >> '%[1]s.new'; mv '%[1]s.new' '%[1]s'; wait", pids)
		done <- script{command: command}.Run(ctx, hook.Event{}, &log{})
	}()
	var started []byte
	for len(started) == 0 {
		started, _ = os.ReadFile(pids)
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	result := <-done
	if result.Outcome != hook.Failure || !errors.Is(result.Err, context.Canceled) {
		t.Errorf("result %+v, want a failure by cancellation", result)
	}
	for _, line := range strings.Fields(string(started)) {
		var pid int
		if _, err := fmt.Sscan(line, &pid); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, 0); err == nil && !isZombie(pid) {
			t.Errorf("process %d is still there", pid)
		}
	}
}

// isZombie tells whether only the exit status of a process is left, which its new parent has not read yet.
func isZombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(after, "Z")
}
