package recovery

import "github.com/barman-go/barman/core/wal"

// gap is a row of segments that the archive lacks.
type gap struct {
	first, last wal.Segment
	files       int
}

// gaps are the rows of missing segments.
func (w *WALRange) gaps(size wal.SegmentSize) []gap { return gapsOf(w.Missing, size) }

// gapsOf joins segments that are neighbours.
func gapsOf(segments []wal.Segment, size wal.SegmentSize) []gap {
	var all []gap
	for _, s := range segments {
		if n := len(all); n > 0 && s == all[n-1].last.Next(size) {
			all[n-1].last = s
			all[n-1].files++
			continue
		}
		all = append(all, gap{first: s, last: s, files: 1})
	}
	return all
}
