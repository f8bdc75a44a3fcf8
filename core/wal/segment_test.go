package wal

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const mib = 1 << 20

func mustSegment(t *testing.T, name string) Segment {
	t.Helper()
	s, err := ParseSegment(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSegmentSizeValidate(t *testing.T) {
	for size := MinSegmentSize; size <= MaxSegmentSize; size *= 2 {
		if err := size.Validate(); err != nil {
			t.Errorf("%d: %v", size, err)
		}
	}
	for _, size := range []SegmentSize{0, 1, 512 << 10, 3 * mib, DefaultSegmentSize + 1, 2 << 30} {
		if err := size.Validate(); !errors.Is(err, ErrInvalidSegmentSize) {
			t.Errorf("%d: %v, want ErrInvalidSegmentSize", size, err)
		}
	}
}

func TestSegmentForLSN(t *testing.T) {
	tests := []struct {
		lsn             LSN
		size            SegmentSize
		holding, ending string
	}{
		{0x0_01000028, 16 * mib, "000000030000000000000001", "000000030000000000000001"},
		// The start of a segment: pg_walfile_name says 02 from version 17 on, and 01 before.
		{0x0_02000000, 16 * mib, "000000030000000000000002", "000000030000000000000001"},
		{0x16_B374D848, 16 * mib, "0000000300000016000000B3", "0000000300000016000000B3"},
		{0x16_B374D848, 1 * mib, "000000030000001600000B37", "000000030000001600000B37"},
		{0x16_B374D848, 1024 * mib, "000000030000001600000002", "000000030000001600000002"},
		{0x2_00000000, 16 * mib, "000000030000000200000000", "0000000300000001000000FF"},
		{0x2_00000000, 1 * mib, "000000030000000200000000", "000000030000000100000FFF"},
		{0x2_00000000, 1024 * mib, "000000030000000200000000", "000000030000000100000003"},
		{0, 16 * mib, "000000030000000000000000", "000000030000000000000000"},
		{MaxLSN, 16 * mib, "00000003FFFFFFFF000000FF", "00000003FFFFFFFF000000FF"},
	}
	for _, tt := range tests {
		if got := SegmentForLSN(3, tt.lsn, tt.size).String(); got != tt.holding {
			t.Errorf("SegmentForLSN(%s, %d) = %s, want %s", tt.lsn, tt.size, got, tt.holding)
		}
		if got := SegmentEndingAt(3, tt.lsn, tt.size).String(); got != tt.ending {
			t.Errorf("SegmentEndingAt(%s, %d) = %s, want %s", tt.lsn, tt.size, got, tt.ending)
		}
	}
}

func TestSegmentNeighboursAcrossLogs(t *testing.T) {
	tests := []struct {
		size         SegmentSize
		before, next string
	}{
		{16 * mib, "0000000100000000000000FF", "000000010000000100000000"},
		{1 * mib, "000000010000000000000FFF", "000000010000000100000000"},
		{1 * mib, "0000000100000000000000FF", "000000010000000000000100"},
		{1024 * mib, "000000010000000000000003", "000000010000000100000000"},
		{64 * mib, "00000001000000090000003F", "000000010000000A00000000"},
	}
	for _, tt := range tests {
		before, next := mustSegment(t, tt.before), mustSegment(t, tt.next)
		if got := before.Next(tt.size); got != next {
			t.Errorf("%s.Next(%d) = %s, want %s", before, tt.size, got, next)
		}
		if got, ok := next.Previous(tt.size); !ok || got != before {
			t.Errorf("%s.Previous(%d) = %s, %v; want %s", next, tt.size, got, ok, before)
		}
		if before.EndLSN(tt.size) != next.StartLSN(tt.size) {
			t.Errorf("%s ends at %s, %s starts at %s", before, before.EndLSN(tt.size), next, next.StartLSN(tt.size))
		}
	}
	if _, ok := (Segment{Timeline: 1}).Previous(16 * mib); ok {
		t.Error("segment 0 has a predecessor")
	}
	last := mustSegment(t, "00000001FFFFFFFF000000FF")
	if got := last.EndLSN(16 * mib); got != MaxLSN {
		t.Errorf("the last segment ends at %s", got)
	}
}

func TestSegmentFits(t *testing.T) {
	s := mustSegment(t, "000000010000000000000100")
	if s.Fits(16*mib) || !s.Fits(1*mib) {
		t.Errorf("%s must fit segments of 1 MiB only", s)
	}
}

func TestRangeCrossesLogs(t *testing.T) {
	begin, end := mustSegment(t, "0000000100000000000000FE"), mustSegment(t, "000000010000000100000001")
	var got []string
	for s := range Range(begin, end, 16*mib) {
		got = append(got, s.String())
	}
	want := []string{
		"0000000100000000000000FE", "0000000100000000000000FF", "000000010000000100000000", "000000010000000100000001",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := Count(begin, end, 16*mib); got != 4 {
		t.Errorf("Count = %d, want 4", got)
	}
	if got := Count(begin, end, 1*mib); got != 0xF02+2 {
		t.Errorf("Count with 1 MiB = %d, want %d", got, 0xF02+2)
	}
}

func TestRangeIsEmptyBackwardsAndAcrossTimelines(t *testing.T) {
	begin, end := mustSegment(t, "000000010000000000000002"), mustSegment(t, "000000010000000000000001")
	for _, last := range []Segment{end, begin.OnTimeline(2)} {
		if got := slices.Collect(Range(begin, last, 16*mib)); len(got) != 0 || Count(begin, last, 16*mib) != 0 {
			t.Errorf("Range(%s, %s) = %v", begin, last, got)
		}
	}
}

func TestRangeEndsAtTheEndOfTheAddressSpace(t *testing.T) {
	last := mustSegment(t, "00000001FFFFFFFF000000FF")
	if got := slices.Collect(Range(last, last, 16*mib)); len(got) != 1 || got[0] != last {
		t.Errorf("got %v", got)
	}
}

func TestSegmentsSortLikeTheirNames(t *testing.T) {
	names := []string{"000000020000000000000001", "0000000100000001000000FF", "000000010000000200000000", "000000010000000000000003"}
	var segments []Segment
	for _, name := range names {
		segments = append(segments, mustSegment(t, name))
	}
	slices.Sort(names)
	slices.SortFunc(segments, Segment.Compare)
	for i := range names {
		if segments[i].String() != names[i] {
			t.Errorf("place %d: %s, want %s", i, segments[i], names[i])
		}
	}
}

func FuzzSegmentArithmetic(f *testing.F) {
	f.Add(uint64(0x16B374D848), uint8(4))
	f.Add(uint64(0), uint8(0))
	f.Add(uint64(MaxLSN), uint8(10))
	f.Fuzz(func(t *testing.T, position uint64, power uint8) {
		lsn, size := LSN(position), MinSegmentSize<<(power%11)
		s := SegmentForLSN(1, lsn, size)
		if !s.Fits(size) || s.StartLSN(size) > lsn || lsn > s.EndLSN(size) || s.StartLSN(size)+LSN(lsn.Offset(size)) != lsn {
			t.Errorf("%s with %d: segment %s from %s to %s", lsn, size, s, s.StartLSN(size), s.EndLSN(size))
		}
		if prev, ok := s.Previous(size); ok && prev.Next(size) != s {
			t.Errorf("%s: previous %s, next of that %s", s, prev, prev.Next(size))
		}
		if parsed, err := ParseSegment(s.String()); err != nil || parsed != s {
			t.Errorf("%s parses as %v, %v", s, parsed, err)
		}
	})
}
