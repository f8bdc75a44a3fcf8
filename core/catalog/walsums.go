package catalog

import (
	"cmp"
	"slices"
	"time"

	"github.com/barman-go/barman/core/wal"
)

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
	// Newest is the latest time of a segment of the span; zero when none is archived.
	Newest time.Time
	// Rate is the number of segments of the span per second, over the time from the first to the last; 0 when there
	// are too few to tell.
	Rate float64

	// first and last are the positions of the first and the last segment, with their times; newest is the latest time.
	first, last                     uint64
	firstSecond, lastSecond, newest float64
}

// CompressionRatio is the part, from 0 to 1, by which count segments shrank to size bytes; 0 when there are none.
func CompressionRatio(count int, size int64, segmentSize wal.SegmentSize) float64 {
	whole := float64(count) * float64(segmentSize)
	if whole == 0 {
		return 0
	}
	return 1 - float64(size)/whole
}

func (s *WALStats) add(at uint64, r *WALRecord, isRequired bool) {
	if s.RequiredCount+s.Count == 0 {
		s.first, s.firstSecond, s.newest = at, r.ModTime, r.ModTime
		s.Last, s.last, s.lastSecond = r.Name, at, r.ModTime
	}
	if isRequired {
		s.RequiredCount++
		s.RequiredSize += r.Size
	} else {
		s.Count++
		s.Size += r.Size
	}
	if at > s.last {
		s.Last, s.last, s.lastSecond = r.Name, at, r.ModTime
	}
	if at < s.first {
		s.first, s.firstSecond = at, r.ModTime
	}
	s.newest = max(s.newest, r.ModTime)
}

// finish computes what depends on all segments.
func (s *WALStats) finish() {
	if s.Last == "" {
		return
	}
	s.Newest = WALRecord{ModTime: s.newest}.Time()
	if elapsed := s.lastSecond - s.firstSecond; elapsed > 0 {
		s.Rate = float64(s.RequiredCount+s.Count) / elapsed
	}
}

// SumWALs sums up the segments of many spans in one pass over the index. The result has an entry for every span, by
// ID. Lines that cannot be understood are returned as errors, all others count.
//
// The order of the lines does not matter.
func SumWALs(lines WALLines, spans []WALSpan) (stats map[string]*WALStats, bad []*WALLineError) {
	finder := newSpanFinder(spans)
	bad = eachSegment(lines, func(segment wal.Segment, line *WALLine) {
		at := position(segment)
		for span := range finder.containing(segment) {
			span.stats.add(at, &line.WALRecord, at <= span.end)
		}
	})
	stats = make(map[string]*WALStats, len(spans))
	for _, list := range finder {
		for _, span := range list.spans {
			span.stats.finish()
			stats[span.ID] = span.stats
		}
	}
	return stats, bad
}

// CollectWALs returns the records of the segments of one span, ascending and each once, and all history files.
func CollectWALs(lines WALLines, span WALSpan) (segments, histories []WALRecord, bad []*WALLineError) {
	withHistories := func(yield func(*WALLine, *WALLineError) bool) {
		for line, err := range lines {
			if err == nil && line.File.Kind() == wal.KindHistory {
				histories = append(histories, line.WALRecord)
			}
			if !yield(line, err) {
				return
			}
		}
	}
	bad = eachSegment(withHistories, func(segment wal.Segment, line *WALLine) {
		if span.Contains(segment) {
			segments = append(segments, line.WALRecord)
		}
	})
	byName := func(a, b WALRecord) int { return cmp.Compare(a.Name, b.Name) }
	sameName := func(a, b WALRecord) bool { return a.Name == b.Name }
	slices.SortStableFunc(segments, byName)
	slices.SortStableFunc(histories, byName)
	return segments, slices.CompactFunc(histories, sameName), bad
}

// eachSegment calls f for every complete segment of an index, once.
func eachSegment(lines WALLines, f func(wal.Segment, *WALLine)) (bad []*WALLineError) {
	seen := make(segmentSet)
	for line, err := range lines {
		if err != nil {
			bad = append(bad, err)
			continue
		}
		if segment, _ := line.File.Segment(); line.File.IsWAL() && seen.add(segment) {
			f(segment, line)
		}
	}
	return bad
}
