package compat

import (
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// TestPythonRestoresAndContinuesOurCatalog begins here, goes on there, and comes back.
func TestPythonRestoresAndContinuesOurCatalog(t *testing.T) {
	withPython(t, "3.20", func(t *testing.T, version string) {
		w := newWorld(t, version, (*backuphost.Host).ArchiveCommand)

		// Written here: a backup of each kind, WAL in two formats.
		w.use(t, "local-rsync", "gzip")
		w.writeAndArchive(t, w.ours)
		first := w.backUp(t, w.ours)
		w.use(t, "postgres", "zstd")
		w.write(t)
		second := w.backUp(t, w.ours, "--name", "weekly")
		w.ours(t, "keep", "--target", "standalone", "main", first.ID)
		w.writeAndArchive(t, w.ours)

		// Read there.
		w.checkOutput(t)
		if out := w.theirs(t, "check-backup", "main", "weekly"); out != "" {
			t.Errorf("check-backup: %s", out)
		}
		if out := w.theirs(t, "keep", "--status", "main", first.ID); !strings.Contains(out, "standalone") {
			t.Errorf("keep --status: %s", out)
		}
		w.theirs(t, "keep", "--release", "main", first.ID)
		w.restore(t, w.theirs, first.ID)
		w.restore(t, w.theirs, second.ID)

		// Continued there: WAL that put-wal has accepted, a backup of each kind, and the end of the oldest.
		w.writeAndArchive(t, w.theirs)
		third := w.backUp(t, w.theirs)
		w.use(t, "rsync", "gzip")
		w.write(t)
		fourth := w.backUp(t, w.theirs)
		w.theirs(t, "delete", "main", first.ID)
		if w.isListed(t, first.ID) {
			t.Errorf("backup %s is still there", first.ID)
		}
		w.writeAndArchive(t, w.theirs)

		// Back here.
		w.checkOutput(t)
		w.restore(t, w.ours, second.ID)
		w.restore(t, w.ours, third.ID)
		w.use(t, "local-rsync", "gzip")
		w.write(t)
		fifth := w.backUp(t, w.ours)
		w.checkReuse(t, fourth, fifth)
		w.ours(t, "delete", "main", second.ID)
		w.writeAndArchive(t, w.ours)
		w.checkOutput(t)
		w.restore(t, w.theirs, fifth.ID)
		w.theirs(t, "check", "main")
		w.checkWAL(t)
	})
}

// TestWeRestoreAndContinuePythonsCatalog begins there.
func TestWeRestoreAndContinuePythonsCatalog(t *testing.T) {
	withPython(t, "3.13", func(t *testing.T, version string) {
		w := newWorld(t, version, (*backuphost.Host).CopyCommand)

		// Written there: a backup of each kind, and one that failed.
		w.use(t, "postgres", "gzip")
		w.writeAndArchive(t, w.theirs)
		first := w.backUp(t, w.theirs, "--name", "weekly")
		w.use(t, "rsync", "zstd")
		w.write(t)
		second := w.backUp(t, w.theirs)
		failed := w.failToBackUp(t)
		w.theirs(t, "keep", "--target", "full", "main", first.ID)
		w.writeAndArchive(t, w.theirs)

		// Read here.
		w.checkOutput(t)
		w.ours(t, "check-backup", "main", "weekly")
		if out := w.ours(t, "keep", "--status", "main", first.ID); !strings.Contains(out, "full") {
			t.Errorf("keep --status: %s", out)
		}
		w.ours(t, "keep", "--release", "main", first.ID)
		w.restore(t, w.ours, first.ID)
		w.restore(t, w.ours, second.ID)

		// Continued here.
		w.ours(t, "delete", "main", failed)
		w.use(t, "local-rsync", "gzip")
		w.writeAndArchive(t, w.ours)
		third := w.backUp(t, w.ours)
		w.checkReuse(t, second, third)
		w.ours(t, "delete", "main", first.ID)
		if w.isListed(t, failed) || w.isListed(t, first.ID) {
			t.Errorf("backups %s and %s are still there", failed, first.ID)
		}
		w.writeAndArchive(t, w.ours)

		// Back there.
		w.checkOutput(t)
		w.restore(t, w.theirs, third.ID)
		w.use(t, "rsync", "gzip")
		w.write(t)
		fourth := w.backUp(t, w.theirs)
		w.checkReuse(t, third, fourth)
		w.theirs(t, "delete", "main", second.ID)
		w.writeAndArchive(t, w.theirs)
		w.checkOutput(t)
		w.restore(t, w.ours, fourth.ID)
		w.ours(t, "check", "main")
		w.checkWAL(t)
	})
}

// TestChainsOfEachOther takes an incremental backup here, and one of that there; both programs restore both, and a delete takes them
// all.
func TestChainsOfEachOther(t *testing.T) {
	lab.NeedPostgres(t, 17)
	withPython(t, "3.20", func(t *testing.T, version string) {
		if version == "3.13" {
			t.Skip("Python Barman 3.13 waits for a segment too many on an idle server of PostgreSQL 17")
		}
		w := newWorldOf(t, version, (*backuphost.Host).ArchiveCommand, lab.ClusterOptions{
			Version: 17, Settings: map[string]string{"summarize_wal": "on"},
		})
		w.more = map[string]string{"staging_path": lab.ScratchDir(t)}
		w.use(t, "postgres", "gzip")
		w.writeAndArchive(t, w.ours)
		full := w.backUp(t, w.ours)
		w.write(t)
		ours := w.backUp(t, w.ours, "--incremental", "latest")
		w.write(t)
		theirs := w.backUp(t, w.theirs, "--incremental", "latest")
		w.writeAndArchive(t, w.theirs)
		if ours.ParentID != full.ID || theirs.ParentID != ours.ID {
			t.Fatalf("the chain is %s, %s of %s, %s of %s", full.ID, ours.ID, ours.ParentID, theirs.ID, theirs.ParentID)
		}
		w.checkOutput(t)
		w.restore(t, w.theirs, ours.ID)
		w.restore(t, w.theirs, theirs.ID)
		w.restore(t, w.ours, theirs.ID)
		next := w.backUp(t, w.ours)
		w.theirs(t, "delete", "main", ours.ID)
		if w.isListed(t, ours.ID) || w.isListed(t, theirs.ID) || !w.isListed(t, full.ID) || !w.isListed(t, next.ID) {
			t.Errorf("after the delete of %s there are %s", ours.ID, w.ours(t, "list-backups", "--minimal", "main"))
		}
		w.checkOutput(t)
	})
}

// failToBackUp has Python Barman begin a backup that a hook stops, and returns its id.
func (w *world) failToBackUp(t *testing.T) string {
	t.Helper()
	w.more = map[string]string{"pre_backup_retry_script": "exit 63"}
	w.use(t, "rsync", "zstd")
	if r := w.python.run(t, "backup", "main"); r.Exit == 0 {
		t.Errorf("a backup that a hook stopped succeeded:\n%s", r.Stdout)
	}
	w.more = nil
	w.use(t, "rsync", "zstd")
	newest := w.host.Backups(t, "main")[0]
	if newest.Status != string(catalog.StatusFailed) {
		t.Fatalf("backup %s is %s", newest.ID, newest.Status)
	}
	return newest.ID
}

// checkReuse tells whether a backup shares files with the one of the other program before it: reuse_backup is link.
func (w *world) checkReuse(t *testing.T, before, after *catalog.BackupInfo) {
	t.Helper()
	if after.DeduplicatedSize.N >= after.Size.N/2 {
		t.Errorf("backup %s takes %d of %d bytes: it shares little with %s", after.ID, after.DeduplicatedSize.N, after.Size.N, before.ID)
	}
	layout := w.host.Layout("main")
	old, young := inodes(t, layout.BackupPath(before.ID)), inodes(t, layout.BackupPath(after.ID))
	shared := map[string]int{}
	for path, inode := range young {
		where := "PGDATA"
		if !strings.HasPrefix(path, "data/") {
			where = "the tablespace"
		}
		if old[path] == inode {
			shared[where]++
		}
	}
	if shared["PGDATA"] < len(young)/2 {
		t.Errorf("backup %s shares %d of %d files with %s", after.ID, shared["PGDATA"], len(young), before.ID)
	}
	// What has not changed in the tablespace is shared too, what has changed is not.
	if shared["the tablespace"] == 0 {
		t.Errorf("backup %s shares nothing of the tablespace with %s", after.ID, before.ID)
	}
	for _, path := range []string{"data/global/pg_control", "data/backup_label", w.pathOfBook(t)} {
		if _, there := young[path]; !there {
			t.Errorf("backup %s has no %s", after.ID, path)
		} else if old[path] == young[path] {
			t.Errorf("backup %s shares %s with %s", after.ID, path, before.ID)
		}
	}
}

// inodes are the regular files below a directory, by their paths relative to it.
func inodes(t *testing.T, dir string) map[string]uint64 {
	t.Helper()
	found := map[string]uint64{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		found[rel] = info.Sys().(*syscall.Stat_t).Ino
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
