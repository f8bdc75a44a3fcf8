package sshshare

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/sdk/toolexec"
	"github.com/barman-go/barman/test/lab"
)

func newPool(t *testing.T, dir string, prefix ...string) *Pool {
	t.Helper()
	p := New(dir, prefix, hclog.NewNullLogger())
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// say runs a session that prints a word.
func say(t *testing.T, command []string) {
	t.Helper()
	var out bytes.Buffer
	if _, err := toolexec.Run(t.Context(), toolexec.Command{
		Name: command[0], Args: append(slices.Clone(command[1:]), "echo word"), Stdout: &out,
	}); err != nil || out.String() != "word\n" {
		t.Errorf("%q: %q, %v", command, out.String(), err)
	}
}

func listDir(t *testing.T, dir string) []os.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func loginsOf(s *lab.SSHD) int { return strings.Count(s.Log(), "Accepted publickey") }

func TestSessionsShareOneLoginUntilTheEnd(t *testing.T) {
	me, err := lab.CurrentUser()
	if err != nil {
		t.Fatal(err)
	}
	sshd := lab.StartSSHD(t)
	remote := sshd.Command(me, me)
	dir := lab.ScratchDir(t)
	p := newPool(t, dir)
	for range 3 {
		say(t, p.Command(t.Context(), remote))
	}
	if n := loginsOf(sshd); n != 1 {
		t.Errorf("%d log-ins for three sessions", n)
	}
	// The network fails: sessions log in by themselves.
	if sshd.Drop() == 0 {
		t.Error("there was no connection")
	}
	for deadline := time.Now().Add(time.Minute); len(listDir(t, dir)) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the connection has not noticed that it is broken")
		}
	}
	say(t, p.Command(t.Context(), remote))
	if n := loginsOf(sshd); n != 2 {
		t.Errorf("%d log-ins, want a second one after the connection broke", n)
	}
	q := newPool(t, lab.ScratchDir(t))
	command := q.Command(t.Context(), remote)
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := exec.Command("pgrep", "-f", q.dir).Output(); err == nil {
		t.Errorf("processes are left: %s", left)
	}
	if left := listDir(t, q.dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	say(t, command)
	if got := q.Command(t.Context(), []string{"ssh", "elsewhere"}); len(got) != 2 {
		t.Errorf("a closed pool has made %q", got)
	}
}

func TestCommandsThatAreLeftAlone(t *testing.T) {
	dir := lab.ScratchDir(t)
	programs := filepath.Join(dir, "bin")
	if err := os.Mkdir(programs, 0o755); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "config")
	if err := os.WriteFile(config, []byte("Host *\n ControlMaster auto\n ControlPath ~/mine-%C\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Another ssh knows no -G.
	if err := os.WriteFile(filepath.Join(programs, "ssh"), []byte("#!/bin/sh\necho Dropbear\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	unreachable := []string{"ssh", "-F", "none", "-p", "1", "-o", "BatchMode=yes", "127.0.0.1"}
	for name, tc := range map[string]struct {
		dir    string
		prefix []string
		remote []string
	}{
		"a wrapper":            {dir, nil, []string{"/usr/local/bin/to-db", "host"}},
		"none":                 {dir, nil, nil},
		"another ssh":          {dir, []string{programs}, []string{"ssh", "host"}},
		"a path of the user's": {dir, nil, []string{"ssh", "-F", "none", "-S", "/tmp/mine", "host"}},
		"an option":            {dir, nil, []string{"ssh", "-F", "none", "-o", "ControlPath=/tmp/mine", "host"}},
		"his configuration":    {dir, nil, []string{"ssh", "-F", config, "host"}},
		"a long directory":     {dir + "/" + strings.Repeat("x", 80), nil, unreachable},
		"a directory to quote": {dir + "/a b", nil, unreachable},
		"nobody there":         {dir, nil, unreachable},
	} {
		if got := newPool(t, tc.dir, tc.prefix...).Command(t.Context(), tc.remote); !slices.Equal(got, tc.remote) {
			t.Errorf("%s: %q became %q", name, tc.remote, got)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if got := newPool(t, dir).Command(gone, unreachable); !slices.Equal(got, unreachable) {
		t.Errorf("cancelled: %q", got)
	}
}
