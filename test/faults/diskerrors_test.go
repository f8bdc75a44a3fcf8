package faults

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/test/faults/internal/faultfs"
	"github.com/barman-go/barman/test/lab"
)

// fault is something that a disk does to operations of some kinds.
type fault struct {
	name  string
	errno syscall.Errno
	kinds []faultfs.Kind
	// stays means that all later operations of these kinds fail too, until the command has ended.
	stays bool
}

// faults are those of a failing disk and of a full one.
var faults = []fault{
	{"fsync fails", syscall.EIO, []faultfs.Kind{faultfs.Sync, faultfs.SyncDir}, false},
	{"a write fails", syscall.EIO, []faultfs.Kind{faultfs.Write, faultfs.Create, faultfs.Truncate, faultfs.SetAttr}, false},
	{"a name cannot be changed", syscall.EIO, []faultfs.Kind{faultfs.Rename, faultfs.Link, faultfs.Unlink, faultfs.Mkdir}, false},
	{"the disk is full", syscall.ENOSPC, []faultfs.Kind{faultfs.Write, faultfs.Create, faultfs.Link, faultfs.Mkdir}, true},
}

// TestDiskErrorsLoseNothing makes single operations of put-wal and archive-wal fail, wherever there are any: the command must not claim a
// success that is none; nothing acknowledged may be lost, power losses included; and the next run, on a disk that works again, completes
// the work and leaves no temporary file.
func TestDiskErrorsLoseNothing(t *testing.T) {
	random := lab.NewRandom(t)
	for _, compression := range []string{"none", "gzip"} {
		s := newSite(t, compression)
		for _, command := range []string{"put-wal", "archive-wal"} {
			if command == "put-wal" && compression != "none" {
				continue // it does not compress
			}
			clean := s.cleanRun(t, command)
			for _, f := range faults {
				t.Run(fmt.Sprintf("%s, compression %s, %s", command, compression, f.name), func(t *testing.T) {
					total := 0
					for _, op := range clean {
						if slices.Contains(f.kinds, op.Kind) {
							total++
						}
					}
					for _, step := range sample(random, total, samples) {
						s.failAt(t, command, f, step)
					}
				})
			}
		}
	}
}

// samples is the number of steps at which each fault is tried, others in each run; a run with all of them takes minutes.
const samples = 2

// cleanRun is what a command does when nothing fails.
func (s *site) cleanRun(t *testing.T, command string) []faultfs.Op {
	t.Helper()
	s.preparedDisk(t)
	before := len(s.disk.Log())
	if r := s.run(t, command); r.Exit != 0 {
		t.Fatalf("%s undisturbed: %+v", command, r)
	}
	return s.disk.Log()[before:]
}

// run runs put-wal, of seg4, or archive-wal.
func (s *site) run(t *testing.T, command string) lab.Result {
	t.Helper()
	if command == "put-wal" {
		return s.put(t, seg4)
	}
	return s.Barman(t, "archive-wal", "main")
}

// failAt runs a command whose operation number step, of those that the fault knows, fails.
func (s *site) failAt(t *testing.T, command string, f fault, step int) {
	t.Helper()
	s.preparedDisk(t)
	n := 0
	var failed faultfs.Op
	s.disk.Before(func(op faultfs.Op) syscall.Errno {
		if !slices.Contains(f.kinds, op.Kind) {
			return 0
		}
		if n++; n < step || n > step && !f.stays {
			return 0
		}
		if n == step {
			failed = op
		}
		return f.errno
	})
	r := s.run(t, command)
	s.disk.Before(nil)
	if failed.Kind == "" {
		return // it did without this operation
	}
	where := fmt.Sprintf("%s at step %d (%s)", f.name, step, failed)
	for _, bad := range []string{"goroutine ", "rpc error", "panic:"} {
		if strings.Contains(r.Stdout+r.Stderr, bad) {
			t.Errorf("%s: the user sees %q:\n%s%s", where, bad, r.Stdout, r.Stderr)
		}
	}
	if r.Exit == 0 && (failed.Kind == faultfs.Sync || failed.Kind == faultfs.SyncDir) {
		t.Errorf("%s: %s says that it succeeded", where, command)
	}
	if r.Exit == 0 && command == "archive-wal" {
		s.checkNothingWaits(t, where)
	}

	s.mustPut(t, seg4)
	s.Must(t, "archive-wal", "main")
	s.checkNothingWaits(t, where)
	checkIndex(t, s.Layout("main"))
	checkNoTemps(t, s.Home)
	if err := newWALWitness(s.truth).replay(s.disk.Base(), s.disk.Log()); err != nil {
		t.Errorf("%s: %v", where, err)
	}
	if t.Failed() {
		t.Fatalf("%s, in a run that ended with exit code %d\n%s%s", where, r.Exit, r.Stdout, r.Stderr)
	}
}

// checkNothingWaits wants all files that were delivered in the archive.
func (s *site) checkNothingWaits(t *testing.T, where string) {
	t.Helper()
	layout := s.Layout("main")
	for path := range regularFiles(t, layout.Incoming) {
		t.Errorf("%s: archive-wal says that it succeeded, and %s waits", where, path)
	}
	for path := range regularFiles(t, layout.Errors) {
		t.Errorf("%s: %s was taken for an error", where, path)
	}
}

// TestAFailedFsyncOfADeliveredFileIsNotForgotten sends a segment that lies in incoming/ already, copied without an fsync: put-wal syncs it,
// fails, and must not take the success of the next fsync for one of the first.
func TestAFailedFsyncOfADeliveredFileIsNotForgotten(t *testing.T) {
	s := newSite(t, "none")
	s.preparedDisk(t)
	s.deliver(t, s.Layout("main").Incoming, seg4)
	s.disk.Before(func(op faultfs.Op) syscall.Errno {
		if op.Kind == faultfs.Sync && op.Path == "main/incoming/"+seg4 {
			return syscall.EIO
		}
		return 0
	})
	if r := s.put(t, seg4); r.Exit == 0 {
		t.Error("put-wal says that it succeeded")
	}
	s.disk.Before(nil)
	s.mustPut(t, seg4)
	if err := newWALWitness(s.truth).replay(s.disk.Base(), s.disk.Log()); err != nil {
		t.Error(err)
	}
}

// TestAFailedFsyncOfAnArchivedFileIsNotForgotten has a segment in the archive that nobody has synced, as Python Barman leaves it when it is
// killed, and its source: archive-wal syncs the archived file, fails, and must not remove the source because the next fsync succeeds.
func TestAFailedFsyncOfAnArchivedFileIsNotForgotten(t *testing.T) {
	s := newSite(t, "none")
	s.preparedDisk(t)
	layout := s.Layout("main")
	s.disk.Mark(forgotten(seg1)) // until the source is removed
	dir := filepath.Join(layout.WALs, seg1[:16])
	s.deliver(t, dir, seg1)
	s.disk.Before(func(op faultfs.Op) syscall.Errno {
		if op.Kind == faultfs.Sync && op.Path == "main/wals/"+seg1[:16]+"/"+seg1 {
			return syscall.EIO
		}
		return 0
	})
	if r := s.Barman(t, "archive-wal", "main"); r.Exit == 0 {
		t.Error("archive-wal says that it succeeded")
	}
	s.disk.Before(nil)
	s.Must(t, "archive-wal", "main")
	s.checkNothingWaits(t, "after the second run")
	if err := newWALWitness(s.truth).replay(s.disk.Base(), s.disk.Log()); err != nil {
		t.Error(err)
	}
}

// TestAFailedFsyncOfTheIndexIsNotForgotten has a line in the index that a killed archive-wal has not synced. The fsync that the next one makes
// fails, before it relies on the line or after it has appended others: no source may be removed because the fsync after that succeeds.
func TestAFailedFsyncOfTheIndexIsNotForgotten(t *testing.T) {
	s := newSite(t, "none")
	line := catalog.WALRecord{Name: seg3, Size: segmentSize, ModTime: 1.5}
	for name, files := range map[string]map[string][]byte{
		"the line is relied on":    {},
		"other lines are appended": {"main/incoming/" + seg1: s.truth[seg1]},
	} {
		t.Run(name, func(t *testing.T) {
			files["main/wals/"+seg3[:16]+"/"+seg3] = s.truth[seg3]
			files["main/streaming/"+seg3], files["main/streaming/"+seg4] = s.truth[seg3], s.truth[seg4]
			files["main/wals/main-xlog.db"] = nil
			s.newDisk(t, files)
			s.disk.Mark(acknowledged(seg3))
			s.WriteFile(t, s.Layout("main").WALIndexPath(), string(line.AppendTo(nil)), 0o644)
			s.failOnce(t, faultfs.Sync, "main/wals/main-xlog.db", "archive-wal")
			s.Must(t, "archive-wal", "main")
			s.checkIndexSurvives(t)
		})
	}
}

// TestTheNameOfTheIndexIsDurableBeforeItCounts has a command replace the index and fail to make that durable: what archive-wal adds to
// the new one must not go with it.
func TestTheNameOfTheIndexIsDurableBeforeItCounts(t *testing.T) {
	s := newSite(t, "none")
	archived := catalog.WALRecord{Name: seg2, Size: segmentSize, ModTime: 1.5}
	s.newDisk(t, map[string][]byte{
		"main/incoming/" + seg1: s.truth[seg1], "main/wals/" + seg2[:16] + "/" + seg2: s.truth[seg2], "main/wals/main-xlog.db": archived.AppendTo(nil),
	})
	s.disk.Mark(acknowledged(seg1))
	s.failOnce(t, faultfs.SyncDir, "main/wals", "rebuild-xlogdb")
	s.Must(t, "archive-wal", "main")
	s.checkIndexSurvives(t)
}

// failOnce runs a command in which the first operation of a kind on a path fails, as the command must.
func (s *site) failOnce(t *testing.T, kind faultfs.Kind, path, command string) {
	t.Helper()
	failed := false
	s.disk.Before(func(op faultfs.Op) syscall.Errno {
		if failed || op.Kind != kind || op.Path != path {
			return 0
		}
		failed = true
		return syscall.EIO
	})
	if r := s.Barman(t, command, "main"); r.Exit == 0 || !failed {
		t.Errorf("%s of %s has failed: %v; %s has exit code %d", kind, path, failed, command, r.Exit)
	}
	s.disk.Before(nil)
}

// checkIndexSurvives loses the power wherever that may cost something.
func (s *site) checkIndexSurvives(t *testing.T) {
	t.Helper()
	checkIndex(t, s.Layout("main"))
	if err := newWALWitness(s.truth).replay(s.disk.Base(), s.disk.Log()); err != nil {
		t.Error(err)
	}
}
