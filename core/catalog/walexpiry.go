package catalog

import (
	"context"
	"io"
	"maps"
	"slices"
	"sort"

	"github.com/barman-go/barman/core/wal"
)

// ExpiringWAL are archived files with one verdict: neighbours on a timeline, or all history files.
type ExpiringWAL struct {
	// First and Last are names.
	First, Last string
	// Count is the number of files, Size their bytes in the archive.
	Count   int
	Size    int64
	Verdict ExpiryVerdict
}

// Expiry says of all archived files what becomes of them. Histories come first, then segments with what belongs to them,
// in order. Lines that cannot be understood are returned as errors.
//
// It reads the index once and looks at no file.
func (x *WALIndex) Expiry(ctx context.Context, plan *Expiry) (found []ExpiringWAL, bad []*WALLineError, err error) {
	err = x.snapshot(ctx, func(r io.Reader, _ int64) error {
		sums := &expirySums{plan: plan, timelines: make(map[wal.TimelineID]*expiringTimeline)}
		bad = nil
		number := 1
		err := eachBlock(r, func(block []byte) {
			lines := ReadWALLines(block, x.layout.WALIndexPath())
			number = lines.each(number, func(l listedSegment) { sums.add(l.Segment, l.size) }, sums.addOther,
				func(err *WALLineError) { bad = append(bad, err) })
		})
		found = sums.finish()
		return err
	})
	return found, bad, err
}

// expirySums sums up files with the same verdict.
type expirySums struct {
	plan      *Expiry
	timelines map[wal.TimelineID]*expiringTimeline
	histories ExpiringWAL
}

// expiringTimeline has one sum for what lies between two turns: sums[i] is for segments from turns[i-1] on, and before
// turns[i].
type expiringTimeline struct {
	turns []uint64
	sums  []expirySum
	// at is the sum that was used last. The next segment is usually its neighbour.
	at int
}

type expirySum struct {
	first, last wal.Segment
	count       int
	size        int64
}

func (t *expiringTimeline) seek(at uint64) *expirySum {
	isHere := (t.at == 0 || t.turns[t.at-1] <= at) && (t.at == len(t.turns) || at < t.turns[t.at])
	if !isHere {
		t.at = sort.Search(len(t.turns), func(i int) bool { return t.turns[i] > at })
	}
	return &t.sums[t.at]
}

func (s *expirySums) add(segment wal.Segment, size int64) {
	t := s.timelines[segment.Timeline]
	if t == nil {
		t = &expiringTimeline{turns: s.plan.turns(segment.Timeline)}
		t.sums = make([]expirySum, len(t.turns)+1)
		s.timelines[segment.Timeline] = t
	}
	sum := t.seek(position(segment))
	if sum.count == 0 || segment.Compare(sum.first) < 0 {
		sum.first = segment
	}
	if sum.count == 0 || segment.Compare(sum.last) > 0 {
		sum.last = segment
	}
	sum.count++
	sum.size += size
}

// addOther adds a line that is not one of a complete segment.
func (s *expirySums) addOther(line *WALLine) {
	if segment, ok := line.File.Segment(); ok {
		s.add(segment, line.Size)
		return
	}
	h := &s.histories
	if h.Count == 0 || line.Name < h.First {
		h.First = line.Name
	}
	h.Last = max(h.Last, line.Name)
	h.Count++
	h.Size += line.Size
}

func (s *expirySums) finish() []ExpiringWAL {
	var found []ExpiringWAL
	if s.histories.Count > 0 {
		s.histories.Verdict = ExpiryVerdict{Reason: WALVerdict{Rule: WALIsHistory}.String()}
		found = append(found, s.histories)
	}
	for _, tli := range slices.Sorted(maps.Keys(s.timelines)) {
		begin := len(found)
		for _, sum := range s.timelines[tli].sums {
			if sum.count == 0 {
				continue
			}
			verdict := s.plan.judge(sum.first)
			if n := len(found) - 1; n >= begin && found[n].Verdict == verdict {
				found[n].Last = sum.last.String()
				found[n].Count += sum.count
				found[n].Size += sum.size
				continue
			}
			found = append(found, ExpiringWAL{sum.first.String(), sum.last.String(), sum.count, sum.size, verdict})
		}
	}
	return found
}
