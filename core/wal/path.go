package wal

import (
	"fmt"
	"iter"
)

// Span is a stretch of the log on one timeline.
type Span struct {
	Timeline TimelineID
	// Begin is included, End is not. The last span of a Path ends at MaxLSN.
	Begin, End LSN
}

// Path is what a recovery reads, in order: spans that join without a gap. The last span's timeline is the target.
type Path []Span

// NotOnPathError means that no recovery can go from a backup to a timeline: the timeline does not descend from the
// backup's, or left it before the place asked for.
type NotOnPathError struct {
	Target TimelineID
	// Timeline and LSN are the place that is not in the target's past.
	Timeline TimelineID
	LSN      LSN
	// SwitchedAt is where the target left Timeline, or InvalidLSN when it never was on it.
	SwitchedAt LSN
}

// Error says why and what can be done.
func (e *NotOnPathError) Error() string {
	if e.SwitchedAt == InvalidLSN {
		return fmt.Sprintf("timeline %d does not descend from timeline %d: choose a backup taken on one of its ancestors, "+
			"or another target timeline", e.Target, e.Timeline)
	}
	return fmt.Sprintf("timeline %d left timeline %d at %s, before %s: choose an older backup, or another target timeline",
		e.Target, e.Timeline, e.SwitchedAt, e.LSN)
}

// Path returns the spans from the byte at start on timeline tli to the end of h's timeline. When start is not in the
// past of h's timeline, the error is a *NotOnPathError, for the same reasons for which PostgreSQL refuses to start
// recovery ("requested timeline is not a child of this server's history").
//
// For a base backup, check its end too (Reaches): a backup that ended after the switch can never become consistent.
func (h History) Path(tli TimelineID, start LSN) (Path, error) {
	switched, ok := h.SwitchedAt(tli)
	if !ok {
		return nil, &NotOnPathError{Target: h.Timeline, Timeline: tli, LSN: start}
	}
	if start >= switched {
		return nil, &NotOnPathError{Target: h.Timeline, Timeline: tli, LSN: start, SwitchedAt: switched}
	}
	var path Path
	begin := start
	for _, a := range h.Ancestors {
		// A timeline that was left where it began, or a file with switch points out of order, adds nothing.
		if a.Timeline < tli || a.SwitchedAt <= begin {
			continue
		}
		path = append(path, Span{Timeline: a.Timeline, Begin: begin, End: a.SwitchedAt})
		begin = a.SwitchedAt
	}
	return append(path, Span{Timeline: h.Timeline, Begin: begin, End: MaxLSN}), nil
}

// Reaches returns nil when everything written on timeline tli before end is in the past of h's timeline, and a
// *NotOnPathError otherwise.
func (h History) Reaches(tli TimelineID, end LSN) error {
	switched, ok := h.SwitchedAt(tli)
	switch {
	case !ok:
		return &NotOnPathError{Target: h.Timeline, Timeline: tli, LSN: end}
	case end > switched:
		return &NotOnPathError{Target: h.Timeline, Timeline: tli, LSN: end, SwitchedAt: switched}
	}
	return nil
}

// SegmentAt is the file that holds the byte at lsn and that recovery prefers: when several timelines of the path meet
// in one segment, the newest one's, which begins with a copy of what its ancestor wrote. lsn must not be before the
// path.
func (p Path) SegmentAt(lsn LSN, size SegmentSize) Segment {
	return p.Candidates(lsn, size)[0]
}

// Candidates are the files that may serve for the segment around lsn, best first: one for every timeline of the path
// that has bytes in it. An older timeline's file serves up to its switch point; PostgreSQL also archives it as
// ".partial".
func (p Path) Candidates(lsn LSN, size SegmentSize) []Segment {
	place := SegmentForLSN(0, lsn, size)
	begin, end := place.StartLSN(size), place.EndLSN(size)
	var found []Segment
	for i := len(p) - 1; i >= 0; i-- {
		if p[i].Begin < end && p[i].End > begin {
			found = append(found, place.OnTimeline(p[i].Timeline))
		}
	}
	if len(found) == 0 {
		// Only an lsn before the path gets here; the oldest timeline is the only sensible answer.
		found = append(found, place.OnTimeline(p[0].Timeline))
	}
	return found
}

// Segments yields the preferred file of every segment from the start of the path to the one that holds the last byte
// before end, in order.
func (p Path) Segments(end LSN, size SegmentSize) iter.Seq[Segment] {
	return func(yield func(Segment) bool) {
		if len(p) == 0 || end <= p[0].Begin {
			return
		}
		first := SegmentForLSN(0, p[0].Begin, size)
		last := SegmentEndingAt(0, end, size)
		for place := range Range(first, last, size) {
			if !yield(p.SegmentAt(place.StartLSN(size), size)) {
				return
			}
		}
	}
}
