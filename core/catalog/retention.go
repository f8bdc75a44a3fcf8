package catalog

import "github.com/barman-go/barman/core/retention"

// ForRetention is the list in the form that package retention examines: all backups but those that are EMPTY. keeps
// comes from Catalog.Keeps. running is the id of the backup that a process is taking at this moment, empty when the
// server's backup lock is free.
func (l *Backups) ForRetention(keeps map[string]Keep, running string) []retention.Backup {
	var list []retention.Backup
	for _, b := range l.With(NotEmpty...) {
		r := retention.Backup{
			ID:         b.ID,
			Done:       b.Status == StatusDone,
			EndTime:    b.EndTime,
			Keep:       retention.Keep(keeps[b.ID]),
			InProgress: b.ID == running,
		}
		if b.IsIncremental() {
			r.Parent = b.ParentID
		}
		list = append(list, r)
	}
	return list
}
