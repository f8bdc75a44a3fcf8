package maintenance_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/lock"
	"github.com/barman-go/barman/core/retention"
	"github.com/barman-go/barman/core/wal"
	sdkhook "github.com/barman-go/barman/sdk/hook"
)

func TestCheckBackupMovesBetweenWaitingAndDone(t *testing.T) {
	s := newSite(t, "")
	b := s.backup(1, 2, 4)
	b.Status = catalog.StatusWaitingForWALs
	check(t, s.Catalog.Save(b))
	s.archive(2, 3)
	check(t, s.CheckWaiting(t.Context()))
	s.wantBackups(id(1) + " WAITING_FOR_WALS")
	s.archive(4, 4)
	check(t, s.CheckWaiting(t.Context()))
	s.wantBackups(done(1))
	name, _ := wal.ParseFileName(segment(3))
	check(t, os.Remove(s.layout.WALPath(name)))
	got, err := s.CheckBackup(t.Context(), b.ID)
	check(t, err)
	if got.Status != catalog.StatusWaitingForWALs {
		t.Errorf("status %s without one of its segments", got.Status)
	}
}

func TestCheckBackupFailsWhenASegmentCannotComeAnyMore(t *testing.T) {
	s := newSite(t, "")
	b := s.backup(1, 2, 4)
	b.Status = catalog.StatusWaitingForWALs
	check(t, s.Catalog.Save(b))
	s.archive(2, 5)
	name, _ := wal.ParseFileName(segment(3))
	check(t, os.Remove(s.layout.WALPath(name)))
	long := now.Add(-2 * catalog.GapGrace)
	check(t, os.Chtimes(s.layout.WALs+"/0000000100000000", long, long))
	check(t, s.CheckWaiting(t.Context()))
	s.wantBackups(id(1) + " FAILED")
	const text = "At least one WAL file is missing. The first missing WAL file is "
	if !s.out.has("E This backup has been marked as FAILED due to the following reason: " + text + segment(3)) {
		t.Errorf("messages %q", s.out.lines)
	}
	if _, err := s.CheckBackup(t.Context(), b.ID); !errors.Is(err, catalog.ErrFailedBackup) {
		t.Errorf("a second check gives %v", err)
	}
}

func TestCheckWaitingGoesOnAfterABackupThatItCannotCheck(t *testing.T) {
	s := newSite(t, "")
	broken := s.backup(3, 2, 3)
	broken.Status, broken.BeginWAL = catalog.StatusWaitingForWALs, wal.Segment{Timeline: 9, Seg: 77}
	check(t, s.Catalog.Save(broken))
	b := s.backup(2, 5, 6)
	b.Status = catalog.StatusWaitingForWALs
	check(t, s.Catalog.Save(b))
	busy := s.backup(1, 5, 6)
	busy.Status = catalog.StatusWaitingForWALs
	check(t, s.Catalog.Save(busy))
	l, err := lock.Acquire(t.Context(), s.LockDir, lock.ForBackup(lock.BackupID, "main", busy.ID), false)
	check(t, err)
	defer l.Release()
	s.archive(2, 7)
	if err := s.CheckWaiting(t.Context()); err == nil || !strings.Contains(err.Error(), broken.ID) {
		t.Errorf("error %v, want one about %s", err, broken.ID)
	}
	s.wantBackups(id(3)+" WAITING_FOR_WALS", done(2), id(1)+" WAITING_FOR_WALS")
}

func TestReapFailsBackupsWhoseProcessDied(t *testing.T) {
	s := newSite(t, "")
	for i, status := range []catalog.Status{catalog.StatusEmpty, catalog.StatusStarted, catalog.StatusSyncing, catalog.StatusDone} {
		b := s.backup(9-i, 2, 3)
		b.Status = status
		check(t, s.Catalog.Save(b))
	}
	before := []string{id(9) + " EMPTY", id(8) + " STARTED", id(7) + " SYNCING", done(6)}
	l, err := lock.Acquire(t.Context(), s.LockDir, lock.ForServer(lock.Backup, "main"), false)
	check(t, err)
	check(t, s.Settle(t.Context()))
	s.wantBackups(before...)
	check(t, l.Release())
	check(t, s.Settle(t.Context()))
	s.wantBackups(id(9)+" FAILED", id(8)+" FAILED", id(7)+" SYNCING", done(6))
	if !s.out.has("W Backup " + id(8) + " of server main was interrupted and has been marked as FAILED") {
		t.Errorf("messages %q", s.out.lines)
	}
}

func TestReapTouchesNoLockWhenThereIsNothingToReap(t *testing.T) {
	s := newSite(t, "")
	s.backup(1, 2, 3)
	check(t, s.Settle(t.Context()))
	if files, err := os.ReadDir(s.LockDir); err != nil || len(files) > 0 {
		t.Errorf("lock files %v (error %v): a backup that begins now could find the lock held", files, err)
	}
}

func TestEnforceByPolicy(t *testing.T) {
	for name, test := range map[string]struct {
		policy  string
		minimum int
		prepare func(s *site)
		want    []string
		wals    []int
	}{
		"none":       {"", 0, nil, []string{done(40), done(20), done(8), done(1)}, []int{1, 2, 3, 4, 5, 6, 7, 8, 9}},
		"redundancy": {"REDUNDANCY 2", 0, nil, []string{done(8), done(1)}, []int{6, 7, 8, 9}},
		"redundancy below the minimum": {
			"REDUNDANCY 1", 3, nil,
			[]string{done(20), done(8), done(1)},
			[]int{4, 5, 6, 7, 8, 9},
		},
		"window": {"RECOVERY WINDOW OF 1 WEEK", 0, nil, []string{done(8), done(1)}, []int{6, 7, 8, 9}},
		"window that nothing is older than": {
			"RECOVERY WINDOW OF 2 MONTHS", 0, nil,
			[]string{done(40), done(20), done(8), done(1)},
			[]int{1, 2, 3, 4, 5, 6, 7, 8, 9},
		},
		"kept in full": {
			"REDUNDANCY 1", 0,
			func(s *site) { check(s.t, s.Catalog.SetKeep(id(20), catalog.KeepFull)) },
			[]string{done(20), done(1)},
			[]int{4, 5, 6, 7, 8, 9},
		},
		"kept as standalone": {
			"REDUNDANCY 1", 0,
			func(s *site) { check(s.t, s.Catalog.SetKeep(id(20), catalog.KeepStandalone)) },
			[]string{done(20), done(1)},
			[]int{4, 5, 8, 9},
		},
		"failed ones stay and do not count": {
			"REDUNDANCY 1", 0,
			func(s *site) { fail(s, s.backup(0, 9, 9)) },
			[]string{done(1), id(0) + " FAILED"},
			[]int{8, 9},
		},
		"one marked for deletion does not count": {
			"REDUNDANCY 2", 0,
			func(s *site) { check(s.t, s.Catalog.MarkDelete(id(8))) },
			[]string{done(20), done(1)},
			[]int{4, 5, 6, 7, 8, 9},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, test.policy)
			s.MinimumRedundancy = test.minimum
			s.backup(40, 2, 3)
			s.backup(20, 4, 5)
			s.backup(8, 6, 7)
			s.backup(1, 8, 9)
			s.archive(1, 9)
			if test.prepare != nil {
				test.prepare(s)
			}
			check(t, s.Enforce(t.Context()))
			s.wantBackups(test.want...)
			s.wantWAL(test.wals...)
			check(t, s.Enforce(t.Context())) // nothing more to do
			s.wantBackups(test.want...)
		})
	}
}

func TestEnforceOfChains(t *testing.T) {
	s := newSite(t, "REDUNDANCY 1")
	root := s.backup(20, 2, 3)
	child := s.incremental(root, 19, 4, 4)
	s.incremental(child, 18, 5, 5)
	s.backup(1, 7, 8)
	s.archive(2, 9)
	// Somebody works on the leaf: nothing that it depends on may go.
	l, err := lock.Acquire(t.Context(), s.LockDir, lock.ForBackup(lock.BackupID, "main", id(18)), false)
	check(t, err)
	check(t, s.Enforce(t.Context()))
	s.wantBackups(done(20), done(19), done(18), done(1))
	check(t, l.Release())
	check(t, s.Enforce(t.Context()))
	s.wantBackups(done(1))
	s.wantWAL(7, 8, 9)
}

// TestAParentStaysWhileItsChildBegins is about the moments after Python Barman has written that an incremental backup exists.
func TestAParentStaysWhileItsChildBegins(t *testing.T) {
	for name, duringDelete := range map[string]bool{"before cron": false, "while cron is at it": true} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "REDUNDANCY 1")
			s.archive(1, 9)
			root := s.backup(20, 2, 3)
			s.backup(1, 7, 8)
			var l *lock.Lock
			begin := func() {
				child := catalog.NewBackupInfo(id(0), "main", catalog.ModePostgres)
				child.ParentID = root.ID
				check(t, s.Catalog.Save(child))
				var err error
				l, err = lock.Acquire(t.Context(), s.LockDir, lock.ForServer(lock.Backup, "main"), false)
				check(t, err)
			}
			if duringDelete {
				s.scripts.answer = func(ev sdkhook.Event) sdkhook.Outcome {
					if ev.Phase == sdkhook.PhasePre && l == nil {
						begin()
					}
					return sdkhook.Success
				}
			} else {
				begin()
			}
			check(t, s.Enforce(t.Context()))
			list, err := s.Catalog.List()
			check(t, err)
			if b := list.Get(root.ID); b == nil || b.Status != catalog.StatusDone {
				t.Errorf("the parent is %+v", b)
			}
			s.wantWAL(1, 2, 3, 4, 5, 6, 7, 8, 9)
			if told := s.out.has("W Skipping delete of backup " + root.ID); told != duringDelete {
				t.Errorf("messages %q", s.out.lines)
			}
			check(t, l.Release())
		})
	}
}

func TestEnforceGoesOnAfterADeleteThatFails(t *testing.T) {
	s := newSite(t, "REDUNDANCY 1")
	s.backup(40, 2, 3)
	s.backup(20, 4, 5)
	s.backup(1, 8, 9)
	s.archive(2, 9)
	s.scripts.answer = func(ev sdkhook.Event) sdkhook.Outcome {
		if ev.Retry && ev.Phase == sdkhook.PhasePre && ev.Backup != nil && ev.Backup.ID == id(40) {
			return sdkhook.AbortStop
		}
		return sdkhook.Success
	}
	if err := s.Enforce(t.Context()); err == nil || !strings.Contains(err.Error(), id(40)) {
		t.Errorf("error %v, want one about %s", err, id(40))
	}
	s.wantBackups(done(40), done(1))
	s.wantWAL(2, 3, 4, 5, 6, 7, 8, 9) // the older backup needs them
}

// TestAMarkDoesNotOverrideAKeep is about marks that Python Barman leaves when a hook stops its delete.
func TestAMarkDoesNotOverrideAKeep(t *testing.T) {
	s := newSite(t, "REDUNDANCY 1")
	b := s.backup(20, 2, 3)
	s.backup(1, 8, 9)
	s.archive(2, 9)
	check(t, s.Catalog.MarkDelete(b.ID))
	check(t, s.Catalog.SetKeep(b.ID, catalog.KeepFull))
	check(t, s.Enforce(t.Context()))
	s.wantBackups(done(20), done(1))
	if !s.out.has("W The delete of backup "+b.ID) || !s.out.has(s.layout.AnnotationPath(b.ID, "delete_this")) {
		t.Errorf("nobody is told: %q", s.out.lines)
	}
	check(t, s.Catalog.SetKeep(b.ID, catalog.KeepNone))
	check(t, s.Enforce(t.Context()))
	s.wantBackups(done(1))
	s.wantWAL(8, 9)
}

func TestAnUnreadableBackupProtectsTheWAL(t *testing.T) {
	s := newSite(t, "REDUNDANCY 1")
	s.backup(20, 2, 3)
	s.backup(1, 8, 9)
	s.archive(2, 9)
	check(t, os.WriteFile(s.layout.InfoPath(id(30)), []byte("no description\n"), 0o600))
	check(t, s.Enforce(t.Context()))
	s.wantWAL(2, 3, 4, 5, 6, 7, 8, 9)
	if !strings.Contains(s.log.String(), id(30)) {
		t.Error("the log does not name it")
	}
}

func TestPurgeBeforeFirst(t *testing.T) {
	for name, test := range map[string]struct {
		status catalog.Status
		older  bool
		want   []int
	}{
		"done":                  {catalog.StatusDone, false, []int{4, 5, 6}},
		"waiting for WAL":       {catalog.StatusWaitingForWALs, false, []int{4, 5, 6}},
		"failed":                {catalog.StatusFailed, false, []int{1, 2, 3, 4, 5, 6}},
		"started":               {catalog.StatusStarted, false, []int{1, 2, 3, 4, 5, 6}},
		"there is an older one": {catalog.StatusDone, true, []int{1, 2, 3, 4, 5, 6}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "")
			b := s.backup(1, 4, 5)
			b.Status = test.status
			if test.status == catalog.StatusFailed {
				b.BeginWAL = wal.Segment{}
			}
			check(t, s.Catalog.Save(b))
			if test.older {
				s.backup(5, 2, 3)
			}
			s.archive(1, 6)
			check(t, s.PurgeBeforeFirst(t.Context(), b.ID))
			s.wantWAL(test.want...)
			removed := 6 - len(test.want)
			if len(s.scripts.trace) != 4*removed {
				t.Errorf("%d hooks ran for %d files", len(s.scripts.trace), removed)
			}
			if removed > 0 {
				want := []string{
					"I WAL segments preceding the current backup have been found:",
					"I \t" + segment(1) + " from server main has been removed",
				}
				if diff := cmp.Diff(want, s.out.lines[:2]); diff != "" {
					t.Errorf("messages (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestVerdictsDoNotCountABackupThatIsBeingDeleted(t *testing.T) {
	s := newSite(t, "REDUNDANCY 1")
	s.backup(20, 2, 3)
	newest := s.backup(1, 8, 9)
	check(t, s.Catalog.MarkDelete(newest.ID))
	list, err := s.Catalog.List()
	check(t, err)
	verdicts, err := s.Verdicts(list, nil)
	check(t, err)
	if got := verdicts.Of(id(20)).Label; got != retention.Valid {
		t.Errorf("the backup that will be the only one is %s", got)
	}
}

// TestEnforceInterrupted cancels in the middle of many deletes, again and again, until all is done.
func TestEnforceInterrupted(t *testing.T) {
	s := newSite(t, "REDUNDANCY 1")
	for day := 30; day >= 1; day-- {
		s.backup(day, uint32(40-day), uint32(40-day))
	}
	s.archive(1, 45)
	for step := 0; ; step++ {
		if step > 200 {
			t.Fatal("it does not come to an end")
		}
		ctx, cancel := context.WithCancel(t.Context())
		hooks := 0
		s.scripts.answer = func(sdkhook.Event) sdkhook.Outcome {
			if hooks++; hooks > step {
				cancel()
			}
			return sdkhook.Success
		}
		err := s.Enforce(ctx)
		cancel()
		if err == nil {
			break
		}
	}
	s.wantBackups(done(1))
	s.wantWAL(39, 40, 41, 42, 43, 44, 45)
}
