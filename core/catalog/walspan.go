package catalog

import (
	"cmp"
	"iter"
	"slices"

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

// WALStats sums up the archived segments of a span. Backup labels, partial segments and history files are not
// counted, nor is a segment that the index lists twice.
type WALStats struct {
	// RequiredCount and RequiredSize are the segments from Begin to End of the span, and their bytes in the archive.
	RequiredCount int
	RequiredSize  int64
	// Count and Size are those after End.
	Count int
	Size  int64
	// Last is the highest segment of the span; empty when none is archived.
	Last string
	// Rate is the number of segments of the span per second, over the time from the first to the last; 0 when there
	// are too few to tell.
	Rate float64

	last        wal.Segment
	first       wal.Segment
	firstSecond float64
	lastSecond  float64
}

// CompressionRatio is the part, from 0 to 1, by which count segments shrank to size bytes; 0 when there are none.
func CompressionRatio(count int, size int64, segmentSize wal.SegmentSize) float64 {
	whole := float64(count) * float64(segmentSize)
	if whole == 0 {
		return 0
	}
	return 1 - float64(size)/whole
}

func (s *WALStats) add(segment wal.Segment, r WALRecord, span WALSpan) {
	if segment.Compare(span.End) <= 0 {
		s.RequiredCount++
		s.RequiredSize += r.Size
	} else {
		s.Count++
		s.Size += r.Size
	}
	if s.Last == "" || segment.Compare(s.last) > 0 {
		s.Last, s.last, s.lastSecond = r.Name, segment, r.ModTime
	}
	if s.first == (wal.Segment{}) || segment.Compare(s.first) < 0 {
		s.first, s.firstSecond = segment, r.ModTime
	}
	s.Rate = 0
	if elapsed := s.lastSecond - s.firstSecond; elapsed > 0 {
		s.Rate = float64(s.RequiredCount+s.Count) / elapsed
	}
}

// SumWALs sums up the segments of many spans in one pass over the index. The result has an entry for every span, by
// ID. Lines that cannot be understood are returned as errors, all others count; an error that ends the sequence is
// returned as err.
//
// The order of the lines does not matter.
func SumWALs(lines iter.Seq2[WALLine, error], spans []WALSpan) (
	stats map[string]*WALStats, bad []*WALLineError, err error,
) {
	stats = make(map[string]*WALStats, len(spans))
	for _, span := range spans {
		stats[span.ID] = &WALStats{}
	}
	finder := newSpanFinder(spans)
	bad, err = eachSegment(lines, func(segment wal.Segment, line WALLine) {
		for span := range finder.containing(segment) {
			stats[span.ID].add(segment, line.WALRecord, span)
		}
	})
	return stats, bad, err
}

// CollectWALs returns the records of the segments of one span, ascending and each once, and all history files.
func CollectWALs(lines iter.Seq2[WALLine, error], span WALSpan) (
	segments, histories []WALRecord, bad []*WALLineError, err error,
) {
	withHistories := func(yield func(WALLine, error) bool) {
		for line, err := range lines {
			if err == nil && line.File.Kind() == wal.KindHistory {
				histories = append(histories, line.WALRecord)
			}
			if !yield(line, err) {
				return
			}
		}
	}
	bad, err = eachSegment(withHistories, func(segment wal.Segment, line WALLine) {
		if span.Contains(segment) {
			segments = append(segments, line.WALRecord)
		}
	})
	byName := func(a, b WALRecord) int { return cmp.Compare(a.Name, b.Name) }
	sameName := func(a, b WALRecord) bool { return a.Name == b.Name }
	slices.SortStableFunc(segments, byName)
	slices.SortStableFunc(histories, byName)
	return segments, slices.CompactFunc(histories, sameName), bad, err
}

// eachSegment calls f for every complete segment of an index, once.
func eachSegment(lines iter.Seq2[WALLine, error], f func(wal.Segment, WALLine)) (bad []*WALLineError, err error) {
	seen := make(segmentSet)
	for line, err := range lines {
		if lineErr, ok := err.(*WALLineError); ok { //nolint:errorlint // made by ReadWALRecords, never wrapped
			bad = append(bad, lineErr)
			continue
		}
		if err != nil {
			return bad, err
		}
		if segment, _ := line.File.Segment(); line.File.IsWAL() && seen.add(segment) {
			f(segment, line)
		}
	}
	return bad, nil
}

// spanFinder finds the spans that contain a segment without looking at all of them.
type spanFinder map[wal.TimelineID][]foundSpan

type foundSpan struct {
	WALSpan
	// reach is the highest limit of this span and all before it; open means that one of them has none.
	reach wal.Segment
	open  bool
}

func newSpanFinder(spans []WALSpan) spanFinder {
	finder := make(spanFinder)
	for _, span := range spans {
		tli := span.Begin.Timeline
		finder[tli] = append(finder[tli], foundSpan{WALSpan: span})
	}
	for _, list := range finder {
		slices.SortFunc(list, func(a, b foundSpan) int { return a.Begin.Compare(b.Begin) })
		for i := range list {
			list[i].reach = list[i].Limit
			list[i].open = list[i].Limit == wal.Segment{}
			if i > 0 {
				list[i].open = list[i].open || list[i-1].open
				if list[i-1].reach.Compare(list[i].reach) > 0 {
					list[i].reach = list[i-1].reach
				}
			}
		}
	}
	return finder
}

func (f spanFinder) containing(segment wal.Segment) iter.Seq[WALSpan] {
	return func(yield func(WALSpan) bool) {
		list := f[segment.Timeline]
		after, _ := slices.BinarySearchFunc(list, segment, func(s foundSpan, target wal.Segment) int {
			if s.Begin.Compare(target) <= 0 {
				return -1
			}
			return 1
		})
		for i := after - 1; i >= 0; i-- {
			if !list[i].open && list[i].reach.Compare(segment) < 0 {
				return // no span before this one reaches so far
			}
			if list[i].Contains(segment) && !yield(list[i].WALSpan) {
				return
			}
		}
	}
}
