package maintenance_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/lock"
	"github.com/barman-go/barman/core/maintenance"
)

// read shares the lock of a backup, as a restore does.
func (s *site) read(b *catalog.BackupInfo) (done func()) {
	s.t.Helper()
	l, err := lock.Share(s.t.Context(), s.LockDir, lock.ForBackup(lock.BackupID, "main", b.ID), false)
	check(s.t, err)
	return func() { check(s.t, l.Release()) }
}

func TestDeleteOfABackupThatIsBeingRestoredIsRefused(t *testing.T) {
	s := newSite(t, "")
	root := s.backup(20, 2, 3)
	child := s.incremental(root, 19, 4, 4)
	s.incremental(root, 18, 5, 5)
	s.archive(2, 6)
	done1, done2 := s.read(child), s.read(child)
	for _, asked := range []*catalog.BackupInfo{child, root} {
		err := s.Delete(t.Context(), asked.ID)
		told := maintenance.Busy(err, "main", asked.ID)
		if !errors.Is(err, lock.ErrBusy) {
			t.Errorf("delete of %s: %v", asked.ID, err)
		}
		for _, want := range []string{child.ID, fmt.Sprintf("process %d (", os.Getpid()), os.Args[0], "since 20"} {
			if !strings.Contains(told, want) {
				t.Errorf("delete of %s says %q, without %q", asked.ID, told, want)
			}
		}
		s.wantBackups(done(20), done(19), done(18))
		s.wantWAL(2, 3, 4, 5, 6)
	}
	done1()
	if err := s.Delete(t.Context(), child.ID); !errors.Is(err, lock.ErrBusy) {
		t.Errorf("with one of two restores still running: %v", err)
	}
	done2()
	check(t, s.Delete(t.Context(), root.ID))
	s.wantBackups()
}

func TestRetentionWaitsForARestore(t *testing.T) {
	s := newSite(t, "REDUNDANCY 1")
	old := s.backup(20, 2, 3)
	s.backup(10, 5, 6)
	s.archive(2, 8)
	end := s.read(old)
	check(t, s.Enforce(t.Context()))
	s.wantBackups(done(20), done(10))
	s.wantWAL(2, 3, 4, 5, 6, 7, 8)
	if !s.out.has(fmt.Sprintf("W Another process is holding the lock for backup %s of server main: process %d", old.ID, os.Getpid())) {
		t.Errorf("messages %q", s.out.lines)
	}
	if len(s.scripts.trace) > 0 {
		t.Errorf("hooks ran for a delete that was put off: %q", s.scripts.trace)
	}
	end()
	check(t, s.Enforce(t.Context()))
	s.wantBackups(done(10))
	s.wantWAL(5, 6, 7, 8)
}

// TestRetentionLeavesTheWALThatARestoreOfAStandaloneBackupReads is about the one backup that does not protect the WAL
// after it.
func TestRetentionLeavesTheWALThatARestoreOfAStandaloneBackupReads(t *testing.T) {
	s := newSite(t, "REDUNDANCY 1")
	kept := s.backup(20, 2, 3)
	s.backup(10, 5, 6)
	s.backup(1, 8, 9)
	s.archive(2, 9)
	check(t, s.Catalog.SetKeep(kept.ID, catalog.KeepStandalone))
	end := s.read(kept)
	check(t, s.Enforce(t.Context()))
	s.wantBackups(done(20), done(10), done(1))
	s.wantWAL(2, 3, 4, 5, 6, 7, 8, 9)
	end()
	check(t, s.Enforce(t.Context()))
	s.wantBackups(done(20), done(1))
	s.wantWAL(2, 3, 8, 9)
}
