package catalog

import (
	"slices"

	"github.com/barman-go/barman/core/wal"
)

// segmentSet remembers segments as ranges of neighbours. An archive is nearly one range, so the set stays small
// however many segments it holds.
type segmentSet map[wal.TimelineID][]segmentRange

// segmentRange includes both ends.
type segmentRange struct{ first, last uint64 }

// add tells whether the segment was not in the set yet.
func (s segmentSet) add(segment wal.Segment) bool {
	n := position(segment) // the gap at the end of a log only costs a range
	ranges := s[segment.Timeline]
	if i := len(ranges) - 1; i >= 0 && ranges[i].last+1 == n {
		ranges[i].last = n // nearly every segment is the next one
		return true
	}
	i, _ := slices.BinarySearchFunc(ranges, n, func(r segmentRange, n uint64) int {
		if r.last < n {
			return -1
		}
		return 1
	})
	// ranges[i] is the first that ends at n or later.
	if i < len(ranges) && ranges[i].first <= n {
		return false
	}
	joinsLeft := i > 0 && ranges[i-1].last+1 == n
	joinsRight := i < len(ranges) && ranges[i].first == n+1
	switch {
	case joinsLeft && joinsRight:
		ranges[i-1].last = ranges[i].last
		ranges = slices.Delete(ranges, i, i+1)
	case joinsLeft:
		ranges[i-1].last = n
	case joinsRight:
		ranges[i].first = n
	default:
		ranges = slices.Insert(ranges, i, segmentRange{n, n})
	}
	s[segment.Timeline] = ranges
	return true
}
