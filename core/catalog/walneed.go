package catalog

import (
	"cmp"
	"context"
	"io"
	"slices"

	"github.com/barman-go/barman/core/wal"
)

// WALNeed is a part of a timeline that a backup needs without a gap.
type WALNeed struct {
	Backup string
	First  wal.Segment
	// Last is the last segment that must be there; the zero Segment when none must. With Open everything up to the newest
	// archived segment of the timeline is needed.
	Last wal.Segment
	Open bool
	size wal.SegmentSize
}

// WALNeeds says which WAL the recoveries from the retained backups need: a backup that is kept as standalone its own
// segments, every other one all since its beginning, on its timeline and on those that branched off it later. histories
// are those of the archive.
//
// What is not archived yet is not missing: on the newest end of a timeline nothing is needed but what makes a backup that
// is DONE consistent.
func (l *Backups) WALNeeds(keeps map[string]Keep, retained func(*BackupInfo) bool, histories []wal.History) []WALNeed {
	var needs []WALNeed
	for _, b := range l.With(Usable...) {
		if b.BeginWAL == (wal.Segment{}) || b.SegmentSize.Validate() != nil || !retained(b) {
			continue
		}
		need := WALNeed{Backup: b.ID, First: b.BeginWAL, Open: true, size: b.SegmentSize}
		if b.Status == StatusDone && b.EndWAL.Timeline == b.BeginWAL.Timeline {
			need.Last = b.EndWAL
		}
		if keeps[b.ID] == KeepStandalone {
			need.Open = false
			needs = append(needs, need)
			continue
		}
		needs = append(needs, need)
		for _, h := range histories {
			needs = append(needs, b.needsTowards(h)...)
		}
	}
	return needs
}

// needsTowards is the way from a backup to a timeline that branched off its own.
func (b *BackupInfo) needsTowards(h wal.History) (needs []WALNeed) {
	left, ok := h.SwitchedAt(b.BeginWAL.Timeline)
	if !ok || b.BeginWAL.Timeline == h.Timeline || left < b.EndLSN {
		return nil
	}
	number := b.BeginWAL.Number(b.SegmentSize)
	for _, step := range h.Ancestors {
		if step.Timeline < b.BeginWAL.Timeline {
			continue
		}
		// The segment in which a timeline ends is the first one of the next timeline, under that one's name.
		branch := wal.SegmentForLSN(step.Timeline, step.SwitchedAt, b.SegmentSize).Number(b.SegmentSize)
		if number < branch {
			needs = append(needs, WALNeed{
				Backup: b.ID, First: wal.SegmentNumber(step.Timeline, number, b.SegmentSize),
				Last: wal.SegmentNumber(step.Timeline, branch-1, b.SegmentSize), size: b.SegmentSize,
			})
		}
		number = branch
	}
	return append(needs, WALNeed{
		Backup: b.ID, First: wal.SegmentNumber(h.Timeline, number, b.SegmentSize), Open: true, size: b.SegmentSize,
	})
}

// WALGap is a stretch of missing segments: neighbours on a timeline.
type WALGap struct {
	First, Last wal.Segment
	Count       uint64
	// Backup is the oldest backup that needs them.
	Backup string
	size   wal.SegmentSize
}

// Segments are the names of the missing segments.
func (g WALGap) Segments() []wal.Segment { return slices.Collect(wal.Range(g.First, g.Last, g.size)) }

// Gaps are the segments that are needed and neither archived nor waiting to be, ascending. Lines that cannot be understood
// are returned as errors.
//
// It reads the index once and looks at no file.
func (x *WALIndex) Gaps(ctx context.Context, needs []WALNeed, waiting []wal.Segment) (gaps []WALGap, bad []*WALLineError, err error) {
	var archived segmentSet
	err = x.snapshot(ctx, func(r io.Reader, _ int64) error {
		archived, bad = make(segmentSet), nil
		number := 1
		return eachBlock(r, func(block []byte) {
			number = ReadWALLines(block, x.layout.WALIndexPath()).segments(number, func(l listedSegment) { archived.add(l.Segment) },
				func(err *WALLineError) { bad = append(bad, err) })
		})
	})
	if err != nil {
		return nil, bad, err
	}
	return archived.gaps(needs, waiting), bad, nil
}

// gaps are the segments that are needed and not in the set.
func (s segmentSet) gaps(needs []WALNeed, waiting []wal.Segment) (gaps []WALGap) {
	newest := make(map[wal.TimelineID]wal.Segment, len(s))
	for tli, ranges := range s {
		newest[tli] = segmentAt(tli, ranges[len(ranges)-1].last)
	}
	for _, segment := range waiting {
		s.add(segment)
	}
	sorted := slices.Clone(needs)
	slices.SortFunc(sorted, func(a, b WALNeed) int { return cmp.Or(a.First.Compare(b.First), cmp.Compare(a.Backup, b.Backup)) })
	var timeline wal.TimelineID
	var next uint64 // everything before it has been looked at
	for _, need := range sorted {
		if need.First.Timeline != timeline {
			timeline, next = need.First.Timeline, 0
		}
		last := need.Last
		if end, ok := newest[timeline]; ok && need.Open && end.Compare(last) > 0 {
			last = end
		}
		if last == (wal.Segment{}) {
			continue
		}
		first := max(next, need.First.Number(need.size))
		if end := last.Number(need.size); first <= end {
			gaps = append(gaps, s.missing(timeline, first, end, need)...)
			next = end + 1
		}
	}
	return gaps
}

// missing are the segments from first to last that the set does not have.
func (s segmentSet) missing(tli wal.TimelineID, first, last uint64, need WALNeed) (gaps []WALGap) {
	gap := func(from, to uint64) {
		if from < to {
			gaps = append(gaps, WALGap{
				First: wal.SegmentNumber(tli, from, need.size), Last: wal.SegmentNumber(tli, to-1, need.size), Count: to - from,
				Backup: need.Backup, size: need.size,
			})
		}
	}
	ranges := s[tli]
	at := position(wal.SegmentNumber(tli, first, need.size))
	i, _ := slices.BinarySearchFunc(ranges, at, func(r segmentRange, at uint64) int { return cmp.Compare(r.last, at) })
	for _, r := range ranges[i:] {
		begin, end := segmentAt(tli, r.first).Number(need.size), segmentAt(tli, r.last).Number(need.size)
		if begin > last {
			break
		}
		gap(first, begin)
		first = max(first, end+1)
	}
	gap(first, last+1)
	return gaps
}

// segmentAt is the opposite of position.
func segmentAt(tli wal.TimelineID, at uint64) wal.Segment {
	return wal.Segment{Timeline: tli, Log: uint32(at >> 32), Seg: uint32(at)}
}
