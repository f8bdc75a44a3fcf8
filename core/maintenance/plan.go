package maintenance

import (
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/retention"
)

// Situation is everything that decides what the retention policy does, as values.
type Situation struct {
	Policy            retention.Policy
	MinimumRedundancy int
	Backups           *catalog.Backups
	Keeps             map[string]catalog.Keep
	// Marked are the backups whose delete has begun.
	Marked map[string]bool
	// Running is the backup that a process is taking at this moment, or empty.
	Running string
	Now     time.Time
	// Distrust says why Now may be wrong; see retention.Input.
	Distrust string
}

// Plan is what the retention policy does in a situation, and why. Enforce acts by it, and people are shown it.
type Plan struct {
	*retention.Report
	// Deletes are in the order in which they are done: a backup after those that depend on it.
	Deletes []PlannedDelete
	// WAL is what the deletes do with the WAL archive.
	WAL *catalog.Expiry
}

// PlannedDelete is the delete of one backup.
type PlannedDelete struct {
	ID string
	// Tree is the backup that it depends on, or itself: when one of a tree cannot be deleted, what comes after it in that tree stays.
	Tree string
	// Resumed tells that the delete of the tree has begun earlier.
	Resumed bool
}

// Verdicts says which backups are obsolete. It is a function of its values.
func (s Situation) Verdicts() *retention.Report {
	return retention.Evaluate(retention.Input{
		Policy: s.Policy, Backups: s.Backups.ForRetention(s.Keeps, s.Marked, s.Running),
		MinimumRedundancy: s.MinimumRedundancy, Now: s.Now, Distrust: s.Distrust,
	})
}

// Plan says what is to be done about it. It is a function of its values.
func (s Situation) Plan() *Plan {
	p := &Plan{Report: s.Verdicts()}
	planned := make(map[string]bool)
	var ids []string
	for _, tree := range p.Obsolete() {
		if planned[tree] {
			continue // it goes with the backup that it depends on
		}
		resumed := s.Marked[tree]
		for _, b := range append(s.Backups.Descendants(tree), s.Backups.Get(tree)) {
			if !planned[b.ID] {
				planned[b.ID] = true
				ids = append(ids, b.ID)
				p.Deletes = append(p.Deletes, PlannedDelete{ID: b.ID, Tree: tree, Resumed: resumed})
			}
		}
	}
	p.WAL = s.Backups.PlanExpiry(ids, s.Keeps)
	return p
}
