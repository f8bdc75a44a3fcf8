package catalog

import (
	"cmp"
	"slices"
	"strconv"
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
	// Newest is the time of Last; zero when none is archived.
	Newest time.Time
	// Rate is the number of segments of the span per second, over the time from the first to the last; 0 when there
	// are too few to tell.
	Rate float64

	first, last seenSegment
}

// seenSegment is a segment that outlives the text from which it was read.
type seenSegment struct {
	segment wal.Segment
	time    []byte
}

func (s *seenSegment) set(l *listedSegment) {
	s.segment, s.time = l.Segment, append(s.time[:0], l.time...)
}

// CompressionRatio is the part, from 0 to 1, by which count segments shrank to size bytes; 0 when there are none.
func CompressionRatio(count int, size int64, segmentSize wal.SegmentSize) float64 {
	whole := float64(count) * float64(segmentSize)
	if whole == 0 {
		return 0
	}
	return 1 - float64(size)/whole
}

func (s *WALStats) add(l *listedSegment, isRequired bool) {
	at := position(l.Segment)
	isFirst := s.RequiredCount+s.Count == 0
	if isRequired {
		s.RequiredCount++
		s.RequiredSize += l.size
	} else {
		s.Count++
		s.Size += l.size
	}
	if isFirst || at > position(s.last.segment) {
		s.last.set(l)
	}
	if isFirst || at < position(s.first.segment) {
		s.first.set(l)
	}
}

// finish computes what depends on all segments.
func (s *WALStats) finish() {
	count := s.RequiredCount + s.Count
	if count == 0 {
		return
	}
	first, errFirst := strconv.ParseFloat(string(s.first.time), 64)
	last, errLast := strconv.ParseFloat(string(s.last.time), 64)
	s.Last = s.last.segment.String()
	if errLast == nil {
		s.Newest = WALRecord{ModTime: last}.Time()
	}
	if errFirst == nil && errLast == nil && last > first {
		s.Rate = float64(count) / (last - first)
	}
}

// walSums sums up the segments of many spans.
type walSums struct {
	finder spanFinder
	seen   segmentSet
	bad    []*WALLineError
}

func newWALSums(spans []WALSpan) *walSums {
	return &walSums{finder: newSpanFinder(spans), seen: make(segmentSet)}
}

// add adds lines of which the first has the given number, and returns the number of the line after the last.
func (s *walSums) add(lines WALLines, number int) (next int) {
	return lines.segments(number, func(l listedSegment) {
		if !s.seen.add(l.Segment) {
			return
		}
		at := position(l.Segment)
		for span := range s.finder.containing(l.Segment) {
			span.stats.add(&l, at <= span.end)
		}
	}, func(err *WALLineError) { s.bad = append(s.bad, err) })
}

func (s *walSums) finish() (stats map[string]*WALStats, bad []*WALLineError) {
	stats = make(map[string]*WALStats)
	for _, list := range s.finder {
		for _, span := range list.spans {
			span.stats.finish()
			stats[span.ID] = span.stats
		}
	}
	return stats, s.bad
}

// SumWALs sums up the segments of many spans in one pass over the lines of an index. The result has an entry for every
// span, by ID. Lines that cannot be understood are returned as errors, all others count.
//
// The order of the lines does not matter.
func SumWALs(lines WALLines, spans []WALSpan) (stats map[string]*WALStats, bad []*WALLineError) {
	sums := newWALSums(spans)
	sums.add(lines, 1)
	return sums.finish()
}

// CollectWALs returns the records of the segments of one span, ascending and each once, and all history files.
func CollectWALs(lines WALLines, span WALSpan) (segments, histories []WALRecord, bad []*WALLineError) {
	seen := make(segmentSet)
	for line, err := range lines.All() {
		if err != nil {
			bad = append(bad, err)
			continue
		}
		segment, _ := line.File.Segment()
		switch {
		case line.File.Kind() == wal.KindHistory:
			histories = append(histories, line.WALRecord)
		case line.File.IsWAL() && span.Contains(segment) && seen.add(segment):
			segments = append(segments, line.WALRecord)
		}
	}
	byName := func(a, b WALRecord) int { return cmp.Compare(a.Name, b.Name) }
	sameName := func(a, b WALRecord) bool { return a.Name == b.Name }
	slices.SortStableFunc(segments, byName)
	slices.SortStableFunc(histories, byName)
	return segments, slices.CompactFunc(histories, sameName), bad
}
