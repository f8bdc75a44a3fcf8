package passive

import (
	"fmt"

	"github.com/barman-go/barman/core/catalog"
)

// Action is what is to be done about one backup.
type Action int

// Actions.
const (
	// Copy it, or go on copying it.
	Copy Action = iota + 1
	// Synced: all of it is here already.
	Synced
	// Obsolete: the local retention policy would remove it at once.
	Obsolete
	// LocalOnly: the primary does not have it any more, and it is complete here.
	LocalOnly
	// Purge: the primary does not have it any more, and what is here is not complete.
	Purge
	// Absent: neither node has it.
	Absent
	// Conflict: both nodes have a backup of that id, and they are not the same.
	Conflict
)

// Decide says what is to be done about a backup, by what the primary and the local catalog say about it; nil means that a side does not
// have it. obsolete is the verdict of the local policy if it were here.
//
//	on the primary   here                              action
//	no               no                                Absent
//	no               FAILED, SYNCING                   Purge
//	no               anything else                     LocalOnly
//	yes              DONE, WAITING_FOR_WALS            Synced; Conflict when it is another backup
//	yes              EMPTY, STARTED                    Conflict: it is being taken here
//	yes              no, FAILED, SYNCING               Copy; Obsolete when the policy says so
func Decide(remote, local *catalog.BackupInfo, obsolete bool) Action {
	here := catalog.Status("")
	if local != nil {
		here = local.Status
	}
	incomplete := here.In(catalog.StatusFailed, catalog.StatusSyncing)
	switch {
	case remote == nil && local == nil:
		return Absent
	case remote == nil && incomplete:
		return Purge
	case remote == nil:
		return LocalOnly
	case here.In(catalog.Usable...) && difference(remote, local) == "":
		return Synced
	case local != nil && !incomplete:
		return Conflict
	case obsolete:
		return Obsolete
	}
	return Copy
}

// difference tells in what two backups of one id differ that cannot change in the life of a backup; empty when they are the same one.
func difference(remote, local *catalog.BackupInfo) string {
	for _, f := range []struct {
		what        string
		there, here any
	}{
		{"system identifier", remote.SystemID, local.SystemID},
		{"first WAL file", remote.BeginWAL, local.BeginWAL},
		{"begin LSN", remote.BeginLSN, local.BeginLSN},
		{"end LSN", remote.EndLSN, local.EndLSN},
		{"parent", remote.ParentID, local.ParentID},
	} {
		if f.there != f.here {
			return fmt.Sprintf("its %s is %v there and %v here", f.what, f.there, f.here)
		}
	}
	return ""
}

// ToCopy are the backups of the primary that a run would copy, oldest first: those that Decide says to copy, but for those that wait for
// another one, which gets there first: an incremental one for its parent, and one that shares files for the backup before it.
// What is obsolete is told by the caller.
func ToCopy(doc *Document, list *catalog.Backups, obsolete func(id string) bool) (now, waiting []string) {
	pending := map[string]bool{}
	before := ""
	for _, b := range doc.Backups {
		if b.Err != nil || Decide(b.Info, list.Get(b.ID), obsolete(b.ID)) != Copy {
			before = b.ID
			continue
		}
		pending[b.ID] = true
		if pending[b.Info.ParentID] || pending[before] && sharesFiles(b.Info) {
			waiting = append(waiting, b.ID)
		} else {
			now = append(now, b.ID)
		}
		before = b.ID
	}
	return now, waiting
}

// sharesFiles tells whether files of a backup are hard links to those of an earlier one.
func sharesFiles(b *catalog.BackupInfo) bool {
	return b.Type() == catalog.TypeRsync && b.DeduplicatedSize.Valid && b.DeduplicatedSize.N < b.Size.N
}
