package catalog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/barman-go/barman/core/wal"
)

// indexOf is an index with one line of 100 bytes, ten minutes apart, for each name.
func indexOf(names ...string) string {
	var text []byte
	for i, name := range names {
		text = WALRecord{Name: name, Size: 100, ModTime: float64(600 * i)}.AppendTo(text)
	}
	return string(text)
}

func segmentNames(tli wal.TimelineID, from, to uint32) []string {
	var names []string
	for seg := from; seg <= to; seg++ {
		names = append(names, wal.Segment{Timeline: tli, Seg: seg}.String())
	}
	return names
}

func TestSumWALs(t *testing.T) {
	list := NewBackups("main",
		usable("20260101T000000", 2, 3),
		withStatus(usable("20260102T000000", 4, 4), StatusFailed),
		usable("20260103T000000", 6, 7),
		onTimeline(2, "20260104T000000", 9, 9))
	names := segmentNames(1, 1, 9)
	names = append(names, "000000010000000000000002.00000028.backup", "00000002.history", "000000010000000000000009.partial",
		"000000020000000000000009", "000000010000000000000003", "00000002000000000000000A")
	text := indexOf(names...) + "junk\n"
	stats, bad := SumWALs(ReadWALLines([]byte(text), "x"), list.WALSpans())
	if len(bad) != 1 {
		t.Fatal(bad)
	}
	at := func(line int64) time.Time { return time.Unix(600*line, 0) }
	want := map[string]*WALStats{
		// Segments 2 and 3, then 4 … 7, up to the end of the next usable backup; 2 … 7 lie 50 minutes apart.
		"20260101T000000": {RequiredCount: 2, RequiredSize: 200, Count: 4, Size: 400, Last: "000000010000000000000007", Newest: at(6), Rate: 6. / 3000},
		// Segments 6 … 9; the next backup is on another timeline.
		"20260103T000000": {RequiredCount: 2, RequiredSize: 200, Count: 2, Size: 200, Last: "000000010000000000000009", Newest: at(8), Rate: 4. / 1800},
		"20260104T000000": {RequiredCount: 1, RequiredSize: 100, Count: 1, Size: 100, Last: "00000002000000000000000A", Newest: at(14), Rate: 2. / 1200},
	}
	if diff := cmp.Diff(want, stats, cmpopts.IgnoreUnexported(WALStats{})); diff != "" {
		t.Error(diff)
	}
	if got := CompressionRatio(2, 2048, wal.DefaultSegmentSize); fmt.Sprintf("%.2f", got*100) != "99.99" {
		t.Error(got)
	}
	if got := CompressionRatio(0, 0, wal.DefaultSegmentSize); got != 0 {
		t.Error(got)
	}
}

// Whatever the order of the lines and the overlap of the spans, the quick search finds the spans that Contains
// accepts.
func TestSpanFinderFindsEverySpan(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var spans []WALSpan
		for i := range 1 + random.IntN(12) {
			begin := wal.Segment{Timeline: wal.TimelineID(1 + random.IntN(2)), Seg: random.Uint32N(50)}
			span := WALSpan{ID: fmt.Sprint(i), Begin: begin, End: begin}
			if random.IntN(4) > 0 {
				span.Limit = wal.Segment{Timeline: begin.Timeline, Seg: begin.Seg + random.Uint32N(20)}
			}
			spans = append(spans, span)
		}
		finder := newSpanFinder(spans)
		for seg := range uint32(75) {
			segment := wal.Segment{Timeline: 1, Seg: seg}
			want, got := map[string]bool{}, map[string]bool{}
			for _, span := range spans {
				if span.Contains(segment) {
					want[span.ID] = true
				}
			}
			for span := range finder.containing(segment) {
				got[span.ID] = true
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%v, segment %s:\n%s", spans, segment, diff)
			}
		}
	}
}

func TestSegmentSet(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	set, seen := make(segmentSet), make(map[wal.Segment]bool)
	for range 5000 {
		s := wal.Segment{Timeline: wal.TimelineID(1 + random.IntN(3)), Log: random.Uint32N(3), Seg: random.Uint32N(256)}
		if got := set.add(s); got == seen[s] {
			t.Fatalf("add(%s) = %v", s, got)
		}
		seen[s] = true
	}
	ordered := make(segmentSet)
	for seg := range uint32(256) {
		ordered.add(wal.Segment{Timeline: 1, Seg: seg})
	}
	if len(ordered[1]) != 1 {
		t.Errorf("neighbours take %d ranges", len(ordered[1]))
	}
}

// What is read quickly is what is read slowly, whatever the form of the lines.
func TestSegmentsAreReadAsAllLinesAre(t *testing.T) {
	line := "000000010000000000000003\t16777216\t1735725600.5\tgzip\tNone\n"
	texts := []string{sampleIndex, asWritten(sampleIndex), line + "\n" + line[:len(line)-1], line + line[:30], line[:20] + "\n" + line}
	// Every byte once left out, and once replaced by others that mean something.
	for i := range line {
		texts = append(texts, line[:i]+line[i+1:]+line)
		for _, c := range "\t\n .09afAFzgG-+eE\x00\r" {
			texts = append(texts, line[:i]+string(c)+line[i+1:]+line, line[:i]+string(c)+line[i:])
		}
	}
	for _, text := range texts {
		lines := ReadWALLines([]byte(text), "x")
		var want, got []string
		for line, err := range lines.All() {
			if err != nil {
				want = append(want, err.Error())
			} else if segment, _ := line.File.Segment(); line.File.IsWAL() {
				want = append(want, fmt.Sprint(segment, line.Size, line.ModTime))
			}
		}
		lines.segments(1, func(s listedSegment) {
			at, err := strconv.ParseFloat(string(s.time), 64)
			if err != nil {
				t.Errorf("%q: %v", text, err)
			}
			got = append(got, fmt.Sprint(s.Segment, s.size, at))
		}, func(err *WALLineError) { got = append(got, err.Error()) })
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q:\n%s", text, diff)
		}
	}
}

func TestCollectWALs(t *testing.T) {
	span := WALSpan{ID: "b", Begin: wal.Segment{Timeline: 1, Seg: 2}, End: wal.Segment{Timeline: 1, Seg: 2}, Limit: wal.Segment{Timeline: 1, Seg: 4}}
	text := indexOf("000000010000000000000004", "00000002.history", "000000010000000000000001", "000000010000000000000002",
		"000000010000000000000002", "00000002.history", "000000020000000000000003", "000000010000000000000005")
	segments, histories, bad := CollectWALs(ReadWALLines([]byte(text), "x"), span)
	if bad != nil {
		t.Fatal(bad)
	}
	var names []string
	for _, r := range append(segments, histories...) {
		names = append(names, r.Name)
	}
	if diff := cmp.Diff([]string{"000000010000000000000002", "000000010000000000000004", "00000002.history"}, names); diff != "" {
		t.Error(diff)
	}
}

// removed lists what a removal takes from an archive; "nothing: reason" when there is none.
func removed(removal *WALRemoval, reason string, names []string) string {
	if removal == nil {
		return "nothing: " + reason
	}
	var gone []string
	for _, name := range names {
		file, err := wal.ParseFileName(name)
		if err == nil && removal.Removes(file) {
			gone = append(gone, strings.TrimLeft(name, "0"))
		}
	}
	return strings.Join(gone, " ")
}

func TestRemovableWALs(t *testing.T) {
	const a, b, c, d = "20260101T000000", "20260102T000000", "20260103T000000", "20260104T000000"
	archive := append(segmentNames(1, 1, 9), "000000010000000000000002.00000028.backup", "000000010000000000000003.partial",
		"00000002.history", "000000020000000000000008")
	noBegin := usable(b, 4, 5)
	noBegin.BeginWAL = wal.Segment{}
	for name, test := range map[string]struct {
		list      *Backups
		keeps     map[string]Keep
		retention bool
		id        string
		want      string
	}{
		"the oldest backup takes what comes before the next": {
			list: NewBackups("main", usable(a, 2, 3), usable(b, 4, 5)), id: a,
			want: "10000000000000001 10000000000000002 10000000000000003 10000000000000002.00000028.backup 10000000000000003.partial",
		},
		"a backup with another before it takes nothing": {
			list: NewBackups("main", usable(a, 2, 3), usable(b, 4, 5)), id: b,
			want: "nothing: backup " + a + " before it needs them",
		},
		"a failed backup before it needs nothing": {
			list: NewBackups("main", withStatus(usable(a, 1, 2), StatusFailed), usable(b, 3, 3), usable(c, 4, 5)), id: b,
			want: "10000000000000001 10000000000000002 10000000000000003 10000000000000002.00000028.backup 10000000000000003.partial",
		},
		"the only backup leaves what comes from its own start on": {
			list: NewBackups("main", usable(a, 2, 3)), id: a, want: "10000000000000001",
		},
		"kept in full before it": {
			list: NewBackups("main", usable(a, 2, 3), usable(b, 4, 5)), keeps: map[string]Keep{a: KeepFull}, retention: true, id: b,
			want: "nothing: backup " + a + " before it needs them",
		},
		"kept as standalone before it, by retention": {
			list:  NewBackups("main", usable(a, 2, 3), usable(b, 5, 6), usable(c, 7, 8)),
			keeps: map[string]Keep{a: KeepStandalone}, retention: true, id: b,
			want: "10000000000000001 10000000000000004 10000000000000005 10000000000000006",
		},
		"kept as standalone before it, by hand": {
			list:  NewBackups("main", usable(a, 2, 3), usable(b, 5, 6), usable(c, 7, 8)),
			keeps: map[string]Keep{a: KeepStandalone}, id: b,
			want: "nothing: backup " + a + " before it is kept as standalone",
		},
		"a standalone one behind a plain one": {
			list:  NewBackups("main", usable(a, 2, 3), usable(b, 4, 4), usable(c, 5, 6)),
			keeps: map[string]Keep{b: KeepStandalone}, retention: true, id: c,
			want: "nothing: backup " + a + " before it needs them",
		},
		"the next backup is on a newer timeline": {
			list: NewBackups("main", usable(a, 2, 3), onTimeline(2, b, 8, 8)), id: a,
			want: strings.Join(trimmed(archive[:11]), " "),
		},
		"another timeline is protected": {
			list: NewBackups("main", usable(b, 4, 5), onTimeline(2, c, 8, 8), withStatus(usable(d, 9, 9), StatusFailed)), id: b,
			want: strings.Join(trimmed(archive[:11]), " "),
		},
		"a timeline of a later backup below the next one's is protected": {
			list: NewBackups("main", usable(a, 2, 3), onTimeline(2, b, 8, 8), usable(c, 7, 7)), id: a,
			want: "",
		},
		"a backup that is being taken lies before the next": {
			list: NewBackups("main", usable(a, 2, 3), usable(b, 6, 6), withStatus(usable(c, 4, 0), StatusStarted)), id: a,
			want: "10000000000000001 10000000000000002 10000000000000003 10000000000000002.00000028.backup 10000000000000003.partial",
		},
		"an old backup that was killed holds nothing back": {
			list: NewBackups("main", withStatus(usable(a, 1, 0), StatusStarted), usable(b, 2, 3), usable(c, 3, 4)), id: b,
			want: "10000000000000001 10000000000000002 10000000000000002.00000028.backup",
		},
		"an old backup that is being copied is protected": {
			list: NewBackups("main", withStatus(usable(a, 2, 2), StatusSyncing), usable(b, 5, 6), usable(c, 7, 8)), id: b,
			want: "10000000000000001",
		},
		"the next backup's start is not known": {
			list: NewBackups("main", usable(a, 2, 3), noBegin), id: a,
			want: "nothing: the first WAL file of backup " + b + " is not known",
		},
		"no such backup": {list: NewBackups("main"), id: a, want: "nothing: backup " + a + " is not in the catalog"},
	} {
		t.Run(name, func(t *testing.T) {
			removal, reason := test.list.RemovableWALs(test.id, test.keeps, test.retention)
			if got := removed(removal, reason, archive); got != test.want {
				t.Errorf("\ngot  %s\nwant %s", got, test.want)
			}
		})
	}
	unreadable := NewBackups("main", usable(a, 2, 3), usable(c, 6, 7))
	unreadable.Unreadable = []Unreadable{{ID: b, Err: errors.New("damaged")}}
	if removal, reason := unreadable.RemovableWALs(a, nil, true); removal != nil {
		t.Errorf("WAL is removed although backup %s may need it (%s)", b, reason)
	}
}

func trimmed(names []string) []string {
	var out []string
	for _, name := range names {
		out = append(out, strings.TrimLeft(name, "0"))
	}
	return out
}

func TestWALsBeforeFirstBackup(t *testing.T) {
	const a, b = "20260101T000000", "20260102T000000"
	archive := segmentNames(1, 1, 4)
	for name, test := range map[string]struct {
		list *Backups
		want string
	}{
		"first":                     {NewBackups("main", usable(b, 3, 4)), "10000000000000001 10000000000000002"},
		"waiting":                   {NewBackups("main", withStatus(usable(b, 3, 4), StatusWaitingForWALs)), "10000000000000001 10000000000000002"},
		"after a failed one":        {NewBackups("main", withStatus(usable(a, 2, 2), StatusFailed), usable(b, 3, 4)), "10000000000000001 10000000000000002"},
		"not the first":             {NewBackups("main", usable(a, 2, 2), usable(b, 3, 4)), "nothing: backup " + a + " before it needs them"},
		"failed":                    {NewBackups("main", withStatus(usable(b, 3, 4), StatusFailed)), "nothing: backup " + b + " has status FAILED"},
		"failed before it started":  {NewBackups("main", withStatus(NewBackupInfo(b, "main", ModePostgres), StatusFailed)), "nothing: backup " + b + " has status FAILED"},
		"without a known beginning": {NewBackups("main", withStatus(NewBackupInfo(b, "main", ModePostgres), StatusDone)), "nothing: the first WAL file of backup " + b + " is not known"},
	} {
		removal, reason := test.list.WALsBeforeFirst(b)
		if got := removed(removal, reason, archive); got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
}

func TestRemoveWALFilesTouchesOnlyWhatIsListed(t *testing.T) {
	c := newCatalog(t)
	archived := func(name string) string { return filepath.Join(c.Layout.WALs, name[:16], name) }
	var records []WALRecord
	for seg := range uint32(300) { // more than Barman takes for a whole directory
		name := wal.Segment{Timeline: 1, Seg: seg}.String()
		put(t, archived(name), "x")
		if seg < 290 {
			records = append(records, WALRecord{Name: name})
		}
	}
	put(t, archived("000000010000000100000000"), "x")
	records = append(records, WALRecord{Name: "000000010000000100000000"}, WALRecord{Name: "000000010000000200000000"}, WALRecord{Name: "../../identity.json"})
	put(t, c.Layout.IdentityPath(), "{}")
	err := RemoveWALFiles(t.Context(), c.Layout, records, 4, nil)
	if !errors.Is(err, wal.ErrInvalidName) {
		t.Errorf("a name from a damaged index: %v", err)
	}
	left := must[[]string](t)(listNames(filepath.Join(c.Layout.WALs, "0000000100000000")))
	if len(left) != 10 {
		t.Errorf("%d files are left, want 10", len(left))
	}
	if found, _ := exists(filepath.Join(c.Layout.WALs, "0000000100000001")); found {
		t.Error("an empty directory stays")
	}
	content(t, c.Layout.IdentityPath())
	stays := WALRecord{Name: left[0]}
	err = RemoveWALFiles(t.Context(), c.Layout, []WALRecord{stays}, 1, func(WALRecord, func() error) error { return nil })
	if found, _ := exists(archived(stays.Name)); err != nil || !found {
		t.Error("a file was removed against the will of a hook", err)
	}
}

func TestCheckWALs(t *testing.T) {
	now := time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC)
	seg := func(n uint32) wal.Segment { return wal.Segment{Timeline: 1, Seg: n} }
	waiting := func() *BackupInfo { return withStatus(usable("20260110T100000", 2, 5), StatusWaitingForWALs) }
	long := now.Add(-2 * GapGrace)
	for name, test := range map[string]struct {
		backup  *BackupInfo
		archive WALArchive
		want    Status
		missing wal.Segment
	}{
		"complete":             {waiting(), WALArchive{Newest: seg(5)}, StatusDone, wal.Segment{}},
		"complete, later WAL":  {waiting(), WALArchive{Newest: seg(9), NewestTime: long}, StatusDone, wal.Segment{}},
		"empty archive":        {waiting(), WALArchive{Missing: []wal.Segment{seg(2), seg(3), seg(4), seg(5)}}, StatusWaitingForWALs, wal.Segment{}},
		"older WAL only":       {waiting(), WALArchive{Newest: seg(1), NewestTime: long, Missing: []wal.Segment{seg(2), seg(3)}}, StatusWaitingForWALs, wal.Segment{}},
		"not all yet":          {waiting(), WALArchive{Newest: seg(3), NewestTime: long, Missing: []wal.Segment{seg(4), seg(5)}}, StatusWaitingForWALs, wal.Segment{}},
		"gap, end not reached": {waiting(), WALArchive{Newest: seg(4), NewestTime: long, Missing: []wal.Segment{seg(3), seg(5)}}, StatusWaitingForWALs, seg(3)},
		"gap, just archived":   {waiting(), WALArchive{Newest: seg(5), NewestTime: now.Add(-time.Minute), Missing: []wal.Segment{seg(3)}}, StatusWaitingForWALs, seg(3)},
		"gap, in incoming":     {waiting(), WALArchive{Newest: seg(9), NewestTime: long, Missing: []wal.Segment{seg(3)}, Pending: []wal.Segment{seg(3)}}, StatusWaitingForWALs, seg(3)},
		"gap for good":         {waiting(), WALArchive{Newest: seg(9), NewestTime: long, Missing: []wal.Segment{seg(3)}}, StatusFailed, seg(3)},
		"gap in a done backup": {usable("20260110T100000", 2, 5), WALArchive{Newest: seg(9), NewestTime: long, Missing: []wal.Segment{seg(3)}}, StatusWaitingForWALs, seg(3)},
		"being taken":          {withStatus(usable("20260110T100000", 2, 5), StatusStarted), WALArchive{}, StatusStarted, wal.Segment{}},
	} {
		got, err := CheckWALs(test.backup, test.archive, now)
		if err != nil || got.Status != test.want || got.Missing != test.missing || got.Reason == "" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if want := "At least one WAL file is missing. The first missing WAL file is 000000010000000000000003"; got.Status == StatusFailed && got.Error != want {
			t.Errorf("%s: error text %q", name, got.Error)
		}
	}
	if _, err := CheckWALs(withStatus(waiting(), StatusFailed), WALArchive{}, now); !errors.Is(err, ErrFailedBackup) {
		t.Error(err)
	}
}

func TestCheckBackupLooksAtTheArchive(t *testing.T) {
	c := newCatalog(t)
	const id = "20260110T100000"
	if err := c.Save(withStatus(usable(id, 2, 4), StatusWaitingForWALs)); err != nil {
		t.Fatal(err)
	}
	archived := func(seg uint32) string { return c.Layout.SegmentPath(wal.Segment{Timeline: 1, Seg: seg}) }
	now := time.Now()
	check := func(want Status) Decision {
		t.Helper()
		b, decision, err := c.CheckBackup(id, now)
		if err != nil || b.Status != want || must[*BackupInfo](t)(c.Load(id)).Status != want {
			t.Fatalf("status %v, want %s (%+v, %v)", b, want, decision, err)
		}
		return decision
	}
	check(StatusWaitingForWALs)
	put(t, archived(2), "x")
	put(t, archived(4), "x")
	put(t, filepath.Join(c.Layout.WALs, "000000020000000F", "000000020000000F00000001"), "another timeline")
	if d := check(StatusWaitingForWALs); d.Missing != (wal.Segment{Timeline: 1, Seg: 3}) {
		t.Errorf("%+v", d)
	}
	now = now.Add(2 * GapGrace)
	put(t, filepath.Join(c.Layout.Streaming, "000000010000000000000003.partial"), "x")
	check(StatusWaitingForWALs)
	if err := os.Remove(filepath.Join(c.Layout.Streaming, "000000010000000000000003.partial")); err != nil {
		t.Fatal(err)
	}
	put(t, archived(3), "x")
	check(StatusDone)
	if err := os.Remove(archived(3)); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * GapGrace)
	check(StatusWaitingForWALs)
	check(StatusFailed)
	if got := must[*BackupInfo](t)(c.Load(id)).Error; !strings.HasSuffix(got, "is 000000010000000000000003") {
		t.Error(got)
	}
	if _, _, err := c.CheckBackup(id, now); !errors.Is(err, ErrFailedBackup) {
		t.Error(err)
	}
	if _, _, err := c.CheckBackup("20250101T000000", now); !errors.Is(err, ErrNoBackup) {
		t.Error(err)
	}
}

func BenchmarkSumWALs(b *testing.B) {
	var text []byte
	var infos []*BackupInfo
	segment := wal.Segment{Timeline: 1}
	for i := range 100_000 {
		text = WALRecord{Name: segment.String(), Size: 65603, ModTime: 1735725600.5, Compression: "gzip"}.AppendTo(text)
		if i%100 == 0 {
			info := usable(fmt.Sprintf("20260101T%06d", i), 0, 0)
			info.BeginWAL, info.EndWAL = segment, segment.Next(wal.DefaultSegmentSize)
			infos = append(infos, info)
		}
		segment = segment.Next(wal.DefaultSegmentSize)
	}
	spans := NewBackups("main", infos...).WALSpans()
	for b.Loop() {
		if _, bad := SumWALs(ReadWALLines(text, "x"), spans); bad != nil {
			b.Fatal(bad)
		}
	}
}
