package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/barman-go/barman/core/wal"
)

// GapGrace is how long a segment may be missing while later ones are archived before a backup is given up.
//
// Segments do not always arrive in order: several are archived at once, and the file archiver and the streaming
// archiver overtake each other. A FAILED backup is never looked at again, so it must not be one that is only early.
const GapGrace = time.Hour

// WALArchive is what CheckWALs needs to know about the archive of one server at one moment.
type WALArchive struct {
	// Newest is the highest complete segment on the backup's timeline; the zero Segment when there is none.
	Newest wal.Segment
	// NewestTime is when the archive's newest file of that timeline was last changed; zero when not known.
	NewestTime time.Time
	// Missing are those of the required segments that are not archived, ascending.
	Missing []wal.Segment
	// Pending are those of Missing that wait in incoming/ or streaming/.
	Pending []wal.Segment
}

// Decision is what is to become of a backup.
type Decision struct {
	Status Status
	// Missing is the first segment that is not archived although a later one is; the zero Segment if there is none.
	Missing wal.Segment
	// Reason says why, in one sentence without a full stop.
	Reason string
	// Error is the text for the backup's error field when Status is FAILED; empty otherwise.
	Error string
}

// ErrFailedBackup means that a failed backup was to be checked.
var ErrFailedBackup = errors.New("The validity of a failed backup cannot be checked")

// CheckWALs decides whether the WAL files that make a backup consistent are archived.
//
//	all of them are                                               DONE
//	the archive does not reach the backup's last segment          WAITING_FOR_WALS
//	one is missing before the archive's end, and may still come   WAITING_FOR_WALS
//	one is missing, and cannot be expected any more               FAILED
//
// A missing segment may still come while it waits in incoming/ or streaming/, while the archive has not reached the
// backup's last segment, and until nothing was archived for GapGrace. (Barman fails the backup at once.) A backup
// that was DONE goes back to WAITING_FOR_WALS first.
//
// The error is ErrFailedBackup, or that of BackupInfo.RequiredWALs for a backup that has no WAL files to look for.
func CheckWALs(b *BackupInfo, archive WALArchive, now time.Time) (Decision, error) {
	if b.Status == StatusFailed {
		return Decision{}, ErrFailedBackup
	}
	if !b.Status.In(Usable...) {
		return Decision{Status: b.Status, Reason: fmt.Sprintf("the copy is not complete (status %s)", b.Status)}, nil
	}
	if b.EndWAL == (wal.Segment{}) {
		return Decision{Status: b.Status, Reason: "it is not known which WAL files it needs"}, nil
	}
	required, err := b.RequiredWALs()
	if err != nil {
		return Decision{}, err
	}
	waiting := Decision{Status: StatusWaitingForWALs}
	if len(archive.Missing) == 0 {
		return Decision{Status: StatusDone, Reason: fmt.Sprintf("all %d WAL files from %s to %s are archived",
			len(required), b.BeginWAL, b.EndWAL)}, nil
	}
	first := archive.Missing[0]
	if archive.Newest == (wal.Segment{}) || archive.Newest.Compare(first) < 0 {
		waiting.Reason = fmt.Sprintf("WAL file %s is not archived yet", first)
		return waiting, nil
	}
	waiting.Missing = first
	switch {
	case slices.Contains(archive.Pending, first):
		waiting.Reason = fmt.Sprintf("WAL file %s has arrived and waits to be archived", first)
	case archive.Newest.Compare(b.EndWAL) < 0:
		waiting.Reason = fmt.Sprintf("WAL file %s is missing, and the archive (%s) has not reached %s yet",
			first, archive.Newest, b.EndWAL)
	case b.Status == StatusDone || now.Sub(archive.NewestTime) < GapGrace:
		waiting.Reason = fmt.Sprintf("WAL file %s is missing, although %s is archived; it may still arrive",
			first, archive.Newest)
	default:
		return Decision{
			Status:  StatusFailed,
			Missing: first,
			Reason:  fmt.Sprintf("WAL file %s is missing and nothing was archived for %s", first, GapGrace),
			Error:   fmt.Sprintf("At least one WAL file is missing. The first missing WAL file is %s", first),
		}, nil
	}
	return waiting, nil
}

// LookAtWALs finds out what CheckWALs needs, from the directories of the archive and not from its index, so that a
// damaged index cannot make a backup look complete.
func (c *Catalog) LookAtWALs(b *BackupInfo) (WALArchive, error) {
	var archive WALArchive
	required, err := b.RequiredWALs()
	if err != nil {
		return archive, err
	}
	for _, segment := range required {
		info, err := os.Stat(c.Layout.SegmentPath(segment))
		if err == nil && info.Mode().IsRegular() {
			continue
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return archive, err
		}
		archive.Missing = append(archive.Missing, segment)
		if c.isPending(segment) {
			archive.Pending = append(archive.Pending, segment)
		}
	}
	archive.Newest, archive.NewestTime, err = c.newestSegment(b.BeginWAL.Timeline)
	return archive, err
}

// isPending tells whether a segment lies where archive-wal will find it.
func (c *Catalog) isPending(segment wal.Segment) bool {
	for _, path := range []string{
		filepath.Join(c.Layout.Incoming, segment.String()),
		filepath.Join(c.Layout.Streaming, segment.String()),
		filepath.Join(c.Layout.Streaming, wal.PartialName(segment)),
	} {
		if found, err := exists(path); err == nil && found {
			return true
		}
	}
	return false
}

// CheckBackup looks at the WAL files of a backup, decides, and saves the backup if its status or error changed. The
// caller holds the backup's own lock. The errors of CheckWALs and Load come back as they are.
func (c *Catalog) CheckBackup(id string, now time.Time) (*BackupInfo, Decision, error) {
	var decision Decision
	b, err := c.Update(id, func(b *BackupInfo) (err error) {
		var archive WALArchive
		if b.Status.In(Usable...) && b.EndWAL != (wal.Segment{}) {
			if archive, err = c.LookAtWALs(b); err != nil {
				return err
			}
		}
		if decision, err = CheckWALs(b, archive, now); err != nil {
			return err
		}
		if decision.Status == StatusFailed {
			return b.Fail(decision.Error)
		}
		return b.SetStatus(decision.Status)
	})
	return b, decision, err
}
