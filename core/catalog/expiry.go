package catalog

import (
	"cmp"
	"slices"

	"github.com/barman-go/barman/core/wal"
)

// Expiry is what happens to the WAL archive when the retention policy deletes backups, one after the other.
type Expiry struct {
	// Steps are the deletes, in their order.
	Steps []ExpiryStep
	// left says what the backups that are left need: what no step removes although they do not need it, waits for the
	// next step. It is nil when that is not known, and leftReason says why.
	left       *WALRemoval
	leftReason string
}

// ExpiryStep is the delete of one backup.
type ExpiryStep struct {
	ID string
	// Removal is the WAL that goes with it; nil when none does, and Reason says why.
	Removal *WALRemoval
	Reason  string
}

// PlanExpiry says what the deletes of these backups, in this order, do with the WAL archive. It is what RemovableWALs says
// at each of them.
func (l *Backups) PlanExpiry(ids []string, keeps map[string]Keep) *Expiry {
	plan := &Expiry{}
	for _, id := range ids {
		step := ExpiryStep{ID: id}
		step.Removal, step.Reason = l.RemovableWALs(id, keeps, true)
		plan.Steps = append(plan.Steps, step)
		l = l.filter(func(b *BackupInfo) bool { return b.ID != id })
	}
	plan.left, plan.leftReason = l.neededWAL(keeps)
	return plan
}

// neededWAL is the removal that would leave exactly what the backups need.
func (l *Backups) neededWAL(keeps map[string]Keep) (*WALRemoval, string) {
	var ranges []WALRange
	for _, b := range l.With(Usable...) {
		if keeps[b.ID] != KeepStandalone {
			return l.removalBefore(b, "", ranges)
		}
		if b.BeginWAL == (wal.Segment{}) || b.EndWAL == (wal.Segment{}) {
			return nil, "which WAL files backup " + b.ID + " needs is not known"
		}
		ranges = append(ranges, WALRange{First: b.BeginWAL, Last: b.EndWAL, ID: b.ID})
	}
	return nil, "no backup is left that says where the WAL of the next one begins"
}

// ExpiryVerdict is what becomes of some WAL files.
type ExpiryVerdict struct {
	// Removed tells that they go, with the delete of the backup With.
	Removed bool
	With    string
	// Reason is one sentence for people, without a full stop.
	Reason string
}

// Judge says what becomes of a file.
func (e *Expiry) Judge(name wal.FileName) ExpiryVerdict {
	segment, ok := name.Segment()
	if !ok {
		return ExpiryVerdict{Reason: WALVerdict{Rule: WALIsHistory}.String()}
	}
	return e.judge(segment)
}

func (e *Expiry) judge(segment wal.Segment) ExpiryVerdict {
	for _, step := range e.Steps {
		if step.Removal == nil {
			continue
		}
		if v := step.Removal.judge(segment); v.Removes() {
			return ExpiryVerdict{Removed: true, With: step.ID, Reason: v.String()}
		}
	}
	if e.left == nil {
		return ExpiryVerdict{Reason: e.leftReason}
	}
	if v := e.left.judge(segment); !v.Removes() {
		return ExpiryVerdict{Reason: v.String()}
	}
	return ExpiryVerdict{Reason: "no backup needs it, and it goes with the next backup that retention deletes"}
}

// turns are the segments of a timeline at which the verdict can change, ascending: it is the same from one to the next.
func (e *Expiry) turns(tli wal.TimelineID) []uint64 {
	var turns []uint64
	add := func(s wal.Segment, behind uint64) {
		if s.Timeline == tli {
			turns = append(turns, position(s)+behind)
		}
	}
	removals := []*WALRemoval{e.left}
	for _, step := range e.Steps {
		removals = append(removals, step.Removal)
	}
	for _, r := range removals {
		if r == nil {
			continue
		}
		add(r.Horizon, 0)
		for _, protected := range r.Ranges {
			add(protected.First, 0)
			add(protected.Last, 1)
		}
	}
	slices.SortFunc(turns, cmp.Compare)
	return slices.Compact(turns)
}
