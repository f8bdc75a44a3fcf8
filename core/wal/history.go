package wal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxHistoryLine bounds a line of a history file. PostgreSQL itself reads lines of up to 1024 bytes.
const maxHistoryLine = 64 << 10

// History is the content of a timeline history file: the ancestors of a timeline, oldest first. A timeline without a
// history file, such as 1, has a History without entries.
type History struct {
	Timeline TimelineID
	// Ancestors are in increasing order of timeline. The last one is the parent.
	Ancestors []Ancestor
}

// Ancestor is a timeline that was left for its child.
type Ancestor struct {
	Timeline TimelineID
	// SwitchedAt is the first address that is not on this timeline any more.
	SwitchedAt LSN
	// Reason is the free text PostgreSQL adds, such as "no recovery target specified"; often empty.
	Reason string
}

// HistoryError is a line of a history file that PostgreSQL would refuse.
type HistoryError struct {
	Timeline TimelineID
	// Line counts from 1. It is 0 when the file as a whole is wrong.
	Line   int
	Text   string
	Reason string
}

// Error names the file, the line and what is wrong with it.
func (e *HistoryError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("history file %s: %s", HistoryName(e.Timeline), e.Reason)
	}
	return fmt.Sprintf("history file %s, line %d: %s: %q", HistoryName(e.Timeline), e.Line, e.Reason, e.Text)
}

// ParseHistory reads the history file of a timeline with PostgreSQL's rules: blank lines and lines that begin with #
// (after blanks) are skipped; every other line is a timeline in decimal, an LSN and a reason, separated by white
// space; timelines increase and stay below tli. A file that breaks the rules is a *HistoryError; other errors come
// from r.
func ParseHistory(tli TimelineID, r io.Reader) (History, error) {
	h := History{Timeline: tli}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxHistoryLine)
	number := 0
	for lines.Scan() {
		number++
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		ancestor, reason := parseAncestor(text)
		switch {
		case reason != "":
		case len(h.Ancestors) > 0 && ancestor.Timeline <= h.Ancestors[len(h.Ancestors)-1].Timeline:
			reason = "timelines must be in increasing order"
		case ancestor.Timeline >= tli:
			reason = "ancestors must have a lower number than the timeline of the file"
		}
		if reason != "" {
			return History{}, &HistoryError{Timeline: tli, Line: number, Text: text, Reason: reason}
		}
		h.Ancestors = append(h.Ancestors, ancestor)
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return History{}, &HistoryError{Timeline: tli, Reason: fmt.Sprintf("line %d is too long", number+1)}
	} else if err != nil {
		return History{}, fmt.Errorf("history file %s: %w", HistoryName(tli), err)
	}
	return h, nil
}

// parseAncestor reads one line; reason is empty when it is well-formed.
func parseAncestor(text string) (a Ancestor, reason string) {
	number, rest := cutField(text)
	tli, err := strconv.ParseUint(number, 10, 32)
	if err != nil || tli == 0 {
		return Ancestor{}, "expected a numeric timeline"
	}
	position, rest := cutField(rest)
	lsn, err := ParseLSN(position)
	if err != nil {
		return Ancestor{}, "expected the location where the timeline was left, such as 0/5000000"
	}
	return Ancestor{Timeline: TimelineID(tli), SwitchedAt: lsn, Reason: rest}, ""
}

// cutField splits text at its first run of blanks or tabs.
func cutField(text string) (field, rest string) {
	if i := strings.IndexAny(text, " \t"); i >= 0 {
		return text[:i], strings.TrimLeft(text[i:], " \t")
	}
	return text, ""
}

// IsAncestor tells whether tli is a proper ancestor of h's timeline.
func (h History) IsAncestor(tli TimelineID) bool {
	_, ok := h.SwitchedAt(tli)
	return ok && tli != h.Timeline
}

// SwitchedAt is the first address that h's timeline does not share with tli any more: the switch point for an
// ancestor, MaxLSN for h's timeline itself. ok is false when tli is neither.
func (h History) SwitchedAt(tli TimelineID) (lsn LSN, ok bool) {
	if tli == h.Timeline {
		return MaxLSN, true
	}
	for _, a := range h.Ancestors {
		if a.Timeline == tli {
			return a.SwitchedAt, true
		}
	}
	return 0, false
}

// TimelineAt is the timeline on which the byte at lsn was written, seen from h's timeline.
func (h History) TimelineAt(lsn LSN) TimelineID {
	for _, a := range h.Ancestors {
		if lsn < a.SwitchedAt {
			return a.Timeline
		}
	}
	return h.Timeline
}
