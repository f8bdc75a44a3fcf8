package catalog

import "github.com/barman-go/barman/core/retention"

// ForRetention is the list in the form that package retention examines: all backups but those that are EMPTY. An
// incremental one is examined even then, because it needs its chain from its first moment on, and goes with it. keeps
// comes from Catalog.Keeps, marked from Catalog.Marked. running is the id of the backup that a process is taking at this
// moment, empty when the server's backup lock is free.
func (l *Backups) ForRetention(keeps map[string]Keep, marked map[string]bool, running string) []retention.Backup {
	var list []retention.Backup
	for _, b := range l.All {
		if !b.Status.In(NotEmpty...) && !b.IsIncremental() && b.ID != running {
			continue
		}
		r := retention.Backup{
			ID:         b.ID,
			Done:       b.Status == StatusDone,
			EndTime:    b.EndTime,
			Keep:       retention.Keep(keeps[b.ID]),
			InProgress: b.ID == running,
			Doomed:     marked[b.ID],
		}
		if b.IsIncremental() {
			r.Parent = b.ParentID
		}
		list = append(list, r)
	}
	return list
}
