package main

import (
	"bytes"
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
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the test binary answer to the names of the client and of ssh.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"barman-wal-archive": main, "ssh": fakeSSH})
}

// fakeSSH writes its arguments to $SSH_ARGS and its input to $SSH_INPUT, and ends as $SSH_EXIT says. With $SSH_READS it reads only
// that many bytes, with $SSH_STAYS it never ends.
func fakeSSH() {
	note := func(name string, text []byte) {
		if path := os.Getenv(name); path != "" {
			_ = os.WriteFile(path, text, 0o600)
		}
	}
	note("SSH_ARGS", []byte(strings.Join(os.Args[1:], "\n")))
	in := io.Reader(os.Stdin)
	if n, err := strconv.ParseInt(os.Getenv("SSH_READS"), 10, 64); err == nil {
		in = io.LimitReader(in, n)
	}
	input, _ := io.ReadAll(in)
	note("SSH_INPUT", input)
	note("SSH_PID", []byte(strconv.Itoa(os.Getpid())))
	for os.Getenv("SSH_STAYS") != "" {
		time.Sleep(time.Second)
	}
	if text := os.Getenv("SSH_SAYS"); text != "" {
		fmt.Fprintln(os.Stderr, text)
	}
	code, _ := strconv.Atoi(os.Getenv("SSH_EXIT"))
	os.Exit(code)
}

const segment = "000000010000000000000001"

// sender runs the client.
type sender struct {
	t    *testing.T
	dir  string
	path string
	env  []string
}

func newSender(t *testing.T, content []byte) *sender {
	t.Helper()
	dir := t.TempDir()
	s := &sender{t: t, dir: dir, path: filepath.Join(dir, segment)}
	if err := os.WriteFile(s.path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s.env = append(os.Environ(), "TMPDIR="+dir, "SSH_ARGS="+filepath.Join(dir, "args"), "SSH_INPUT="+filepath.Join(dir, "input"),
		"SSH_PID="+filepath.Join(dir, "pid"))
	return s
}

func (s *sender) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(s.t.Context(), "barman-wal-archive", args...)
	cmd.Env = s.env
	return cmd
}

func (s *sender) run(args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	cmd := s.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func TestWordsForTheRemoteShell(t *testing.T) {
	for line, want := range map[string]string{
		"backup main P": "-q|-T|barman@backup|barman|put-wal|main",
		"-U me --port 22 -c /etc/b.conf backup main P":                        "-p|22|-q|-T|me@backup|barman|--config='/etc/b.conf'|put-wal|main",
		"backup main P --conf x --user=u":                                     "-q|-T|u@backup|barman|--config='x'|put-wal|main",
		"-t backup main P":                                                    "-q|-T|barman@backup|barman|put-wal|main|--test",
		"-zj --xz --snappy --zstd --lz4 --compression-level -7 backup main P": "-q|-T|barman@backup|barman|put-wal|main",
	} {
		s := newSender(t, []byte("x"))
		code, _, stderr := s.run(strings.Fields(strings.ReplaceAll(line, " P", " "+s.path))...)
		got, err := os.ReadFile(filepath.Join(s.dir, "args"))
		if err != nil || code != 0 {
			t.Fatalf("%s: exit code %d: %s (%v)", line, code, stderr, err)
		}
		if diff := cmp.Diff(strings.Split(want, "|"), strings.Split(string(got), "\n")); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", line, diff)
		}
	}
}

func TestExitCodes(t *testing.T) {
	const big = 1 << 20 // more than a pipe holds
	for name, test := range map[string]struct {
		env, args []string
		missing   bool
		code      int
		says      string
	}{
		"stored":                         {code: 0},
		"remote error":                   {env: []string{"SSH_EXIT=1", "SSH_SAYS=ERROR: Bad file checksum"}, code: 1, says: "ERROR: Bad file checksum\nERROR: Remote 'barman put-wal' command has failed!\n"},
		"remote error before it is sent": {env: []string{"SSH_EXIT=1", "SSH_READS=10"}, code: 1, says: "Remote 'barman put-wal' command has failed!"},
		"no connection":                  {env: []string{"SSH_EXIT=255", "SSH_READS=0"}, code: 3, says: "ERROR: Connection problem with ssh\n"},
		"no barman over there":           {env: []string{"SSH_EXIT=127", "SSH_READS=0"}, code: 2, says: "exit code 127"},
		"success that read nothing":      {env: []string{"SSH_READS=10"}, code: 2, says: "without reading all"},
		"a directory":                    {args: []string{"backup", "main", "/tmp"}, code: 2, says: "ERROR: WAL_PATH cannot be a directory: /tmp\n"},
		"no such file":                   {args: []string{"backup", "main", "/nonexistent/x"}, code: 2, says: "no such file"},
		"a device":                       {args: []string{"backup", "main", "/dev/null"}, code: 2, says: "not a regular file"},
		"no ssh":                         {env: []string{"PATH=/nonexistent"}, code: 2, says: "ERROR: Error executing ssh: "},
		"arguments missing":              {args: []string{"backup", "main"}, code: 2, says: "required: WAL_PATH"},
		"too many arguments":             {args: []string{"a", "b", "c", "d"}, code: 2, says: "unrecognized arguments: d"},
		"unknown option":                 {args: []string{"--nope", "a", "b", "c"}, code: 2, says: "unknown flag: --nope"},
		"bad level":                      {args: []string{"--compression-level", "much", "a", "b", "c"}, code: 2, says: "neither low, medium, high nor a number"},
		"bad port":                       {args: []string{"--port", "0", "a", "b", "c"}, code: 2, says: "not a port"},
		"test: its own code":             {args: []string{"--test", "a", "b", "c"}, env: []string{"SSH_EXIT=255"}, code: 255},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSender(t, make([]byte, big))
			client, err := exec.LookPath("barman-wal-archive")
			if err != nil {
				t.Fatal(err)
			}
			s.env = append(s.env, test.env...)
			args := test.args
			if args == nil {
				args = []string{"backup", "main", s.path}
			}
			cmd := s.command(args...)
			cmd.Path = client
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			_ = cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != test.code || !strings.Contains(stderr.String(), test.says) {
				t.Errorf("exit code %d, %q; want %d, %q", code, &stderr, test.code, test.says)
			}
		})
	}
}

func TestTestPrintsWhatTheOtherSideSays(t *testing.T) {
	s := newSender(t, nil)
	s.env = append(s.env, "SSH_SAYS=Ready")
	code, _, stderr := s.run("--test", "backup", "main", "x")
	if code != 0 || stderr != "Ready\n" {
		t.Errorf("exit code %d, %q", code, stderr)
	}
}

// TestASignalEndsSSHAndTheClient: the exit code is one that PostgreSQL takes for "try again", and ssh does not stay.
func TestASignalEndsSSHAndTheClient(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		s := newSender(t, []byte("x"))
		s.env = append(s.env, "SSH_STAYS=1")
		cmd := s.command("--zstd", "backup", "main", s.path)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var pid int
		for pid == 0 {
			text, _ := os.ReadFile(filepath.Join(s.dir, "pid"))
			pid, _ = strconv.Atoi(string(text))
			time.Sleep(5 * time.Millisecond)
		}
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 2 || !strings.Contains(stderr.String(), "interrupted") {
			t.Errorf("%s: exit code %d, %q", sig, code, &stderr)
		}
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("%s: ssh is still there", sig)
		}
		if left, _ := filepath.Glob(filepath.Join(s.dir, "barman-wal-archive*")); len(left) > 0 {
			t.Errorf("%s: it left %v", sig, left)
		}
	}
}

func TestVersion(t *testing.T) {
	for _, option := range []string{"-V", "--version"} {
		code, stdout, _ := newSender(t, nil).run(option)
		if code != 0 || stdout != "barman-wal-archive 3.17.0 Barman in Go, version dev\n" {
			t.Errorf("%s: exit code %d, %q", option, code, stdout)
		}
	}
}
