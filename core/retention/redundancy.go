package retention

import "fmt"

// MinimumRedundancyError means that a delete would leave too few backups.
type MinimumRedundancyError struct {
	ID      string
	Minimum int
	// Current counts the backup that was to be deleted.
	Current int
}

func (e *MinimumRedundancyError) Error() string {
	return fmt.Sprintf("backup %s cannot be deleted: minimum_redundancy is %d and there are %d backups that count",
		e.ID, e.Minimum, e.Current)
}

// KeptError means that a backup is kept.
type KeptError struct {
	ID   string
	Keep Keep
}

func (e *KeptError) Error() string {
	return fmt.Sprintf("backup %s cannot be deleted: it is kept (%s); release it first", e.ID, e.Keep)
}

// Count is the number of backups that minimum_redundancy counts: DONE and not incremental, kept or not. One whose delete
// began does not count, unless it is kept.
func Count(backups []Backup) int {
	n := 0
	for _, b := range backups {
		doomed := b.Doomed && b.Keep == KeepNone
		if b.Done && !doomed && b.Parent == "" {
			n++
		}
	}
	return n
}

// CheckDelete tells whether somebody may delete the backup id by hand: nil, a *KeptError, or a
// *MinimumRedundancyError. Incremental backups and those that are not DONE do not count and may always go, unless
// they are kept.
func CheckDelete(id string, backups []Backup, minimumRedundancy int) error {
	for _, b := range backups {
		if b.ID != id {
			continue
		}
		if b.Keep != KeepNone {
			return &KeptError{ID: id, Keep: b.Keep}
		}
		if current := Count(backups); b.Done && !b.Doomed && b.Parent == "" && minimumRedundancy >= current {
			return &MinimumRedundancyError{ID: id, Minimum: minimumRedundancy, Current: current}
		}
	}
	return nil
}
