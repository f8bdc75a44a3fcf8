package wal

import (
	"cmp"
	"fmt"
	"iter"
	"strconv"
)

// SegmentSize is the size of a cluster's WAL segments in bytes.
type SegmentSize uint64

// Segment sizes that PostgreSQL accepts (initdb --wal-segsize): powers of two from MinSegmentSize to MaxSegmentSize.
const (
	MinSegmentSize     SegmentSize = 1 << 20
	DefaultSegmentSize SegmentSize = 16 << 20
	MaxSegmentSize     SegmentSize = 1 << 30
)

// Validate returns ErrInvalidSegmentSize unless s is a power of two from 1 MiB to 1 GiB. All other functions of this
// package that take a SegmentSize require a valid one.
func (s SegmentSize) Validate() error {
	if s < MinSegmentSize || s > MaxSegmentSize || s&(s-1) != 0 {
		return fmt.Errorf("%w %d: want a power of two from %d to %d bytes",
			ErrInvalidSegmentSize, uint64(s), uint64(MinSegmentSize), uint64(MaxSegmentSize))
	}
	return nil
}

// PerLog is the number of segments in one log (4 GiB): 256 for 16 MiB.
func (s SegmentSize) PerLog() uint64 { return 1 << 32 / uint64(s) }

// TimelineID numbers a timeline. The first one of a cluster is 1; 0 is no timeline.
type TimelineID uint32

// String is the eight-digit form used in file names.
func (t TimelineID) String() string { return fmt.Sprintf("%08X", uint32(t)) }

// ParseTimelineID reads a timeline as a person or recovery_target_timeline writes it: a decimal number, or a
// hexadecimal one with the prefix 0x.
func ParseTimelineID(s string) (TimelineID, error) {
	n, err := strconv.ParseUint(s, 0, 32)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("invalid timeline %q: want a number from 1 to 4294967295", s)
	}
	return TimelineID(n), nil
}

// Segment is one WAL segment: a timeline and a place in the log, taken from a file name. Its size is not in the name,
// so arithmetic takes it as an argument. Segments are comparable with == .
type Segment struct {
	Timeline TimelineID
	// Log is the upper half of the LSNs in this segment.
	Log uint32
	// Seg counts segments inside the log, from 0.
	Seg uint32
}

// ParseSegment reads exactly 24 hexadecimal digits, in upper or lower case. Errors are ErrInvalidName.
func ParseSegment(s string) (Segment, error) {
	if segment, ok := CutSegment(s); ok && len(s) == segmentNameLen {
		return segment, nil
	}
	return Segment{}, fmt.Errorf("%q is %w segment: want 24 hexadecimal digits", s, ErrInvalidName)
}

// String is the file name, in upper case.
func (s Segment) String() string {
	return fmt.Sprintf("%08X%08X%08X", uint32(s.Timeline), s.Log, s.Seg)
}

// HashDir is the name of the directory of the archive that holds the segment: its first 16 digits.
func (s Segment) HashDir() string { return fmt.Sprintf("%08X%08X", uint32(s.Timeline), s.Log) }

// Fits tells whether a cluster with segments of this size can have written a segment of this name: the part inside
// the log must be below the number of segments of a log.
func (s Segment) Fits(size SegmentSize) bool { return uint64(s.Seg) < size.PerLog() }

// Number counts segments from the start of the log, whatever the timeline: PostgreSQL's XLogSegNo.
func (s Segment) Number(size SegmentSize) uint64 { return uint64(s.Log)*size.PerLog() + uint64(s.Seg) }

// SegmentNumber is the segment of a timeline with the given XLogSegNo.
func SegmentNumber(tli TimelineID, number uint64, size SegmentSize) Segment {
	return Segment{
		Timeline: tli,
		Log:      uint32(number / size.PerLog()),
		Seg:      uint32(number % size.PerLog()),
	}
}

// SegmentForLSN is the segment that holds the byte at lsn. An lsn at the very start of a segment belongs to that
// segment.
//
// This is what pg_walfile_name returns from PostgreSQL 17 on. Before, it returned the previous segment for an lsn at
// the start of one; use SegmentEndingAt for that.
func SegmentForLSN(tli TimelineID, lsn LSN, size SegmentSize) Segment {
	return SegmentNumber(tli, uint64(lsn)/uint64(size), size)
}

// SegmentEndingAt is the segment that holds the last byte before lsn: the one that must be archived for everything up
// to lsn to be recoverable. It differs from SegmentForLSN when lsn is the very start of a segment, which is where
// pg_switch_wal and pg_backup_stop often end. pg_walfile_name worked like this up to PostgreSQL 16. For lsn 0 it is
// segment 0.
func SegmentEndingAt(tli TimelineID, lsn LSN, size SegmentSize) Segment {
	if lsn == 0 {
		return Segment{Timeline: tli}
	}
	return SegmentForLSN(tli, lsn-1, size)
}

// StartLSN is the address of the segment's first byte.
func (s Segment) StartLSN(size SegmentSize) LSN { return LSN(s.Number(size) * uint64(size)) }

// EndLSN is the address after the segment's last byte; MaxLSN for the last segment of the address space.
func (s Segment) EndLSN(size SegmentSize) LSN {
	start := s.StartLSN(size)
	if start > MaxLSN-LSN(size) {
		return MaxLSN
	}
	return start + LSN(size)
}

// Next is the following segment on the same timeline. After the last one of the address space, which no server
// reaches, comes segment 0.
func (s Segment) Next(size SegmentSize) Segment {
	return SegmentNumber(s.Timeline, s.Number(size)+1, size)
}

// Previous is the segment before s on the same timeline; ok is false for segment 0, which has none.
func (s Segment) Previous(size SegmentSize) (prev Segment, ok bool) {
	n := s.Number(size)
	if n == 0 {
		return Segment{}, false
	}
	return SegmentNumber(s.Timeline, n-1, size), true
}

// OnTimeline is the segment at the same place of another timeline.
func (s Segment) OnTimeline(tli TimelineID) Segment {
	s.Timeline = tli
	return s
}

// Compare orders segments like the byte order of their names: by timeline first. It returns −1, 0 or 1.
func (s Segment) Compare(o Segment) int {
	return cmp.Or(cmp.Compare(s.Timeline, o.Timeline), cmp.Compare(s.Log, o.Log), cmp.Compare(s.Seg, o.Seg))
}

// Range yields the segments from begin to end, both included, in order. It yields nothing when end comes before begin
// or is on another timeline: a range has one timeline, several make a Path.
func Range(begin, end Segment, size SegmentSize) iter.Seq[Segment] {
	return func(yield func(Segment) bool) {
		if begin.Timeline != end.Timeline {
			return
		}
		first, last := begin.Number(size), end.Number(size)
		for n := first; n <= last; n++ {
			// The last segment of the address space has a number far below 2^64, so n cannot overflow.
			if !yield(SegmentNumber(begin.Timeline, n, size)) {
				return
			}
		}
	}
}

// Count is the number of segments that Range yields.
func Count(begin, end Segment, size SegmentSize) uint64 {
	first, last := begin.Number(size), end.Number(size)
	if begin.Timeline != end.Timeline || last < first {
		return 0
	}
	return last - first + 1
}

// CutSegment reads the segment that a text begins with; ok is false when it begins otherwise. It is fast and allocates
// nothing, because archives have millions of names.
func CutSegment[T string | []byte](text T) (segment Segment, ok bool) {
	if len(text) < segmentNameLen {
		return Segment{}, false
	}
	tli, ok1 := hex32(text[0:8])
	log, ok2 := hex32(text[8:16])
	seg, ok3 := hex32(text[16:24])
	return Segment{Timeline: TimelineID(tli), Log: log, Seg: seg}, ok1 && ok2 && ok3
}

// hex32 reads exactly eight hexadecimal digits.
func hex32[T string | []byte](text T) (n uint32, ok bool) {
	if len(text) != 8 {
		return 0, false
	}
	for i := range 8 {
		digit := text[i] - '0'
		if digit > 9 {
			if digit = (text[i] | 0x20) - 'a'; digit > 5 {
				return 0, false
			}
			digit += 10
		}
		n = n<<4 | uint32(digit)
	}
	return n, true
}
