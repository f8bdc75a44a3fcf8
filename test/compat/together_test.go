package compat

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// TestTheTwoExcludeEachOther has both at work on one server at the same time. The one that is first is stopped in a hook.
func TestTheTwoExcludeEachOther(t *testing.T) {
	withPython(t, "3.20", func(t *testing.T, version string) {
		w := newWorld(t, version, (*backuphost.Host).CopyCommand)
		w.use(t, "postgres", "gzip")
		w.writeAndArchive(t, w.ours)
		oldest := w.backUp(t, w.ours)
		sides := []struct {
			name          string
			first, second func(ctx context.Context, args ...string) *exec.Cmd
		}{
			{"Python first", w.python.command, w.host.Command},
			{"Python second", w.host.Command, w.python.command},
		}
		for _, side := range sides {
			t.Run(side.name, func(t *testing.T) {
				backup := w.stopIn(t, "pre_backup_script")
				running := start(t, side.first(t.Context(), "backup", "--wait", "main"))
				backup.wait(t, running)
				refused(t, side.second, 1, "Another backup process is running", "backup", "main")
				refused(t, side.second, 1, "Impossible to delete the backup", "delete", "main", oldest.ID)
				backup.open(t)
				running.succeeds(t)
				w.noHooks(t)

				archive := w.stopIn(t, "pre_archive_script")
				w.write(t)
				w.closeSegment(t)
				running = start(t, side.first(t.Context(), "archive-wal", "main"))
				archive.wait(t, running)
				refused(t, side.second, 0, "Another archive-wal process is already running", "archive-wal", "main")
				archive.open(t)
				running.succeeds(t)
				w.noHooks(t)
				w.checkIndex(t)
			})
		}
		t.Run("Python does not delete what is being restored", func(t *testing.T) {
			recovery := w.stopIn(t, "pre_recovery_script")
			dir := lab.ScratchDir(t)
			w.host.MakeDir(t, dir)
			running := start(t, w.host.Command(t.Context(), "recover", "--tablespace", "space:"+filepath.Join(dir, "space"), "main", oldest.ID, filepath.Join(dir, "data")))
			recovery.wait(t, running)
			refused(t, w.python.command, 1, oldest.ID, "delete", "main", oldest.ID)
			recovery.open(t)
			running.succeeds(t)
			w.noHooks(t)
		})
		w.restore(t, w.ours, "latest")
	})
}

// TestTheIndexKeepsEveryLine has one rewrite the index of WAL files while the other adds to it.
func TestTheIndexKeepsEveryLine(t *testing.T) {
	withPython(t, "3.20", func(t *testing.T, version string) {
		w := newWorld(t, version, (*backuphost.Host).CopyCommand)
		w.use(t, "postgres", "gzip")
		w.writeAndArchive(t, w.ours)
		var backups []*catalog.BackupInfo
		for range 3 {
			w.writeAndArchive(t, w.ours)
			backups = append(backups, w.backUp(t, w.ours))
		}

		lock := filepath.Join(w.host.Locks, ".main-xlogdb.lock")

		// Python deletes: it holds the lock of the index while its hook runs, so that the other has to wait before it can add.
		deleting := w.stopIn(t, "pre_wal_delete_script")
		python := start(t, w.python.command(t.Context(), "delete", "main", backups[0].ID))
		deleting.wait(t, python)
		w.noHooks(t)
		w.write(t)
		w.closeSegment(t)
		ours := start(t, w.host.Command(t.Context(), "archive-wal", "main"))
		ours.until(t, "wait for the lock of the index", func() bool { return blocked(t, lock) })
		deleting.open(t)
		python.succeeds(t)
		ours.succeeds(t)
		w.checkIndex(t)

		// This program deletes, and replaces the index by another file, in the middle of Python's archive-wal: between two lines with
		// 3.13, which locks the index for each of them, and between two batches with 3.20, which keeps it locked.
		archiving := w.stopIn(t, "pre_archive_script")
		for range 3 {
			w.write(t)
			w.closeSegment(t)
		}
		python = start(t, w.python.command(t.Context(), "archive-wal", "main"))
		archiving.wait(t, python)
		ours = start(t, w.host.Command(t.Context(), "delete", "main", backups[1].ID))
		for !ours.hasEnded() && !blocked(t, lock) {
			time.Sleep(20 * time.Millisecond)
		}
		archiving.open(t)
		python.succeeds(t)
		ours.succeeds(t)
		w.checkIndex(t)
		w.noHooks(t)

		w.checkWAL(t)
		w.restore(t, w.ours, backups[2].ID)
		w.restore(t, w.theirs, backups[2].ID)
	})
}

// gate is a hook script at which a program stops until the gate is opened.
type gate struct{ arrived, opened string }

// gateScript gives up after a minute or so, lest it outlive a test that was killed.
const gateScript = `#!/bin/sh
touch %[1]q
for i in $(seq 1200); do
  [ -e %[2]q ] && exit 0
  sleep 0.05
done
exit 1
`

// stopIn configures both programs with a gate as hook.
func (w *world) stopIn(t *testing.T, hook string) *gate {
	t.Helper()
	dir := lab.ScratchDir(t)
	g := &gate{filepath.Join(dir, "arrived"), filepath.Join(dir, "opened")}
	script := filepath.Join(dir, "hook")
	w.host.WriteFile(t, script, fmt.Sprintf(gateScript, g.arrived, g.opened), 0o755)
	t.Cleanup(func() { _ = os.WriteFile(g.opened, nil, 0o644) })
	w.more = map[string]string{hook: script}
	w.use(t, "postgres", "gzip")
	return g
}

// noHooks configures both without hooks; what runs already keeps its own.
func (w *world) noHooks(t *testing.T) {
	t.Helper()
	w.more = nil
	w.use(t, "postgres", "gzip")
}

// wait waits until a program has arrived.
func (g *gate) wait(t *testing.T, p *process) {
	t.Helper()
	p.until(t, "reach its hook", func() bool {
		_, err := os.Stat(g.arrived)
		return err == nil
	})
}

func (g *gate) open(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(g.opened, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// process is a command in the background.
type process struct {
	cmd    *exec.Cmd
	output strings.Builder
	ended  chan struct{}
	err    error
}

func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		p.err = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended if all went well
		<-p.ended
	})
	return p
}

// until waits for something that a process does.
func (p *process) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); {
		select {
		case <-p.ended:
			t.Fatalf("%s ended (%v) and did not %s:\n%s", p.cmd, p.err, what, p.output.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not %s", p.cmd, what)
		}
	}
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

func (p *process) succeeds(t *testing.T) {
	t.Helper()
	<-p.ended
	if p.err != nil {
		t.Fatalf("%s: %v\n%s", p.cmd, p.err, p.output.String())
	}
}

// refused runs a command that has to say why it does nothing.
func refused(t *testing.T, command func(context.Context, ...string) *exec.Cmd, exit int, words string, args ...string) {
	t.Helper()
	r, err := lab.Run(command(t.Context(), args...))
	if err != nil {
		t.Fatal(err)
	}
	if text := r.Stdout + r.Stderr; r.Exit != exit || !strings.Contains(text, words) {
		t.Errorf("%s: exit code %d, want %d and %q in:\n%s", strings.Join(args, " "), r.Exit, exit, words, text)
	}
}

// blocked tells whether a process waits for a lock file, which the kernel shows in /proc/locks:
//
//	2: -> FLOCK  ADVISORY  WRITE 4711 fe:00:10318433 0 EOF
func blocked(t *testing.T, path string) bool {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		t.Fatal(err)
	}
	inode := fmt.Sprintf(":%d ", info.Sys().(*syscall.Stat_t).Ino)
	for line := range strings.Lines(string(locks)) {
		if strings.Contains(line, "-> FLOCK") && strings.Contains(line, inode) {
			return true
		}
	}
	return false
}

// closeSegment ends the current WAL segment and waits until it is in incoming.
func (w *world) closeSegment(t *testing.T) {
	t.Helper()
	name := w.primary.MustSQL(t, "SELECT pg_walfile_name(pg_switch_wal())")
	if err := w.primary.WaitSQL(t.Context(), "SELECT last_archived_wal >= '"+name+"' FROM pg_stat_archiver", "t"); err != nil {
		t.Fatal(err)
	}
}

// checkIndex compares the index with the files of the archive: each has its line, and only one.
func (w *world) checkIndex(t *testing.T) {
	t.Helper()
	layout := w.host.Layout("main")
	text, err := os.ReadFile(layout.WALIndexPath())
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line, err := range catalog.ReadWALLines(text, layout.WALIndexPath()).All() {
		if err != nil {
			t.Error(err)
			continue
		}
		lines = append(lines, line.Name)
	}
	files := map[string]bool{}
	err = filepath.WalkDir(layout.WALs, func(path string, e fs.DirEntry, err error) error {
		if name := filepath.Base(path); err == nil && !e.IsDir() && wal.IsFileName(name) {
			files[name] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(files)), lines); diff != "" || len(lines) == 0 {
		t.Errorf("the index (-files +lines):\n%s", diff)
	}
	if left, err := os.ReadDir(layout.Errors); err != nil && !os.IsNotExist(err) || len(left) > 0 {
		t.Errorf("in %s are %v (%v)", layout.Errors, left, err)
	}
}
