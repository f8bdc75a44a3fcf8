package maintenance_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/hook"
	"github.com/barman-go/barman/core/lock"
	"github.com/barman-go/barman/core/maintenance"
	sdkhook "github.com/barman-go/barman/sdk/hook"
)

// pair is the hooks of one phase in their order.
func pair(event, phase, what string) []string {
	standard, retry := event+"_script "+phase+" "+what, event+"_retry_script "+phase+" "+what
	if phase == sdkhook.PhasePre {
		return []string{standard, retry}
	}
	return []string{retry, standard}
}

func concat(parts ...[]string) (all []string) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func TestDeleteOfTheOldestBackup(t *testing.T) {
	s := newSite(t, "")
	old := s.backup(20, 2, 3)
	s.backup(10, 5, 6)
	s.archive(1, 8)
	check(t, s.Delete(t.Context(), old.ID))
	s.wantBackups(done(10))
	s.wantWAL(5, 6, 7, 8)
	want := []string{
		"I Deleting backup " + old.ID + " for server main", "I Delete associated WAL segments:",
		"I \t" + segment(1), "I \t" + segment(2), "I \t" + segment(3), "I \t" + segment(4),
	}
	if diff := cmp.Diff(want, s.out.lines[:6]); diff != "" || len(s.out.lines) != 7 {
		t.Errorf("messages (-want +got):\n%s%q", diff, s.out.lines)
	}
	var wals []string
	for n := 1; n <= 4; n++ {
		wals = concat(wals, pair("wal_delete", "pre", segment(n)), pair("wal_delete", "post", segment(n)))
	}
	trace := concat(pair("delete", "pre", old.ID), wals, pair("delete", "post", old.ID))
	if diff := cmp.Diff(trace, s.scripts.trace); diff != "" {
		t.Errorf("trace of hooks (-want +got):\n%s", diff)
	}
	for _, ev := range s.scripts.events {
		if ev.Backup != nil && (ev.Backup.Status != "DONE" || ev.Backup.Error != "") {
			t.Errorf("delete hooks see status %s, error %q: want those that the backup had", ev.Backup.Status, ev.Backup.Error)
		}
	}
	if _, err := os.Stat(filepath.Join(s.LockDir, ".main-"+old.ID+".lock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the lock file of the deleted backup: error %v", err)
	}
}

func TestDeleteOfANewerBackupLeavesTheWAL(t *testing.T) {
	s := newSite(t, "")
	s.backup(20, 2, 3)
	newer := s.backup(10, 5, 6)
	s.archive(2, 8)
	check(t, s.Delete(t.Context(), newer.ID))
	s.wantBackups(done(20))
	s.wantWAL(2, 3, 4, 5, 6, 7, 8)
}

func TestDeleteOfAChainBeginsWithTheLeaves(t *testing.T) {
	s := newSite(t, "")
	root := s.backup(20, 2, 3)
	child := s.incremental(root, 19, 4, 5)
	leaf := s.incremental(child, 18, 6, 7)
	other := s.incremental(root, 17, 8, 9)
	s.backup(10, 10, 11)
	s.archive(2, 12)
	check(t, s.Delete(t.Context(), child.ID))
	s.wantBackups(done(20), done(17), done(10))
	parent, err := s.Catalog.Load(root.ID)
	check(t, err)
	if diff := cmp.Diff([]string{other.ID}, parent.ChildrenIDs); diff != "" {
		t.Errorf("children of the root (-want +got):\n%s", diff)
	}
	check(t, s.Delete(t.Context(), root.ID))
	s.wantBackups(done(10))
	s.wantWAL(10, 11, 12)
	var order []string
	for _, ev := range s.scripts.events {
		if ev.Backup != nil && ev.Retry && ev.Phase == sdkhook.PhasePre {
			order = append(order, ev.Backup.ID)
		}
	}
	if diff := cmp.Diff([]string{leaf.ID, child.ID, other.ID, root.ID}, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if !s.out.has("W Backup " + root.ID + " has incremental backups which depend on it. Deleting all backups in the tree") {
		t.Errorf("messages %q", s.out.lines)
	}
}

func TestDeleteIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(s *site, b *catalog.BackupInfo)
		text    string
	}{
		"minimum redundancy": {
			func(s *site, _ *catalog.BackupInfo) { s.MinimumRedundancy = 2 },
			"due to minimum redundancy requirements (minimum redundancy = 2, current redundancy = 2)",
		},
		"kept": {
			func(s *site, b *catalog.BackupInfo) { check(s.t, s.Catalog.SetKeep(b.ID, catalog.KeepFull)) },
			"as it has a current keep request",
		},
		"kept by a pre hook": {func(s *site, b *catalog.BackupInfo) {
			s.scripts.answer = func(sdkhook.Event) sdkhook.Outcome {
				check(s.t, s.Catalog.SetKeep(b.ID, catalog.KeepStandalone))
				return sdkhook.Success
			}
		}, "as it has a current keep request"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "")
			b := s.backup(20, 2, 3)
			s.backup(10, 5, 6)
			s.archive(2, 6)
			test.prepare(s, b)
			if err := s.Delete(t.Context(), b.ID); !errors.Is(err, maintenance.ErrRefused) {
				t.Errorf("error %v, want ErrRefused", err)
			}
			if !s.out.has("W Skipping delete of backup "+b.ID+" for server main") || !s.out.has(test.text) {
				t.Errorf("messages %q do not say why", s.out.lines)
			}
			s.wantBackups(done(20), done(10))
			s.wantWAL(2, 3, 4, 5, 6)
			s.wantWhole(b)
		})
	}
}

// wantWhole checks that nothing of a backup was touched.
func (s *site) wantWhole(b *catalog.BackupInfo) {
	s.t.Helper()
	if _, err := os.Stat(filepath.Join(s.layout.BackupPath(b.ID), "data", "base", "1")); err != nil {
		s.t.Error(err)
	}
	if marked, err := s.Catalog.MarkedForDelete(b.ID); marked || err != nil {
		s.t.Errorf("it is marked for deletion (error %v)", err)
	}
}

func TestDeleteOfWhatIsNotThere(t *testing.T) {
	s := newSite(t, "")
	if err := s.Delete(t.Context(), id(3)); !errors.Is(err, catalog.ErrNoBackup) {
		t.Errorf("error %v, want ErrNoBackup", err)
	}
	check(t, os.WriteFile(s.layout.InfoPath(id(4)), []byte("no description\n"), 0o600))
	if err := s.Delete(t.Context(), id(4)); err == nil || errors.Is(err, catalog.ErrNoBackup) {
		t.Errorf("error %v, want one about the damaged description", err)
	}
}

func TestAHookThatAbortsStopsTheDeleteForGood(t *testing.T) {
	s := newSite(t, "REDUNDANCY 1")
	b := s.backup(20, 2, 3)
	s.archive(2, 4)
	s.scripts.answer = func(ev sdkhook.Event) sdkhook.Outcome {
		if ev.Retry && ev.Phase == sdkhook.PhasePre {
			return sdkhook.AbortStop
		}
		return sdkhook.Success
	}
	var abort *hook.AbortError
	if err := s.Delete(t.Context(), b.ID); !errors.As(err, &abort) {
		t.Errorf("error %v, want that of the hook", err)
	}
	if diff := cmp.Diff(pair("delete", "pre", b.ID), s.scripts.trace); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	s.wantWhole(b)
	s.scripts.answer = nil
	check(t, s.Enforce(t.Context()))
	s.wantBackups(done(20))
}

func TestDeleteWhileSomebodyWorksOnTheBackup(t *testing.T) {
	s := newSite(t, "")
	b := s.backup(20, 2, 3)
	l, err := lock.Acquire(t.Context(), s.LockDir, lock.ForBackup(lock.BackupID, "main", b.ID), false)
	check(t, err)
	err = s.Delete(t.Context(), b.ID)
	if !errors.Is(err, lock.ErrBusy) || maintenance.Busy(err, "main", b.ID) == "" {
		t.Errorf("error %v, want ErrBusy", err)
	}
	check(t, l.Release())
	s.wantWhole(b)
}

// TestAnInterruptedDeleteIsCompleted stops a delete at each step that a hook, a directory or a dying process can stop.
func TestAnInterruptedDeleteIsCompleted(t *testing.T) {
	for name, interrupt := range map[string]func(s *site, b *catalog.BackupInfo){
		"after the mark": func(s *site, b *catalog.BackupInfo) { check(s.t, s.Catalog.MarkDelete(b.ID)) },
		"in the content": func(s *site, b *catalog.BackupInfo) {
			check(s.t, s.Catalog.MarkDelete(b.ID))
			fail(s, b)
			dir := s.layout.BackupPath(b.ID)
			check(s.t, os.Rename(dir, filepath.Join(s.layout.Base, "."+b.ID+".deleting")))
			check(s.t, os.Remove(filepath.Join(s.layout.Base, "."+b.ID+".deleting", "data", "PG_VERSION")))
		},
		"by a WAL hook": func(s *site, b *catalog.BackupInfo) {
			s.scripts.answer = func(ev sdkhook.Event) sdkhook.Outcome {
				if ev.Retry && ev.Phase == sdkhook.PhasePre && ev.WAL != nil && ev.WAL.Name == segment(3) {
					return sdkhook.AbortStop
				}
				return sdkhook.Success
			}
			err := s.Delete(s.t.Context(), b.ID)
			if !errors.As(err, new(*hook.AbortError)) {
				s.t.Errorf("error %v, want that of the hook", err)
			}
			s.scripts.answer = nil
		},
		"by cancelling, between two WAL files": func(s *site, b *catalog.BackupInfo) {
			ctx, cancel := context.WithCancel(s.t.Context())
			s.scripts.answer = func(ev sdkhook.Event) sdkhook.Outcome {
				if ev.WAL != nil && ev.Phase == sdkhook.PhasePost {
					cancel()
				}
				return sdkhook.Success
			}
			if err := s.Delete(ctx, b.ID); !errors.Is(err, context.Canceled) {
				s.t.Errorf("error %v, want that of the context", err)
			}
			s.scripts.answer = nil
		},
		"before the description goes": func(s *site, b *catalog.BackupInfo) {
			check(s.t, s.Catalog.MarkDelete(b.ID))
			fail(s, b)
			check(s.t, os.RemoveAll(s.layout.BackupPath(b.ID)))
		},
		"before the mark goes": func(s *site, b *catalog.BackupInfo) {
			check(s.t, s.Delete(s.t.Context(), b.ID))
			check(s.t, s.Catalog.MarkDelete(b.ID))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "")
			b := s.backup(20, 2, 3)
			s.backup(10, 5, 6)
			s.archive(1, 8)
			interrupt(s, b)
			check(t, s.Enforce(t.Context()))
			s.wantBackups(done(10))
			s.wantWAL(5, 6, 7, 8)
		})
	}
}

func fail(s *site, b *catalog.BackupInfo) {
	s.t.Helper()
	_, err := s.Catalog.Update(b.ID, func(b *catalog.BackupInfo) error { return b.Fail("x") })
	check(s.t, err)
}

func TestHalfADeletedBackupIsNotDone(t *testing.T) {
	s := newSite(t, "")
	b := s.backup(20, 2, 3)
	s.backup(10, 5, 6)
	s.archive(1, 8)
	s.scripts.answer = func(ev sdkhook.Event) sdkhook.Outcome {
		if ev.Retry && ev.WAL != nil && ev.Phase == sdkhook.PhasePre {
			return sdkhook.AbortStop
		}
		return sdkhook.Success
	}
	if err := s.Delete(t.Context(), b.ID); err == nil {
		t.Fatal("the delete was not interrupted")
	}
	half, err := s.Catalog.Load(b.ID)
	check(t, err)
	if half.Status != catalog.StatusFailed || half.Error == "" {
		t.Errorf("status %s, error %q: it would be taken for a whole backup", half.Status, half.Error)
	}
	list, err := s.Catalog.List()
	check(t, err)
	if first := list.First(catalog.Usable...); first.ID == b.ID {
		t.Error("it is still a usable backup")
	}
	// A second attempt by hand, with minimum_redundancy that only counts what is whole.
	s.scripts.answer, s.MinimumRedundancy = nil, 1
	check(t, s.Delete(t.Context(), b.ID))
	s.wantBackups(done(10))
	s.wantWAL(5, 6, 7, 8)
}

func TestDeleteOfABackupOfAnOldLayout(t *testing.T) {
	s := newSite(t, "")
	b := s.backup(20, 2, 3)
	s.archive(1, 4)
	legacy := s.layout.LegacyInfoPath(b.ID)
	check(t, os.Rename(s.layout.InfoPath(b.ID), legacy))
	s.scripts.answer = func(ev sdkhook.Event) sdkhook.Outcome {
		if ev.Retry && ev.WAL != nil && ev.Phase == sdkhook.PhasePre {
			return sdkhook.AbortStop
		}
		return sdkhook.Success
	}
	if err := s.Delete(t.Context(), b.ID); err == nil {
		t.Fatal("the delete was not interrupted")
	}
	s.wantBackups(id(20) + " FAILED")
	s.scripts.answer = nil
	check(t, s.Enforce(t.Context()))
	s.wantBackups()
}

func TestDeleteMeasuresTheNextBackupAgain(t *testing.T) {
	s := newSite(t, "")
	old, next := s.backup(20, 2, 3), s.backup(10, 5, 6)
	shared := filepath.Join(s.layout.BackupPath(next.ID), "data", "base", "1")
	check(t, os.Remove(shared))
	check(t, os.Link(filepath.Join(s.layout.BackupPath(old.ID), "data", "base", "1"), shared))
	s.archive(2, 6)
	check(t, s.Delete(t.Context(), old.ID))
	after, err := s.Catalog.Load(next.ID)
	check(t, err)
	if diff := cmp.Diff([]any{catalog.Int(6), catalog.Int(6)}, []any{after.Size, after.DeduplicatedSize}); diff != "" {
		t.Errorf("size and deduplicated size (-want +got):\n%s", diff)
	}
}
