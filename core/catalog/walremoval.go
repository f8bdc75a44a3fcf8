package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
)

// RemovableWALs says which archived files can go when the backup id goes. When none can, removal is nil and reason
// says why.
//
// WAL goes with the oldest backup: as long as a usable backup before it remains, its recovery may read all WAL since.
// Backups that are kept as standalone are the exception, because they need only their own segments. Retention
// (byRetention) steps over them and protects these; a delete by hand removes no WAL at all, so that a change of mind
// stays possible.
//
// Everything from the first segment of the next backup on stays; without a next backup, everything from the first
// segment of the deleted one, since the server goes on archiving and the next backup may start from there. The
// timelines of other backups stay, and those that may have branched off them.
//
// It is careful where Barman is not: it removes nothing when a backup cannot be read, or when the segment that would
// be the horizon is not known; and it takes backups into account that are being taken or copied.
func (l *Backups) RemovableWALs(id string, keeps map[string]Keep, byRetention bool) (removal *WALRemoval, reason string) {
	deleted := l.Get(id)
	if deleted == nil {
		return nil, fmt.Sprintf("backup %s is not in the catalog", id)
	}
	var ranges []WALRange
	for previous := l.Previous(id, Usable...); previous != nil; previous = l.Previous(previous.ID, Usable...) {
		switch {
		case keeps[previous.ID] != KeepStandalone:
			return nil, fmt.Sprintf("backup %s before it needs them", previous.ID)
		case !byRetention:
			return nil, fmt.Sprintf("backup %s before it is kept as standalone", previous.ID)
		case previous.BeginWAL == wal.Segment{} || previous.EndWAL == wal.Segment{}:
			return nil, fmt.Sprintf("which of them backup %s needs is not known", previous.ID)
		}
		ranges = append(ranges, WALRange{First: previous.BeginWAL, Last: previous.EndWAL, ID: previous.ID})
	}
	next := l.Next(id, Usable...)
	if next == nil {
		next = deleted
	}
	return l.removalBefore(next, id, ranges)
}

// WALsBeforeFirst says which archived files can go when the backup id has become the first usable one: those before
// its first segment, which no backup can ever use. When none can, removal is nil and reason says why. Nothing goes
// for a backup that failed.
func (l *Backups) WALsBeforeFirst(id string) (removal *WALRemoval, reason string) {
	first := l.Get(id)
	switch {
	case first == nil:
		return nil, fmt.Sprintf("backup %s is not in the catalog", id)
	case !first.Status.In(Usable...):
		return nil, fmt.Sprintf("backup %s has status %s", id, first.Status)
	}
	if previous := l.Previous(id, Usable...); previous != nil {
		return nil, fmt.Sprintf("backup %s before it needs them", previous.ID)
	}
	return l.removalBefore(first, "", nil)
}

// removalBefore removes what lies before the first segment of a backup, as far as no other backup but the deleted one
// needs it. Backups to which the ranges belong need nothing else.
func (l *Backups) removalBefore(next *BackupInfo, deleted string, ranges []WALRange) (*WALRemoval, string) {
	if len(l.Unreadable) > 0 {
		return nil, fmt.Sprintf("backup %s cannot be read, and may need them", l.Unreadable[0].ID)
	}
	var none wal.Segment
	if next.BeginWAL == none {
		return nil, fmt.Sprintf("the first WAL file of backup %s is not known", next.ID)
	}
	removal := &WALRemoval{
		Horizon: next.BeginWAL, HorizonOf: next.ID, Timelines: make(map[wal.TimelineID]string), Ranges: ranges,
	}
	for _, b := range l.With(NeedsWAL...) {
		standalone := func(r WALRange) bool { return r.ID == b.ID }
		if b.ID == deleted || slices.ContainsFunc(ranges, standalone) {
			continue
		}
		removal.protectTimelines(b)
		// A backup that was killed long ago says STARTED for ever; only one that is newer than the deleted one can be
		// running. A passive node copies old backups as well.
		relevant := b.ID > deleted || b.Status == StatusSyncing
		if relevant && b.BeginWAL != none && b.BeginWAL.Compare(removal.Horizon) < 0 {
			removal.Horizon, removal.HorizonOf = b.BeginWAL, b.ID
		}
	}
	for _, b := range l.With(StatusEmpty, StatusStarted) {
		if b.ID > deleted && b.BeginWAL == none {
			removal.Elsewhere = b.ID
		}
	}
	delete(removal.Timelines, 0)
	delete(removal.Timelines, next.BeginWAL.Timeline)
	return removal, ""
}

// protectTimelines protects the timelines of a backup, and those that may have branched off them: a timeline has a higher
// number than the one that it comes from.
func (r *WALRemoval) protectTimelines(b *BackupInfo) {
	for _, tli := range []wal.TimelineID{b.Timeline, b.BeginWAL.Timeline} {
		if tli == 0 {
			continue
		}
		if r.Timelines[tli] == "" {
			r.Timelines[tli] = b.ID
		}
		if tli < r.Horizon.Timeline && (r.Branches == 0 || tli < r.Branches) {
			r.Branches, r.BranchesOf = tli, b.ID
		}
	}
}

// RemoveWALFiles removes archived files and the directories that become empty, and makes that durable. Take them off
// the index first (WALIndex.Rewrite). Only the files given are touched, never a directory with anything in it.
//
// around, if not nil, is called for each file and must call remove, or not, to leave the file; hooks run there. Up to
// workers calls run at the same time, for a file system answers many requests faster than one; with 1 they are in order.
// Files that are gone already are fine. It goes on after errors and returns them joined.
func RemoveWALFiles(
	ctx context.Context, layout Layout, records []WALRecord, workers int, around func(r WALRecord, remove func() error) error,
) error {
	if around == nil {
		around = func(_ WALRecord, remove func() error) error { return remove() }
	}
	errs := make([]error, len(records))
	dirs := make(map[string]bool)
	paths := make([]string, len(records))
	for i, r := range records {
		name, err := wal.ParseFileName(r.Name)
		if err != nil {
			errs[i] = err
			continue
		}
		paths[i] = layout.WALPath(name)
		dirs[filepath.Dir(paths[i])] = true
	}
	var next atomic.Int64
	var done sync.WaitGroup
	for range max(workers, 1) {
		done.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(records) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if errs[i] == nil {
					errs[i] = around(records[i], func() error { return removeIfThere(paths[i]) })
				}
			}
		})
	}
	done.Wait()
	return errors.Join(append(errs, ctx.Err(), settle(dirs, layout.WALs))...)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// settle removes the directories in which nothing is left, and makes removals in all of them durable. One sync of the root
// is enough for all directories that are gone.
func settle(dirs map[string]bool, root string) error {
	var errs []error
	changed := map[string]bool{}
	for dir := range dirs {
		gone := false
		if dir != root {
			err := os.Remove(dir)
			gone = err == nil || errors.Is(err, fs.ErrNotExist)
			if !gone && !isNotEmpty(err) && !errors.Is(err, fs.ErrExist) {
				errs = append(errs, err)
			}
		}
		if gone {
			changed[root] = true
		} else {
			changed[dir] = true
		}
	}
	for dir := range changed {
		errs = append(errs, fsx.SyncDir(dir))
	}
	return errors.Join(errs...)
}
