package recovery

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/wal"
)

// chooseWAL finds the files that a recovery along path reads.
func chooseWAL(t Target, b *catalog.BackupInfo, path wal.Path, a *Archived) WALRange {
	size := b.SegmentSize
	w := WALRange{Begin: b.BeginLSN, Required: b.EndLSN, Available: b.BeginLSN}
	if t.Kind == ToLSN {
		w.Required = max(w.Required, t.LSN)
	}
	end := a.end(path, size)
	if t.Kind == ToImmediate {
		end = min(end, wal.SegmentEndingAt(0, b.EndLSN, size).EndLSN(size))
	}
	broken := false
	// Also places that the archive has not reached yet are missing when the target needs them.
	for s := range path.Segments(max(end, w.Required), size) {
		file, partial := a.Segments[s], false
		if file == "" && s.EndLSN(size) >= end && s.Timeline == path[len(path)-1].Timeline {
			// Nobody wrote more of this timeline: its last segment stays partial, and PostgreSQL does not look for
			// that name.
			file, partial = a.Partials[s], true
		}
		switch {
		case broken:
			if file == "" {
				w.Missing = append(w.Missing, s)
			}
			continue
		case file == "":
			broken = true
			if w.addOlder(path, s, a, size); w.Available < max(end, w.Required) {
				w.Missing = append(w.Missing, s)
			}
			continue
		}
		w.Files = append(w.Files, WALFile{Name: s.String(), Path: file, Partial: partial})
		w.Available = s.EndLSN(size)
	}
	for tli, file := range a.Files {
		w.Histories = append(w.Histories, WALFile{Name: wal.HistoryName(tli), Path: file})
	}
	slices.SortFunc(w.Histories, func(x, y WALFile) int { return cmp.Compare(x.Name, y.Name) })
	return w
}

// addOlder takes the file of an older timeline for the place of s. PostgreSQL does the same; such a file serves up to
// where the timeline was left.
func (w *WALRange) addOlder(path wal.Path, s wal.Segment, a *Archived, size wal.SegmentSize) {
	for _, older := range path.Candidates(s.StartLSN(size), size)[1:] {
		file := a.Segments[older]
		if file == "" {
			continue
		}
		w.Files = append(w.Files, WALFile{Name: older.String(), Path: file})
		for _, span := range path {
			if span.Timeline == older.Timeline {
				w.Available = span.End
			}
		}
		return
	}
}

// end is the end of the last segment on a path that the archive has, or the path's start.
func (a *Archived) end(path wal.Path, size wal.SegmentSize) wal.LSN {
	end := path[0].Begin
	for _, files := range []map[wal.Segment]string{a.Segments, a.Partials} {
		for s := range files {
			for _, span := range path {
				if s.Timeline == span.Timeline && s.StartLSN(size) < span.End && s.EndLSN(size) > span.Begin {
					end = max(end, min(s.EndLSN(size), span.End))
				}
			}
		}
	}
	return end
}

// problems says which WAL is missing for the target. With get-wal the files may still arrive, so these are warnings.
func (w *WALRange) problems(p *Plan, getWAL bool) {
	size := p.Backup.SegmentSize
	needed, _ := w.missing(size)
	switch {
	case len(needed) > 0 && getWAL:
		p.warn("The archive does not have %s, which recovery will ask for.", segmentList(needed, size))
	case len(needed) > 0 && needed[0].StartLSN(size) < p.Backup.EndLSN:
		p.refuse(fmt.Sprintf("Backup %s cannot become consistent: the archive does not have %s", p.Backup.ID, segmentList(needed, size)),
			"If PostgreSQL has not archived it yet, wait and run the command again; otherwise choose another backup.")
	case len(needed) > 0:
		p.refuse(fmt.Sprintf("The target LSN %s cannot be reached: the archive does not have %s, and leads only to %s",
			p.Target.LSN, segmentList(needed, size), w.Available),
			"Choose a target up to there, or archive what is missing and run the command again.")
	}
}

// shortfall says which WAL is missing beyond what the target is known to need.
func (w *WALRange) shortfall(p *Plan) {
	size := p.Backup.SegmentSize
	if _, beyond := w.missing(size); len(beyond) > 0 && p.Target.Kind != ToLSN {
		p.warn("The archive does not have %s: recovery can only go up to %s.", segmentList(beyond, size), w.Available)
	}
}

// missing tells the segments that are missing and needed from those that are only missing.
func (w *WALRange) missing(size wal.SegmentSize) (needed, beyond []wal.Segment) {
	for _, s := range w.Missing {
		if s.StartLSN(size) < w.Required {
			needed = append(needed, s)
		} else {
			beyond = append(beyond, s)
		}
	}
	return needed, beyond
}

// stopAt leaves out the files after the one in which recovery stops. The backup's own WAL stays in any case.
func (w *WALRange) stopAt(s stop, size wal.SegmentSize) {
	for last := s.file; last < len(w.Files); last++ {
		name, err := wal.ParseSegment(w.Files[last].Name)
		if err == nil && name.EndLSN(size) >= w.Required {
			w.Files = w.Files[:last+1]
			break
		}
	}
	// The record was found before the first gap.
	w.Required, w.Missing = max(w.Required, s.lsn), nil
}

// segmentList names segments; neighbours become a range.
func segmentList(segments []wal.Segment, size wal.SegmentSize) string {
	var parts []string
	for _, g := range gapsOf(segments, size) {
		if g.files == 1 {
			parts = append(parts, "WAL file "+g.first.String())
		} else {
			parts = append(parts, fmt.Sprintf("WAL files %s to %s", g.first, g.last))
		}
	}
	return strings.Join(parts, ", ")
}

func (p *Plan) warn(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
}

func (p *Plan) refuse(summary, advice string) {
	p.Problems = append(p.Problems, Problem{Summary: summary, Advice: advice})
}
