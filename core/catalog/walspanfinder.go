package catalog

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"sort"

	"github.com/barman-go/barman/core/wal"
)

// position orders the segments of a timeline. It is not XLogSegNo, whose computation needs the segment size: at the end
// of a log there is a gap.
func position(s wal.Segment) uint64 { return uint64(s.Log)<<32 | uint64(s.Seg) }

// spanFinder finds the spans that contain a segment without looking at all of them.
type spanFinder map[wal.TimelineID]*timelineSpans

type timelineSpans struct {
	// spans are in the order of their first segments.
	spans []*foundSpan
	// after is the number of spans that begin at or before the segment that was looked for last. The next one is usually
	// its neighbour.
	after int
}

// foundSpan is a span with the positions of its segments.
type foundSpan struct {
	WALSpan
	begin, end uint64
	// limit is the last position; math.MaxUint64 when there is no limit.
	limit uint64
	// reach is the highest limit of this span and all before it.
	reach uint64
	stats *WALStats
}

func newSpanFinder(spans []WALSpan) spanFinder {
	finder := make(spanFinder)
	for _, span := range spans {
		tli := span.Begin.Timeline
		if finder[tli] == nil {
			finder[tli] = &timelineSpans{}
		}
		found := &foundSpan{
			WALSpan: span, begin: position(span.Begin), end: position(span.End), limit: position(span.Limit), stats: &WALStats{},
		}
		if span.Limit == (wal.Segment{}) {
			found.limit = math.MaxUint64
		}
		finder[tli].spans = append(finder[tli].spans, found)
	}
	for _, list := range finder {
		slices.SortStableFunc(list.spans, func(a, b *foundSpan) int { return cmp.Compare(a.begin, b.begin) })
		for i, span := range list.spans {
			span.reach = span.limit
			if i > 0 {
				span.reach = max(span.limit, list.spans[i-1].reach)
			}
		}
	}
	return finder
}

func (f spanFinder) containing(segment wal.Segment) iter.Seq[*foundSpan] {
	return func(yield func(*foundSpan) bool) {
		list := f[segment.Timeline]
		if list == nil {
			return
		}
		at := position(segment)
		for i := list.seek(at) - 1; i >= 0; i-- {
			span := list.spans[i]
			if span.reach < at {
				return // no span before this one reaches so far
			}
			if at <= span.limit && !yield(span) {
				return
			}
		}
	}
}

// seek returns the number of spans that begin at or before a position.
func (l *timelineSpans) seek(at uint64) int {
	isHere := (l.after == 0 || l.spans[l.after-1].begin <= at) && (l.after == len(l.spans) || l.spans[l.after].begin > at)
	if !isHere {
		l.after = sort.Search(len(l.spans), func(i int) bool { return l.spans[i].begin > at })
	}
	return l.after
}
