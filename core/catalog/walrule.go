package catalog

import (
	"fmt"

	"github.com/barman-go/barman/core/wal"
)

// WALRemoval says which archived files nothing needs any more. It is a value: what it does not protect, it removes.
type WALRemoval struct {
	// Horizon is the first segment that stays, together with everything whose name sorts after it; HorizonOf is the backup
	// that begins with it.
	Horizon   wal.Segment
	HorizonOf string
	// Timelines are protected as a whole, each by the backup named.
	Timelines map[wal.TimelineID]string
	// Branches protects every timeline after it, because it may have branched off this one after the backup BranchesOf; 0
	// when there is no such timeline.
	Branches   wal.TimelineID
	BranchesOf string
	// Elsewhere is a backup that has begun, nobody knows on which timeline: it protects all but the horizon's. Usually empty.
	Elsewhere string
	// Ranges belong to backups that are kept as standalone.
	Ranges []WALRange
}

// WALRange is all segments from First to Last, both included, which the backup ID needs.
type WALRange struct {
	First, Last wal.Segment
	ID          string
}

// WALRule is why an archived file goes or stays.
type WALRule int

// Rules, in the order in which they are asked.
const (
	// WALIsHistory: history files are small, and without them no timeline can be followed.
	WALIsHistory WALRule = iota
	// WALOnTimeline: another backup is on the timeline, or may be, or the timeline may have branched off the backup's.
	WALOnTimeline
	// WALAfter: a backup that stays begins with it, or before it.
	WALAfter
	// WALStandalone: a backup that is kept as standalone is not consistent without it.
	WALStandalone
	// WALBefore: it is older than the first segment of the oldest backup that needs WAL. Only this one lets a file go.
	WALBefore
)

// WALVerdict is the rule that decides about a file, and the backup because of which it does.
type WALVerdict struct {
	Rule   WALRule
	Backup string
}

// Removes tells whether the file goes.
func (v WALVerdict) Removes() bool { return v.Rule == WALBefore }

// String is one sentence for people, without a full stop.
func (v WALVerdict) String() string {
	switch v.Rule {
	case WALIsHistory:
		return "history files stay: without them no timeline can be followed"
	case WALOnTimeline:
		return fmt.Sprintf("backup %s is on this timeline, or may be, or this one may have branched off its timeline", v.Backup)
	case WALAfter:
		return fmt.Sprintf("backup %s needs all WAL from its first file on", v.Backup)
	case WALStandalone:
		return fmt.Sprintf("backup %s is kept as standalone and is not consistent without it", v.Backup)
	}
	return fmt.Sprintf("it is older than the first WAL file of backup %s, the oldest one that needs WAL", v.Backup)
}

// Judge says what becomes of a file. A backup label and a partial segment go with their segment.
func (r *WALRemoval) Judge(name wal.FileName) WALVerdict {
	segment, ok := name.Segment()
	if !ok {
		return WALVerdict{Rule: WALIsHistory}
	}
	return r.judge(segment)
}

func (r *WALRemoval) judge(segment wal.Segment) WALVerdict {
	if id, protected := r.Timelines[segment.Timeline]; protected {
		return WALVerdict{WALOnTimeline, id}
	}
	if segment.Compare(r.Horizon) >= 0 {
		return WALVerdict{WALAfter, r.HorizonOf}
	}
	if r.Branches != 0 && segment.Timeline > r.Branches {
		return WALVerdict{WALOnTimeline, r.BranchesOf}
	}
	if r.Elsewhere != "" && segment.Timeline != r.Horizon.Timeline {
		return WALVerdict{WALOnTimeline, r.Elsewhere}
	}
	for _, protected := range r.Ranges {
		if segment.Compare(protected.First) >= 0 && segment.Compare(protected.Last) <= 0 {
			return WALVerdict{WALStandalone, protected.ID}
		}
	}
	return WALVerdict{WALBefore, r.HorizonOf}
}

// Removes tells whether a file may go.
func (r *WALRemoval) Removes(name wal.FileName) bool { return r.Judge(name).Removes() }
