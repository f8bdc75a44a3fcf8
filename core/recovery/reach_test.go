package recovery

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/progress"
)

// fakeRecord is a WAL record: the end of a transaction, a restore point when it has a name, or something else without a time.
type fakeRecord struct {
	xid      uint32
	time     time.Time
	name     string
	prepared bool
}

// at is a commit some minutes after the backup.
func at(xid uint32, minutes int) fakeRecord { return fakeRecord{xid: xid, time: minute(minutes)} }

func minute(n int) time.Time {
	return time.Date(2026, 1, 10, 11, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Minute)
}

// encode is the record as PostgreSQL 15 writes it.
func (f fakeRecord) encode() []byte {
	const switchRecord, restorePoint, commit, commitPrepared, rmXact = 0x40, 0x70, 0x00, 0x30, 1
	order := binary.LittleEndian
	rec := make([]byte, 24)
	order.PutUint32(rec[4:], f.xid)
	stamp := order.AppendUint64(nil, uint64(f.time.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).Microseconds()))
	switch {
	case f.name != "":
		rec[16] = restorePoint
		rec = append(append(append(rec, 255, byte(8+len(f.name)+1)), stamp...), f.name+"\x00"...)
	case f.time.IsZero() && f.xid == 0:
		rec[16] = switchRecord
	case f.time.IsZero():
		rec[17] = 10 // of the heap
	default:
		rec[16], rec[17] = commit, rmXact
		if f.prepared {
			rec[16] = commitPrepared
		}
		rec = append(append(rec, 255, 8), stamp...)
	}
	order.PutUint32(rec, uint32(len(rec)))
	table := crc32.MakeTable(crc32.Castagnoli)
	order.PutUint32(rec[20:], crc32.Update(crc32.Update(0, table, rec[24:]), table, rec[:20]))
	return rec
}

// fakeArchive is consecutive segments of 1 MiB with the given records, and how often one was read.
type fakeArchive struct {
	plan     *Plan
	segments map[string][]byte
	reads    int
}

// newFakeArchive has its first segment where the test backup begins; the backup ends in the second one.
func newFakeArchive(t *testing.T, o Options, segments ...[]fakeRecord) *fakeArchive {
	t.Helper()
	target, err := ParseTarget(&o, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	b := testBackup(1, 150004)
	a := &fakeArchive{plan: &Plan{Backup: b, Target: target}, segments: map[string][]byte{}}
	a.plan.WAL.Begin, a.plan.WAL.Required = b.BeginLSN, b.EndLSN
	s := wal.SegmentForLSN(1, b.BeginLSN, mib)
	for _, records := range segments {
		page := make([]byte, 8192)
		order := binary.LittleEndian
		order.PutUint16(page, 0xD110)
		order.PutUint16(page[2:], wal.InfoLongHeader)
		order.PutUint32(page[4:], 1)
		order.PutUint64(page[8:], uint64(s.StartLSN(mib)))
		order.PutUint64(page[24:], 4711)
		order.PutUint32(page[32:], mib)
		order.PutUint32(page[36:], 8192)
		pos := 40
		for _, f := range append(records[:len(records):len(records)], fakeRecord{}) {
			pos += copy(page[pos:], f.encode())
			pos = (pos + 7) &^ 7
		}
		a.segments[s.String()] = page
		a.plan.WAL.Files = append(a.plan.WAL.Files, WALFile{Name: s.String(), Path: s.String()})
		a.plan.WAL.Available = s.EndLSN(mib)
		s = s.Next(mib)
	}
	return a
}

func (a *fakeArchive) check(t *testing.T, soft bool) {
	t.Helper()
	err := checkReach(t.Context(), a.plan, soft, minute(1e6), func(_ context.Context, f WALFile) (io.ReadCloser, error) {
		a.reads++
		return io.NopCloser(bytes.NewReader(a.segments[f.Path])), nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// quiet are n segments in which one transaction after the other commits, one a minute, from a number on.
func quiet(from, n int) (segments [][]fakeRecord) {
	for i := from; i < from+n; i++ {
		segments = append(segments, []fakeRecord{{xid: uint32(1000 + i)}, at(uint32(1000+i), i)})
	}
	return segments
}

func TestWALBehindTheTargetIsLeftOut(t *testing.T) {
	text := func(n int) string { return minute(n).Format("2006-01-02 15:04:05Z") }
	for _, tc := range []struct {
		name     string
		options  Options
		segments [][]fakeRecord
		// files and reads are the most that are copied and read; refuse and warn are what is said.
		files, reads int
		refuse, warn string
	}{
		{name: "time", options: Options{TargetTime: text(9)}, segments: quiet(0, 64), files: 11, reads: 8},
		{name: "time, exclusive", options: Options{TargetTime: text(9), Exclusive: true}, segments: quiet(0, 64), files: 10, reads: 8},
		{name: "time of the last commit, exclusive", options: Options{TargetTime: text(63), Exclusive: true}, segments: quiet(0, 64), files: 64, reads: 8},
		{name: "time in the backup's own WAL", options: Options{TargetTime: text(-5)}, segments: quiet(0, 8), files: 2, reads: 5},
		{name: "time after the last commit", options: Options{TargetTime: text(64)}, segments: quiet(0, 64), files: 64, reads: 8, refuse: "is after the last WAL"},
		{
			name: "time, with nothing but a long load after it", options: Options{TargetTime: text(3)},
			segments: append(append(quiet(0, 4), make([][]fakeRecord, 20)...), quiet(5, 40)...), files: 25, reads: 8,
		},
		{
			name: "time after a long load", options: Options{TargetTime: text(9)},
			segments: append(quiet(0, 4), make([][]fakeRecord, 60)...), files: 64, reads: 72, refuse: "is after the last WAL",
		},
		{name: "xid", options: Options{TargetXID: "1010"}, segments: quiet(0, 64), files: 11, reads: 9},
		{name: "xid with an epoch", options: Options{TargetXID: "4294968306"}, segments: quiet(0, 64), files: 11, reads: 9},
		{
			name: "xid of a long transaction", options: Options{TargetXID: "999"},
			segments: append(append([][]fakeRecord{{{xid: 999}}}, quiet(0, 20)...), append([][]fakeRecord{{at(999, 20)}}, quiet(21, 20)...)...), files: 22, reads: 70,
		},
		{
			name: "xid of a transaction that committed before older ones", options: Options{TargetXID: "1500"},
			segments: append(append(quiet(0, 8), []fakeRecord{at(1500, 8)}), quiet(9, 8)...), files: 9, reads: 35,
		},
		{name: "xid that did not end", options: Options{TargetXID: "2000"}, segments: quiet(0, 16), files: 16, reads: 30, refuse: "The target transaction 2000 cannot be reached"},
		{
			name: "xid that may be a prepared transaction", options: Options{TargetXID: "2000"},
			segments: append(quiet(0, 4), []fakeRecord{{xid: 1, time: minute(4), prepared: true}}), files: 5, reads: 12, warn: "unless it was a prepared one",
		},
		{
			name: "a prepared transaction's end is not that of its record's xid", options: Options{TargetXID: "1500"},
			segments: append(append(quiet(0, 4), []fakeRecord{{xid: 1500, time: minute(4), prepared: true}}), quiet(5, 4)...), files: 9, reads: 20,
			warn: "unless it was a prepared one",
		},
		{name: "xid that ended before the backup", options: Options{TargetXID: "1001"}, segments: quiet(0, 8), files: 8, reads: 8, refuse: "The target transaction 1001 ended at 0/300"},
		{
			name: "name", options: Options{TargetName: "here"}, files: 5, reads: 5,
			segments: append(append(quiet(0, 4), []fakeRecord{at(1004, 4), {name: "here", time: minute(5)}}), quiet(5, 40)...),
		},
		{
			name: "name that was given twice", options: Options{TargetName: "here"}, files: 3, reads: 3,
			segments: append(append(quiet(0, 2), []fakeRecord{{name: "here", time: minute(2)}}, []fakeRecord{{name: "here", time: minute(3)}}), quiet(4, 8)...),
		},
		{name: "name that does not exist", options: Options{TargetName: "there"}, segments: quiet(0, 8), files: 8, reads: 8, refuse: "The restore point 'there' cannot be reached"},
		{
			name: "name of a point in the backup", options: Options{TargetName: "here"}, files: 8, reads: 2,
			segments: append([][]fakeRecord{{}, {{name: "here", time: minute(1)}}}, quiet(2, 6)...), refuse: "The target restore point 'here' was made at 0/300",
		},
		{name: "immediate", options: Options{TargetImmediate: true}, segments: quiet(0, 8), files: 8},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newFakeArchive(t, tc.options, tc.segments...)
			a.check(t, false)
			if len(a.plan.WAL.Files) != tc.files {
				t.Errorf("%d files, want %d", len(a.plan.WAL.Files), tc.files)
			}
			if a.reads > tc.reads {
				t.Errorf("%d segments were read, want at most %d", a.reads, tc.reads)
			}
			checkTexts(t, "problem", a.plan.Problems, tc.refuse)
			checkTexts(t, "warning", a.plan.Warnings, tc.warn)
		})
	}
}

func TestSearchReportsHowFarItIs(t *testing.T) {
	a := newFakeArchive(t, Options{TargetName: "there"}, quiet(0, 8)...)
	var seen []progress.Progress
	open := watched(a.plan, progress.Func(func(p progress.Progress) { seen = append(seen, p) }), func(context.Context, WALFile) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("")), nil
	})
	for range 10 { // a file may be read twice
		if _, err := open(t.Context(), a.plan.WAL.Files[0]); err != nil {
			t.Fatal(err)
		}
	}
	last := progress.Progress{FilesDone: 8, FilesTotal: 8, BytesDone: 8 * mib, BytesTotal: 8 * mib, Label: "looking for the target"}
	if seen[0].FilesDone != 1 || seen[0].BytesDone != mib || seen[9] != last {
		t.Errorf("first %+v, last %+v", seen[0], seen[9])
	}
}

func TestWhatMayStillComeIsAWarning(t *testing.T) {
	for _, o := range []Options{{TargetXID: "2000"}, {TargetName: "there"}, {TargetTime: minute(64).Format(time.RFC3339)}} {
		a := newFakeArchive(t, o, quiet(0, 8)...)
		a.check(t, true)
		checkTexts(t, "problem", a.plan.Problems, "")
		if len(a.plan.Warnings) != 1 || !strings.Contains(a.plan.Warnings[0], "the archive") && !strings.Contains(a.plan.Warnings[0], "archived WAL") {
			t.Errorf("%+v: warnings %q", o, a.plan.Warnings)
		}
	}
}

// TestCommitsInAnyOrderLeaveOutNothingThatIsNeeded has commits whose times and numbers are in disorder: the file in which
// PostgreSQL stops stays, and the last one that stays has a record that stops it.
func TestCommitsInAnyOrderLeaveOutNothingThatIsNeeded(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var segments [][]fakeRecord
		n, next := 3+random.IntN(30), uint32(0)
		disorder := random.IntN(40)
		for i := range n {
			var records []fakeRecord
			for range random.IntN(3) {
				next++
				records = append(records, at(1000+(next*7+uint32(random.IntN(disorder+1)))%997, i+random.IntN(disorder+1)-disorder/2))
			}
			segments = append(segments, records)
		}
		target := minute(random.IntN(n))
		o := Options{TargetTime: target.Format(time.RFC3339)}
		stops := func(f fakeRecord) bool { return f.time.After(target) }
		if random.IntN(2) == 0 {
			xid := 1000 + uint32(random.IntN(997))
			o = Options{TargetXID: strconv.FormatUint(uint64(xid), 10)}
			stops = func(f fakeRecord) bool { return f.xid == xid }
		}
		first, has := -1, map[int]bool{}
		for i, records := range segments {
			for _, f := range records {
				if stops(f) {
					has[i] = true
					if first < 0 {
						first = i
					}
				}
			}
		}
		a := newFakeArchive(t, o, segments...)
		a.check(t, false)
		kept := len(a.plan.WAL.Files)
		switch {
		case first < 0 && len(a.plan.Problems) == 0:
			t.Fatalf("%+v is not refused in %v", o, segments)
		case first < 0 || len(a.plan.Problems) > 0:
			if kept != n {
				t.Fatalf("%+v: %d of %d files", o, kept, n)
			}
		case kept <= first, kept > 2 && kept < n && !has[kept-1]:
			t.Fatalf("%+v: recovery stops in file %d, %d are left of %v", o, first, kept, segments)
		}
	}
}

func TestASegmentThatIsNotNeededMayBeDamaged(t *testing.T) {
	a := newFakeArchive(t, Options{TargetTime: minute(3).Format(time.RFC3339)}, quiet(0, 17)...)
	broken := errors.New("broken")
	err := checkReach(t.Context(), a.plan, false, minute(1e6), func(_ context.Context, f WALFile) (io.ReadCloser, error) {
		if f.Name == a.plan.WAL.Files[8].Name { // the first one that is tried
			return nil, broken
		}
		return io.NopCloser(bytes.NewReader(a.segments[f.Path])), nil
	})
	if err != nil || len(a.plan.WAL.Files) < 5 {
		t.Errorf("%d files, %v", len(a.plan.WAL.Files), err)
	}
}
