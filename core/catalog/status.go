package catalog

import (
	"fmt"
	"slices"
	"strings"
)

// Status is how far a backup has come.
type Status string

// Statuses of a backup.
const (
	// StatusEmpty: it has an identity and nothing else.
	StatusEmpty Status = "EMPTY"
	// StatusStarted: PostgreSQL is in backup mode and files are being copied.
	StatusStarted Status = "STARTED"
	// StatusWaitingForWALs: the copy is complete; some WAL files that it needs are not archived yet.
	StatusWaitingForWALs Status = "WAITING_FOR_WALS"
	// StatusDone: the copy and its WAL files are complete.
	StatusDone Status = "DONE"
	// StatusSyncing: a passive node is copying it from its primary.
	StatusSyncing Status = "SYNCING"
	// StatusFailed: it cannot be restored; Error says why.
	StatusFailed Status = "FAILED"
)

// Groups of statuses. Do not change them.
var (
	// Usable backups have a complete copy. Shortcuts such as latest, names, and previous and next backups mean these.
	Usable = []Status{StatusWaitingForWALs, StatusDone}
	// NotEmpty is everything that retention and orphan detection look at.
	NotEmpty = []Status{StatusStarted, StatusWaitingForWALs, StatusDone, StatusSyncing, StatusFailed}
	// NeedsWAL are backups that can be restored, or may become so: their WAL files must stay.
	NeedsWAL = []Status{StatusStarted, StatusWaitingForWALs, StatusDone, StatusSyncing}
)

// transitions lists where a backup may go from each status; "" stands for a backup without a file.
//
// DONE goes back when check-backup finds that WAL files have disappeared. FAILED and everything else may become
// SYNCING only on a passive node, which copies a backup again when its own copy is not DONE.
var transitions = map[Status][]Status{
	"":                   {StatusEmpty, StatusSyncing},
	StatusEmpty:          {StatusStarted, StatusFailed, StatusSyncing},
	StatusStarted:        {StatusWaitingForWALs, StatusFailed, StatusSyncing},
	StatusWaitingForWALs: {StatusDone, StatusFailed, StatusSyncing},
	StatusDone:           {StatusWaitingForWALs, StatusFailed},
	StatusSyncing:        {StatusDone, StatusFailed, StatusWaitingForWALs, StatusSyncing},
	StatusFailed:         {StatusSyncing},
}

// Valid tells whether s is one of the statuses above.
func (s Status) Valid() bool {
	_, known := transitions[s]
	return known && s != ""
}

// In tells whether s is one of the given statuses.
func (s Status) In(statuses ...Status) bool { return slices.Contains(statuses, s) }

// CanBecome tells whether a backup may go from s to next. Staying where it is, is always allowed.
func (s Status) CanBecome(next Status) bool {
	return next.Valid() && (s == next || slices.Contains(transitions[s], next))
}

// TransitionError means that a backup cannot take a status.
type TransitionError struct {
	ID       string
	From, To Status
}

func (e *TransitionError) Error() string {
	return fmt.Sprintf("backup %s has status %s and cannot become %s", e.ID, e.From, e.To)
}

// SetStatus moves the backup to a status. The error is a *TransitionError; use Fail for FAILED.
func (b *BackupInfo) SetStatus(next Status) error {
	if !b.Status.CanBecome(next) {
		return &TransitionError{ID: b.ID, From: b.Status, To: next}
	}
	b.Status = next
	return nil
}

// Fail moves the backup to FAILED and records the first line of the reason.
func (b *BackupInfo) Fail(reason string) error {
	if err := b.SetStatus(StatusFailed); err != nil {
		return err
	}
	b.Error = oneLine(reason)
	return nil
}

// oneLine is the first line of s that is not blank: a value of backup.info cannot hold a line break.
func oneLine(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.IndexAny(s, "\r\n"); i >= 0 {
		s = s[:i]
	}
	return strings.TrimSpace(s)
}
