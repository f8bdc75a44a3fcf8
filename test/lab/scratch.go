package lab

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
)

// ScratchDir makes an empty directory that belongs to PostgresUser, that everybody can enter, and whose path is short
// enough for sockets in it. It is removed when the test ends.
func ScratchDir(t testing.TB) string {
	t.Helper()
	dir, err := NewScratchDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() && os.Getenv("BARMAN_TEST_KEEP") != "" {
			t.Logf("kept %s", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the scratch directory: %v", err)
		}
	})
	return dir
}

// NewScratchDir is ScratchDir for programs; the directory is removed when this process ends, if not before.
func NewScratchDir() (string, error) {
	owner, err := PostgresUser()
	if err != nil {
		return "", err
	}
	// Not os.TempDir: TMPDIR may be long, or closed to other users.
	dir, err := os.MkdirTemp("/tmp", "lab")
	if err != nil {
		return "", err
	}
	if os.Getenv("BARMAN_TEST_KEEP") == "" {
		if err := theJanitor.remove(dir); err != nil {
			return "", err
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	return dir, owner.own(dir)
}

// FreePort returns a TCP port of 127.0.0.1 that nobody uses at the moment.
func FreePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// makeDir makes a directory for the owner.
func makeDir(path string, mode os.FileMode, owner User) error {
	if err := os.MkdirAll(path, mode); err != nil {
		return err
	}
	if err := os.Chmod(path, mode); err != nil {
		return err
	}
	return owner.own(path)
}

// janitor is a child process that removes directories when this process has ended, however it ended: it reads their names
// from a pipe whose other end only we hold.
type janitor struct {
	once sync.Once
	pipe io.Writer
	err  error
}

// theJanitor is one for the whole process, like the directories it looks after.
var theJanitor janitor

func (j *janitor) remove(dir string) error {
	j.once.Do(func() { j.pipe, j.err = startJanitor() })
	if j.err != nil {
		return j.err
	}
	_, err := fmt.Fprintln(j.pipe, dir)
	return err
}

func startJanitor() (io.Writer, error) {
	// A server that dies with us may still be writing when the first attempt is made.
	cmd := exec.Command("/bin/sh", "-c", `while read -r d; do set -- "$@" "$d"; done; sleep 1; rm -rf -- "$@" || { sleep 2; rm -rf -- "$@"; }`)
	// An interrupt from the terminal is for us; the janitor has work to do then.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the lab's janitor: %w", err)
	}
	return pipe, nil
}
