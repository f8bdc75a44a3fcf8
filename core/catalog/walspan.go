package catalog

import (
	"github.com/barman-go/barman/core/wal"
)

// WALSpan is the part of the archive that belongs to one backup: from its first segment to the last one that the next
// backup needs, all on the timeline on which it began.
type WALSpan struct {
	// ID is the backup.
	ID string
	// Begin and End are the first and the last segment without which the backup is not consistent.
	Begin, End wal.Segment
	// Limit is the last segment of the next backup; the zero Segment when there is no next backup or it is on another
	// timeline.
	Limit wal.Segment
}

// Contains tells whether a segment belongs to the span.
func (s WALSpan) Contains(segment wal.Segment) bool {
	return segment.Timeline == s.Begin.Timeline && segment.Compare(s.Begin) >= 0 &&
		(s.Limit == wal.Segment{} || segment.Compare(s.Limit) <= 0)
}

// WALSpan returns the span of a usable backup; ok is false for the others.
func (l *Backups) WALSpan(b *BackupInfo) (span WALSpan, ok bool) {
	var none wal.Segment
	if !b.Status.In(Usable...) || b.BeginWAL == none || b.EndWAL == none {
		return WALSpan{}, false
	}
	span = WALSpan{ID: b.ID, Begin: b.BeginWAL, End: b.EndWAL}
	// A backup on another timeline sets no limit on this one.
	if next := l.Next(b.ID, Usable...); next != nil && next.EndWAL.Timeline == b.BeginWAL.Timeline {
		span.Limit = next.EndWAL
	}
	return span, true
}

// WALSpans are the spans of all usable backups.
func (l *Backups) WALSpans() []WALSpan {
	var spans []WALSpan
	for _, b := range l.All {
		if span, ok := l.WALSpan(b); ok {
			spans = append(spans, span)
		}
	}
	return spans
}
