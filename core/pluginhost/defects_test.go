package pluginhost

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/barman-go/barman/sdk/compress"
	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/hook"
	"github.com/barman-go/barman/sdk/transfer"
)

// Each test here shows that one thing which hashicorp/go-plugin leaves to the host is taken care of; see doc.go.

func TestKilledHostLeavesNoPluginAndNoTool(t *testing.T) {
	dir := install(t, "barman-hook-fault")
	temp, err := os.MkdirTemp("/tmp", "phost-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(temp) }()
	marker := filepath.Join(t.TempDir(), "pids")
	host := exec.Command(os.Args[0])
	host.Env = append(os.Environ(), asHost+"="+dir, asHost+"_TEMP="+temp, asHost+"_MARKER="+marker)
	host.Stderr = os.Stderr
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	tools := strings.Fields(waitForFile(t, marker))
	pids := append(tools, children(t, host.Process.Pid)...)
	if len(pids) != 3 {
		t.Fatalf("want the tool, its child and the plugin, found %v", pids)
	}
	if err := host.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = host.Wait()
	eventually(t, 5*time.Second, "plugin and tools are gone", func() bool { return !slices.ContainsFunc(pids, isRunning) })

	// The next host sweeps what the dead one left.
	left, err := filepath.Glob(filepath.Join(temp, runPrefix+"*"))
	if err != nil || len(left) != 1 {
		t.Fatalf("the killed host should have left one run directory: %v, %v", left, err)
	}
	h, _ := newHost(t, Options{BundledDir: dir, TempDir: temp})
	if _, err := h.Hook(t.Context(), "fault", Use{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left[0]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s was not swept: %v", left[0], err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if rest, _ := os.ReadDir(temp); len(rest) != 0 {
		t.Errorf("Close left %v", rest)
	}
}

func TestRunDirectoryOfLivingHostIsNotSwept(t *testing.T) {
	dir := install(t, "barman-hook-fault")
	first, _ := newHost(t, Options{BundledDir: dir})
	if _, _, err := runHook(t, first, nil); err != nil {
		t.Fatal(err)
	}
	second, _ := newHost(t, Options{BundledDir: dir, TempDir: first.opts.TempDir})
	if _, _, err := runHook(t, second, nil); err != nil {
		t.Fatal(err)
	}
	if _, _, err := runHook(t, first, nil); err != nil {
		t.Errorf("the first host's plugin does not answer any more: %v", err)
	}
	if info, err := os.Stat(first.run.path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("run directory: %v, %v", info, err)
	}
}

func TestKilledPluginLeavesNoTool(t *testing.T) {
	h, _ := newHost(t, Options{BundledDir: install(t, "barman-hook-fault")})
	marker := filepath.Join(t.TempDir(), "pids")
	ended := make(chan error, 1)
	go func() {
		_, _, err := runHook(t, h, map[string]string{"FAULT": "tool", "MARKER": marker})
		ended <- err
	}()
	tools := strings.Fields(waitForFile(t, marker))
	if len(tools) != 2 || !isRunning(tools[0]) || !isRunning(tools[1]) {
		t.Fatalf("the tools do not run: %v", tools)
	}
	if err := syscall.Kill(pluginPID(t, h), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	err := <-ended
	var crash *CrashError
	if !errors.As(err, &crash) || crash.Status != "signal: killed" {
		t.Errorf("got %v", err)
	}
	eventually(t, 5*time.Second, "the tools are gone", func() bool { return !slices.ContainsFunc(tools, isRunning) })
}

func TestStdinIsUntouched(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	old := os.Stdin
	os.Stdin = r
	defer func() { os.Stdin = old }()
	if _, err := w.WriteString("a WAL segment"); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	h, _ := newHost(t, Options{BundledDir: install(t, "barman-hook-fault")})
	out, _, err := runHook(t, h, map[string]string{"FAULT": "stdin"})
	if err != nil || len(out) != 1 || out[0] != "0 bytes, <nil>" {
		t.Errorf("the plugin's stdin is not /dev/null: %q, %v", out, err)
	}
	buf := make([]byte, 100)
	n, err := r.Read(buf)
	if err != nil || string(buf[:n]) != "a WAL segment" {
		t.Errorf("the host's stdin now has %q, %v", buf[:n], err)
	}
}

func TestEnvironmentIsFiltered(t *testing.T) {
	for name, value := range map[string]string{
		"PGPASSWORD": "secret", "LD_PRELOAD_X": "x", "LC_TIME": "C", "ACME_REGION": "eu", "ACME_TOKEN": "t", "SITE": "one",
		"PLUGIN_CLIENT_CERT": "stray",
	} {
		t.Setenv(name, value)
	}
	h, _ := newHost(t, Options{BundledDir: install(t, "barman-hook-fault"), PassEnv: []string{"ACME_*", "SITE"}})
	out, _, err := runHook(t, h, map[string]string{"FAULT": "env"})
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, entry := range out {
		name, _, _ := strings.Cut(entry, "=")
		have[name] = true
	}
	for name, want := range map[string]bool{
		"PATH": true, "LC_TIME": true, "ACME_REGION": true, "ACME_TOKEN": true, "SITE": true,
		"PGPASSWORD": false, "LD_PRELOAD_X": false, "PLUGIN_CLIENT_CERT": false,
		// The handshake's own are not for the plugin's tools either.
		"BARMAN_PLUGIN_COOKIE": false, "PLUGIN_UNIX_SOCKET_DIR": false,
	} {
		if have[name] != want {
			t.Errorf("%s passed: %v, want %v", name, have[name], want)
		}
	}
}

func TestFiveMiBRequest(t *testing.T) {
	h, _ := newHost(t, Options{BundledDir: install(t, "barman-transfer-fault")})
	c, err := h.Transfer(t.Context(), "fault", Use{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var changes []transfer.FileChange
	for i := range 5 {
		changes = append(changes, transfer.FileChange{
			Action: transfer.Write, Path: filepath.Join(dir, strconv.Itoa(i)), Content: make([]byte, 1<<20),
		})
	}
	if done, err := c.ApplyFiles(t.Context(), nil, changes); done != 5 || err != nil {
		t.Errorf("done %d, %v", done, err)
	}
}

func TestMessageThatIsTooLargeIsExplained(t *testing.T) {
	h, _ := newHost(t, Options{BundledDir: install(t, "barman-transfer-fault")})
	c, err := h.Transfer(t.Context(), "fault", Use{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.ApplyFiles(t.Context(), nil, []transfer.FileChange{{Content: make([]byte, 17<<20)}})
	var d diag.Diagnostic
	if !errors.As(err, &d) || d.Code != diag.CodeProtocol || !strings.Contains(d.Summary, "larger than 16 MiB") {
		t.Errorf("got %v", err)
	}
}

func TestPanicIsReportedWithItsText(t *testing.T) {
	dir := install(t, "barman-hook-fault")
	h, log := newHost(t, Options{BundledDir: dir})
	_, _, err := runHook(t, h, map[string]string{"FAULT": "panic"})
	var crash *CrashError
	if !errors.As(err, &crash) {
		t.Fatalf("got %v", err)
	}
	if crash.Panic != "told to panic" || crash.Status != "exit status 2" || crash.Plugin != "hook/fault" ||
		crash.Path != filepath.Join(dir, "barman-hook-fault") {
		t.Errorf("got %+v", crash)
	}
	if strings.Contains(err.Error(), "goroutine") || strings.Contains(err.Error(), "rpc error") {
		t.Errorf("not for people: %v", err)
	}
	if !strings.Contains(log.String(), "goroutine") {
		t.Error("the stack is not in the log, where its author needs it")
	}
}

func TestExitIsReportedWithLastLines(t *testing.T) {
	h, _ := newHost(t, Options{BundledDir: install(t, "barman-hook-fault")})
	_, _, err := runHook(t, h, map[string]string{"FAULT": "exit"})
	var crash *CrashError
	if !errors.As(err, &crash) || crash.Status != "exit status 7" || !slices.Contains(crash.Stderr, "giving up") {
		t.Errorf("got %v", err)
	}
}

func TestIdempotentCallIsRepeatedOnceAfterCrash(t *testing.T) {
	h, _ := newHost(t, Options{BundledDir: install(t, "barman-compress-fault")})
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	if err := os.WriteFile(source, []byte("some WAL"), 0o600); err != nil {
		t.Fatal(err)
	}
	req := compress.FileRequest{Source: source, Destination: filepath.Join(dir, "out")}

	once, err := h.Compressor(t.Context(), "fault", fault("panic-once", filepath.Join(dir, "marker")))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := once.CompressFile(t.Context(), req); err != nil || r.PlainBytes != 8 {
		t.Errorf("the repeated call: %+v, %v", r, err)
	}

	always, err := h.Compressor(t.Context(), "fault", fault("panic", ""))
	if err != nil {
		t.Fatal(err)
	}
	req.Destination += "2"
	if _, err := always.CompressFile(t.Context(), req); !isCrash(err) {
		t.Errorf("got %v, want the crash", err)
	}
	if r, err := once.TestFile(t.Context(), compress.FileRequest{Source: filepath.Join(dir, "out")}); err != nil {
		t.Errorf("an instance of the restarted process: %+v, %v", r, err)
	}
}

func TestCopyIsNotRepeatedAfterCrash(t *testing.T) {
	h, _ := newHost(t, Options{BundledDir: install(t, "barman-transfer-fault")})
	c, err := h.Transfer(t.Context(), "fault", fault("panic-once", filepath.Join(t.TempDir(), "marker")))
	if err != nil {
		t.Fatal(err)
	}
	plan := transfer.Plan{Direction: transfer.Local, Workers: 1}
	if _, err := c.Copy(t.Context(), plan, nil); !isCrash(err) {
		t.Errorf("got %v, want the crash", err)
	}
	if _, err := c.Copy(t.Context(), plan, nil); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

func TestPluginThatKeepsCrashingIsGivenUp(t *testing.T) {
	h, _ := newHost(t, Options{BundledDir: install(t, "barman-hook-fault")})
	c, err := h.Hook(t.Context(), "fault", Use{})
	if err != nil {
		t.Fatal(err)
	}
	ev := hook.Event{Environment: map[string]string{"FAULT": "kill"}}
	for range maxCrashes {
		if _, err := c.Run(t.Context(), ev, nil); !isCrash(err) {
			t.Fatal(err)
		}
	}
	_, err = c.Run(t.Context(), hook.Event{}, nil)
	if err == nil || !strings.Contains(err.Error(), "not started again after 5 crashes") {
		t.Errorf("got %v", err)
	}
}

func TestNoiseOnStandardOutputIsLogged(t *testing.T) {
	h, log := newHost(t, Options{BundledDir: install(t, "barman-hook-noise", "barman-hook-fault")})
	if _, err := h.Hook(t.Context(), "noise", Use{}); err != nil {
		t.Errorf("noise before the handshake: %v", err)
	}
	if _, _, err := runHook(t, h, map[string]string{"FAULT": "print"}); err != nil {
		t.Errorf("noise during a call: %v", err)
	}
	for _, want := range []string{
		"debug: here I am", "and here is half a line", "/tmp/nowhere", "straight to the descriptor", "and on standard error",
	} {
		eventually(t, 5*time.Second, want+" is in the log", func() bool { return strings.Contains(log.String(), want) })
	}
}

func TestCancelledCallReturnsWhenItsToolsAreGone(t *testing.T) {
	h, _ := newHost(t, Options{BundledDir: install(t, "barman-hook-fault")})
	c, err := h.Hook(t.Context(), "fault", Use{})
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range []string{"tool", "slow-stop"} {
		marker := filepath.Join(t.TempDir(), "marker")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := c.Run(ctx, hook.Event{Environment: map[string]string{"FAULT": fault, "MARKER": marker}}, nil)
			ended <- err
		}()
		before := waitForFile(t, marker)
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", fault, err)
		}
		if fault == "tool" && slices.ContainsFunc(strings.Fields(before), isRunning) {
			t.Error("the call returned before its tools were gone")
		}
		if after := waitForFile(t, marker); fault == "slow-stop" && after != "stopped" {
			t.Error("the call returned before the plugin had stopped")
		}
	}
}

func TestPluginThatDoesNotStopIsKilled(t *testing.T) {
	h, log := newHost(t, Options{BundledDir: install(t, "barman-hook-fault"), StopTimeout: 100 * time.Millisecond})
	c, err := h.Hook(t.Context(), "fault", Use{})
	if err != nil {
		t.Fatal(err)
	}
	for _, stopped := range []bool{false, true} {
		marker := filepath.Join(t.TempDir(), "marker")
		pid := pluginPID(t, h)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := c.Run(ctx, hook.Event{Environment: map[string]string{"FAULT": "hang", "MARKER": marker}}, nil)
			ended <- err
		}()
		waitForFile(t, marker)
		if stopped {
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if isRunning(strconv.Itoa(pid)) {
			t.Error("it still runs")
		}
		if !strings.Contains(log.String(), "plugin is killed, because it does not stop") {
			t.Errorf("the log does not say so:\n%s", log)
		}
		if _, err := c.Run(t.Context(), hook.Event{}, nil); err != nil {
			t.Errorf("the next call: %v", err)
		}
	}
}

func TestPluginThatHangsIsEndedByClose(t *testing.T) {
	h, _ := newHost(t, Options{BundledDir: install(t, "barman-hook-fault")})
	marker := filepath.Join(t.TempDir(), "marker")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _, _ = runHook(t, h, map[string]string{"FAULT": "hang", "MARKER": marker})
	}()
	waitForFile(t, marker)
	pid := strconv.Itoa(pluginPID(t, h))
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	<-ended
	if isRunning(pid) {
		t.Error("it still runs")
	}
}

func TestStoppedPluginIsEndedByClose(t *testing.T) {
	h, _ := newHost(t, Options{BundledDir: install(t, "barman-hook-fault")})
	if _, _, err := runHook(t, h, nil); err != nil {
		t.Fatal(err)
	}
	pid := pluginPID(t, h)
	// It cannot answer anything, not even the request to end.
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if isRunning(strconv.Itoa(pid)) {
		t.Error("it still runs")
	}
}

// pluginPID returns the process id of the only plugin that runs.
func pluginPID(t *testing.T, h *Host) int {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.procs {
		if r := p.runningNow(); r != nil {
			return r.runner.pid
		}
	}
	t.Fatal("no plugin runs")
	return 0
}

// children returns the process ids of a process's children.
func children(t *testing.T, pid int) []string {
	t.Helper()
	tasks, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, strings.Fields(string(b))...)
	}
	return out
}
