package filecopy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/plugin"
	"github.com/barman-go/barman/sdk/progress"
	"github.com/barman-go/barman/sdk/transfer"
	"github.com/barman-go/barman/test/lab"
)

func TestFilesThatVanishDuringTheCopyAreNoError(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		src, dst := t.TempDir(), t.TempDir()
		files := tree{}
		for i := range 400 {
			files[fmt.Sprintf("base/%d/%d", i%20, i)] = strings.Repeat("x", 8192)
		}
		write(t, src, files)
		write(t, src, tree{"stays": "here"})
		ctx, stop := context.WithCancel(t.Context())
		var storm sync.WaitGroup
		// Relations and whole databases come and go all the time.
		storm.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				path := fmt.Sprintf("%s/base/%d", src, i%20)
				_ = os.RemoveAll(path)
				_ = os.Mkdir(path, 0o700)
				_ = os.WriteFile(fmt.Sprintf("%s/%d", path, i), []byte("new"), 0o600)
			}
		})
		_, err := w.try(t, transfer.Item{Label: "pgdata", Kind: transfer.Directory, Source: src, Destination: dst})
		stop()
		storm.Wait()
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, dst); got["stays"] != "here" {
			t.Errorf("copied %d files", len(got))
		}
	})
}

// processesWith returns the command lines of the processes that mention word.
func processesWith(t *testing.T, word string) []string {
	t.Helper()
	var found []string
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		line, _ := os.ReadFile(path)
		if text := strings.ReplaceAll(string(line), "\x00", " "); strings.Contains(text, word) {
			found = append(found, text)
		}
	}
	return found
}

func TestCancelLeavesNoProcess(t *testing.T) {
	everyWay(t, func(t *testing.T, w way) {
		src, dst := t.TempDir(), t.TempDir()
		write(t, src, tree{"a": strings.Repeat("x", 4<<20), "b": strings.Repeat("y", 4<<20)})
		ctx, cancel := context.WithCancel(t.Context())
		started := make(chan struct{})
		var once sync.Once
		rep := progress.Func(func(p progress.Progress) {
			if p.BytesDone > 0 {
				once.Do(func() { close(started) })
			}
		})
		done := make(chan error, 1)
		go func() {
			_, err := openSSH(t, plugin.Env{WorkDir: t.TempDir()}).Copy(ctx, transfer.Plan{
				Direction: w.direction, Remote: w.remote, Workers: w.workers, BandwidthLimit: 100,
				Items: []transfer.Item{{Label: "pgdata", Kind: transfer.Directory, Source: src, Destination: dst}},
			}, rep)
			done <- err
		}()
		select {
		case <-started:
		case err := <-done:
			t.Fatalf("ended before it was cancelled: %v", err)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		// Both sides name the destination or the source; -s keeps paths out of the far side's arguments, which ends when
		// its connection does.
		for _, word := range []string{src, dst} {
			if left := processesWith(t, word); len(left) > 0 {
				t.Errorf("processes are left: %q", left)
			}
		}
	})
}

// wrapped puts a program named rsync before the real one. Its script may use $real.
func wrapped(t *testing.T, script string) string {
	t.Helper()
	real, err := exec.LookPath("rsync")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text := "#!/bin/sh\nreal=" + real + "\n" + script
	if err := os.WriteFile(filepath.Join(dir, "rsync"), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRetryAfterAFailure(t *testing.T) {
	src, dst, marks := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, src, tree{"f": "content"})
	dir := wrapped(t, fmt.Sprintf(`
n=$(ls %[1]s | wc -l); touch %[1]s/$n
[ "$n" -lt 2 ] && { echo "rsync: connection unexpectedly closed" >&2; exit 12; }
exec $real "$@"`, marks))
	plan := transfer.Plan{
		Direction: transfer.Local, Workers: 1, Retry: transfer.Retry{Times: 1, Sleep: time.Millisecond},
		Items: []transfer.Item{{Label: "pgdata", Kind: transfer.Directory, Source: src, Destination: dst}},
	}
	c := NewLocal(plugin.Env{WorkDir: t.TempDir(), PathPrefix: []string{dir}})
	_, err := c.Copy(t.Context(), plan, nil)
	if d := diag.FromError(err); d.Code != diag.CodeToolFailed || !strings.Contains(d.Detail, "unexpectedly closed") {
		t.Errorf("two failures, one retry: %v", err)
	}
	if _, err := c.Copy(t.Context(), plan, nil); err != nil {
		t.Errorf("third run: %v", err)
	}
	same(t, tree{"f": "content"}, read(t, dst))
}

func TestOptionsReachRsync(t *testing.T) {
	src, dst, logs := t.TempDir(), t.TempDir(), t.TempDir()
	for i := range 3 {
		write(t, src, tree{fmt.Sprint(i): "content"})
		if err := os.Truncate(filepath.Join(src, fmt.Sprint(i)), unitCost); err != nil {
			t.Fatal(err)
		}
	}
	// Only the options matter, so nothing has to be copied slowly.
	dir := wrapped(t, fmt.Sprintf(`
for a; do case $a in --bwlimit=*|-z) echo "$a" >>%s/$$;; esac; done
for a; do shift; case $a in --bwlimit=*) ;; *) set -- "$@" "$a";; esac; done
exec $real "$@"`, logs))
	me, err := lab.CurrentUser()
	if err != nil {
		t.Fatal(err)
	}
	_, err = openSSH(t, plugin.Env{WorkDir: t.TempDir(), PathPrefix: []string{dir}}).Copy(t.Context(), transfer.Plan{
		Direction: transfer.Fetch, Remote: lab.StartSSHD(t).Command(me, me), Workers: 2, BandwidthLimit: 20000, NetworkCompression: true,
		Items: []transfer.Item{{Label: "pgdata", Kind: transfer.Directory, Source: src, Destination: dst}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	files, _ := filepath.Glob(logs + "/*")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		for _, line := range strings.Fields(string(text)) {
			seen[line]++
		}
	}
	// A listing, a tree, and one run for each of the three units.
	if diff := cmp.Diff(map[string]int{"-z": 5, "--bwlimit=10000": 3}, seen); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCheckRows(t *testing.T) {
	me, err := lab.CurrentUser()
	if err != nil {
		t.Fatal(err)
	}
	good := lab.StartSSHD(t).Command(me, me)
	const notClean = "the configured ssh_command must not add anything to the remote command output"
	cases := []struct {
		name   string
		remote []string
		want   []transfer.CheckRow
	}{
		{"good", good, []transfer.CheckRow{
			{Label: "ssh", OK: true, Hint: "PostgreSQL server"},
			{Label: "ssh output clean", OK: true, OnlyFailure: true},
			{Label: "rsync", OK: true, OnlyFailure: true},
			{Label: "rsync on PostgreSQL server", OK: true, OnlyFailure: true},
		}},
		{"chatter", []string{"sh", "-c", `echo Welcome; for last; do :; done; case "$*" in *rsync*) rsync --version;; esac`}, []transfer.CheckRow{
			{Label: "ssh", OK: true, Hint: "PostgreSQL server"},
			{Label: "ssh output clean", OnlyFailure: true, Hint: notClean},
			{Label: "rsync", OK: true, OnlyFailure: true},
			{Label: "rsync on PostgreSQL server", OK: true, OnlyFailure: true},
		}},
		{"refused", []string{"sh", "-c", "echo refused >&2; exit 255", "sh"}, []transfer.CheckRow{
			{Label: "ssh", Hint: "Connection failed using 'sh -c echo refused >&2; exit 255 sh -o BatchMode=yes -o StrictHostKeyChecking=accept-new' return code 255: refused"},
			{Label: "rsync", OK: true, OnlyFailure: true},
		}},
		{"not set", nil, []transfer.CheckRow{
			{Label: "ssh", Hint: "ssh_command is not set"},
			{Label: "rsync", OK: true, OnlyFailure: true},
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := NewSSH(plugin.Env{}).Check(t.Context(), transfer.CheckRequest{Remote: c.remote})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	old := wrapped(t, `echo "rsync  version 3.0.9  protocol version 30"`)
	got, err := NewLocal(plugin.Env{PathPrefix: []string{old}}).Check(t.Context(), transfer.CheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	want := []transfer.CheckRow{{Label: "rsync", OnlyFailure: true, Hint: "rsync 3.0.9 is too old, 3.1.0 or later is needed"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("old rsync (-want +got):\n%s", diff)
	}
}
