package toolexec

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sh runs a shell script as the tool.
func sh(script string) Command { return Command{Name: "sh", Args: []string{"-c", script}} }

func TestRunReportsHowTheToolEnded(t *testing.T) {
	cases := []struct {
		name   string
		script string
		accept []int
		code   int
		want   *ExitError
	}{
		{name: "success", script: "exit 0"},
		{name: "accepted code", script: "exit 24", accept: []int{23, 24}, code: 24},
		{
			name: "failure with messages", script: "echo one >&2; printf two >&2; exit 3", code: 3,
			want: &ExitError{Tool: "sh", Code: 3, Stderr: []string{"one", "two"}},
		},
		{name: "signal", script: "kill -9 $$", code: -1, want: &ExitError{Tool: "sh", Code: -1, Signal: "SIGKILL"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			command := sh(c.script)
			command.AcceptExit = c.accept
			code, err := Run(t.Context(), command)
			if code != c.code {
				t.Errorf("code = %d, want %d", code, c.code)
			}
			var got *ExitError
			errors.As(err, &got)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("error %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestStderrKeepsTheLastLinesAndStreamsAll(t *testing.T) {
	var streamed []string
	c := sh(`i=1; while [ $i -le 50 ]; do printf 'line %d\n' $i >&2; i=$((i+1)); done; printf '10%%\r20%%\r' >&2; exit 1`)
	c.OnStderr = func(line string) { streamed = append(streamed, line) }
	_, err := Run(t.Context(), c)
	var exit *ExitError
	if !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if len(exit.Stderr) != keepLines || exit.Stderr[keepLines-1] != "20%" || exit.Stderr[0] != "line 33" {
		t.Errorf("kept %q", exit.Stderr)
	}
	if len(streamed) != 52 || streamed[0] != "line 1" || streamed[51] != "20%" {
		t.Errorf("streamed %d lines: %q", len(streamed), streamed)
	}
}

func TestEnvironmentIsEnglishWithPrefixFirst(t *testing.T) {
	t.Setenv("LC_ALL", "de_DE.UTF-8")
	dir := t.TempDir()
	var out bytes.Buffer
	c := sh(`echo "$LC_ALL|$SECRET|$PATH"`)
	c.PathPrefix, c.Env, c.Stdout = []string{dir}, []string{"SECRET=x"}, &out
	if _, err := Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "C|x|"+dir+":") {
		t.Errorf("environment: %s", out.String())
	}
}

func TestFilesArePassedDirectly(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	if err := os.WriteFile(in, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	fin, err := os.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer fin.Close()
	fout, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer fout.Close()
	c := sh(`cat; readlink /proc/self/fd/0 >&2`)
	c.Stdin, c.Stdout = fin, fout
	var link string
	c.OnStderr = func(l string) { link = l }
	if _, err := Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(out)
	if string(got) != "data" || link != in {
		t.Errorf("copied %q, stdin of the tool is %q", got, link)
	}
}

func TestPipesCarryEverything(t *testing.T) {
	data := strings.Repeat("0123456789abcdef", 1<<16)
	var out bytes.Buffer
	c := Command{Name: "cat", Stdin: strings.NewReader(data), Stdout: &out}
	if _, err := Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if out.String() != data {
		t.Errorf("got %d bytes, want %d", out.Len(), len(data))
	}
}

// slowWriter takes longer for each piece than a daemon on the pipe would be listened to.
type slowWriter struct {
	bytes.Buffer
	pause time.Duration
}

func (w *slowWriter) Write(b []byte) (int, error) {
	time.Sleep(w.pause)
	w.pause = 0
	return w.Buffer.Write(b)
}

func TestSlowWriterLosesNothing(t *testing.T) {
	out := &slowWriter{pause: drainMax + time.Second}
	// The second piece lies in the pipe when the tool is long gone.
	c := sh(`printf first; sleep 0.2; head -c 60000 /dev/zero`)
	c.Stdout = out
	if _, err := Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if out.Len() != 60005 {
		t.Errorf("%d bytes arrived", out.Len())
	}
}

func TestToolThatIgnoresItsInputIsNoError(t *testing.T) {
	if _, err := Run(t.Context(), Command{Name: "true", Stdin: strings.NewReader(strings.Repeat("x", 1<<20))}); err != nil {
		t.Error(err)
	}
}

// TestFailingInputIsNotTakenForItsEnd has tools that would be content with what came before the error.
func TestFailingInputIsNotTakenForItsEnd(t *testing.T) {
	errDisk := errors.New("input/output error")
	for _, script := range []string{"cat", "cat; sleep 600"} {
		c := sh(script)
		c.Stdin = io.MultiReader(strings.NewReader("a part"), iotest.ErrReader(errDisk))
		if _, err := Run(t.Context(), c); !errors.Is(err, errDisk) {
			t.Errorf("%s: %v", script, err)
		}
	}
}

var errFull = errors.New("full")

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errFull }

func TestFailingOutputStopsTheTool(t *testing.T) {
	c := sh(`echo x; sleep 600`)
	c.Stdout = failingWriter{}
	if _, err := Run(t.Context(), c); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}

func TestCancelEndsTheWholeGroup(t *testing.T) {
	cases := map[string]string{
		"polite":                  `sleep 600 & echo $!; sleep 600`,
		"ignores SIGTERM":         `trap '' TERM; sh -c 'trap "" TERM; sleep 600; sleep 600' & echo $!; sleep 600; sleep 600`,
		"leader leaves its child": `sh -c 'trap "" TERM; sleep 600; sleep 600' & echo $!; trap 'exit 0' TERM; sleep 600 & wait`,
	}
	for name, script := range cases {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			r, w := io.Pipe()
			c := sh(script)
			c.Stdout, c.Grace = w, 100*time.Millisecond
			child := make(chan int, 1)
			go func() {
				var pid int
				fmt.Fscan(r, &pid)
				child <- pid
				cancel()
				_, _ = io.Copy(io.Discard, r)
			}()
			_, err := Run(ctx, c)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			if pid := <-child; alive(pid) {
				t.Errorf("process %d of the group is still there", pid)
			}
		})
	}
}

func TestNormalEndLeavesNoGrandchild(t *testing.T) {
	var out bytes.Buffer
	c := sh(`sleep 600 & echo $!`)
	c.Stdout, c.Grace = &out, 100*time.Millisecond
	if _, err := Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(out.String()))
	if err != nil {
		t.Fatal(err)
	}
	if alive(pid) {
		t.Errorf("grandchild %d is still there", pid)
	}
}

// A process that daemonized keeps the pipes open, as an ssh control master does; Run does not wait for it.
func TestDaemonThatHoldsThePipesIsNotWaitedFor(t *testing.T) {
	var out bytes.Buffer
	c := sh(`setsid sh -c 'echo $$; exec sleep 600' & sleep 0.3; echo end`)
	c.Stdout = &out
	if _, err := Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	var pid int
	var word string
	if _, err := fmt.Sscan(out.String(), &pid, &word); err != nil || word != "end" {
		t.Fatalf("output %q: %v", out.String(), err)
	}
	if !alive(pid) {
		t.Error("the daemon was killed")
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

func TestNotFoundListsWhereItLooked(t *testing.T) {
	dir, empty := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "no-such-tool"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", "/nowhere::.")
	_, err := LookPath("no-such-tool", []string{dir, empty})
	if !errors.Is(err, ErrNotFound) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{dir, empty, "/nowhere", "not executable"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
}

func TestLookPathSkipsWhatIsNotExecutable(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	for dir, mode := range map[string]os.FileMode{first: 0o644, second: 0o755} {
		if err := os.WriteFile(filepath.Join(dir, "tool"), []byte("#!/bin/sh\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	got, err := LookPath("tool", []string{first, second})
	if err != nil || got != filepath.Join(second, "tool") {
		t.Errorf("got %q, %v", got, err)
	}
	if diff := cmp.Diff([]string{filepath.Join(second, "tool")}, Candidates("tool", []string{first, second})); diff != "" {
		t.Errorf("candidates (-want +got):\n%s", diff)
	}
	if _, err := LookPath("./tool", nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("relative name: %v", err)
	}
}

func TestContextThatEndedBeforeStartsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	mark := filepath.Join(t.TempDir(), "mark")
	if _, err := Run(ctx, sh("touch "+mark)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the tool ran")
	}
}

// The test binary runs itself as the parent, which is then killed without a chance to clean up.
func TestToolDiesWithItsParent(t *testing.T) {
	if os.Getenv("TOOLEXEC_TEST_PARENT") != "" {
		c := sh("echo $$; exec sleep 600")
		c.Stdout = os.Stdout
		_, _ = Run(context.Background(), c)
		return
	}
	parent := exec.Command(os.Args[0], "-test.run=^TestToolDiesWithItsParent$")
	parent.Env = append(os.Environ(), "TOOLEXEC_TEST_PARENT=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	for i := 0; alive(pid); i++ {
		if i == 500 {
			t.Fatalf("tool %d outlived its parent", pid)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func alive(pid int) bool {
	return syscall.Kill(pid, 0) == nil && !zombie(pid)
}

func TestWholeEnvReplacesTheEnvironment(t *testing.T) {
	t.Setenv("INHERITED", "yes")
	var out bytes.Buffer
	c := Command{Name: "/usr/bin/env", Stdout: &out, WholeEnv: []string{"ONLY=this"}, PathPrefix: []string{"/opt"}, Env: []string{"NOT=that"}}
	if _, err := Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("ONLY=this\n", out.String()); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

func TestLeaveBackgroundLeavesItRunning(t *testing.T) {
	var out bytes.Buffer
	// It keeps the pipe open and keeps talking, both of which must not keep Run.
	c := sh(`(trap '' PIPE; while sleep 0.05; do echo tick; done) 2>/dev/null & echo $!`)
	c.Stdout, c.LeaveBackground = &out, true
	if _, err := Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(out.String(), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatalf("output %q: %v", out.String(), err)
	}
	pgid, err := syscall.Getpgid(pid)
	if err != nil {
		t.Fatalf("the background process is gone: %v", err)
	}
	if err := syscall.Kill(-pgid, syscall.SIGKILL); err != nil {
		t.Error(err)
	}
}
