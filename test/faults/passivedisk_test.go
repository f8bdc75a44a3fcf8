package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// secondSite is a passive node of the scene's host, on a small disk; nil where none can be mounted.
func (s *scene) secondSite(t *testing.T) (*backuphost.Host, *smallDisk) {
	t.Helper()
	second := backuphost.New(t)
	disk := mountSmallDisk(t, second)
	if disk == nil {
		return nil, nil
	}
	bin := filepath.Join(s.host.Dir, "through-ssh")
	s.host.MakeDir(t, bin)
	s.host.WriteFile(t, filepath.Join(bin, "barman"), fmt.Sprintf("#!/bin/sh\nexec %q -c %q \"$@\"\n", s.host.Build.Program("barman"), s.host.Config), 0o755)
	sshd := lab.StartSSHD(t, "PATH="+bin+":/usr/local/bin:/usr/bin:/bin")
	second.Configure(t, backuphost.Server("main", map[string]any{
		"primary_ssh_command": strings.Join(sshd.Command(second.User, s.host.User), " "), "parallel_jobs": 2,
	}))
	return second, disk
}

// syncOntoFullDisk copies the newest backup and its WAL to a second site whose disk is full in the middle, and then to one with room.
// What did not fit is never taken for whole, the message says what is the matter, and what had arrived is not sent again.
func (s *scene) syncOntoFullDisk(t *testing.T) {
	second, disk := s.secondSite(t)
	if second == nil {
		t.Skip("only root can mount a disk that can be full")
	}
	id := s.host.Latest(t, "main").ID
	source := s.host.Layout("main").BackupPath(id)
	second.Must(t, "sync-info", "--primary", "main")
	disk.leave(t, treeBytes(t, source)/2)
	fails := func(never []catalog.Status, args ...string) {
		t.Helper()
		r := second.Barman(t, args...)
		if r.Exit != 1 || !strings.Contains(strings.ToLower(r.Stderr), "no space left") {
			t.Errorf("%v on a full disk: exit code %d\n%s", args, r.Exit, r.Stderr)
		}
		if b, err := second.Catalog("main").Load(id); err == nil && b.Status.In(never...) {
			t.Errorf("after %v the backup is %s", args, b.Status)
		}
		t.Logf("%v: %s", args, r.Stderr)
	}
	fails(catalog.Usable, "sync-backup", "main", id)
	fails(catalog.Usable, "sync-backup", "main", id)
	disk.empty(t)
	arrived := treeBytes(t, second.Layout("main").BackupPath(id))
	second.Must(t, "sync-backup", "main", id)
	if total, sent := copied(t, second, id); sent > total-arrived/2 {
		t.Errorf("%d of %d bytes were sent when there was room, and %d had arrived", sent, total, arrived)
	}

	disk.fill(t)
	fails([]catalog.Status{catalog.StatusDone}, "sync-wals", "main")
	disk.empty(t)
	second.Must(t, "sync-wals", "main")
	second.Must(t, "check-backup", "main", id)
	if b, err := second.Catalog("main").Load(id); err != nil || b.Status != catalog.StatusDone {
		t.Errorf("in the end: %+v, %v", b, err)
	}
	mirror := second.Layout("main").BackupPath(id)
	if out, err := exec.Command("diff", "-r", "--no-dereference", source, mirror).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%.2000s", mirror, err, out)
	}
	checkLocks(t, second)
}

// copied is what the log of a passive node says about the copy that has completed a backup.
func copied(t *testing.T, h *backuphost.Host, id string) (total, sent int64) {
	t.Helper()
	text, err := os.ReadFile(h.LogFile())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		_, figures, ok := strings.Cut(line, " backup="+id+" files=")
		if !ok || !strings.Contains(line, " copied: ") {
			continue
		}
		var files, filesSent int64
		if _, err := fmt.Sscanf(figures, "%d bytes=%d files_sent=%d bytes_sent=%d", &files, &total, &filesSent, &sent); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
	}
	if total == 0 {
		t.Fatal("the log does not say what was sent")
	}
	return total, sent
}

// treeBytes is the size of the files below a directory, as far as they take room.
func treeBytes(t *testing.T, dir string) int64 {
	t.Helper()
	out, err := exec.Command("du", "-s", "-B1", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	if _, err := fmt.Sscan(string(out), &size); err != nil {
		t.Fatal(err)
	}
	return size
}
