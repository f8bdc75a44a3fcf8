package catalog

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/wal"
)

// sized is a backup of a cluster with the default segment size; its addresses are in the middle of its segments.
func sized(b *BackupInfo) *BackupInfo {
	b.SegmentSize = wal.DefaultSegmentSize
	b.EndLSN = b.EndWAL.StartLSN(b.SegmentSize) + 0x100
	return b
}

func history(tli wal.TimelineID, ancestors ...wal.Ancestor) wal.History {
	return wal.History{Timeline: tli, Ancestors: ancestors}
}

// left is an ancestor that was left in the middle of a segment.
func left(tli wal.TimelineID, seg uint32) wal.Ancestor {
	segment := wal.Segment{Timeline: tli, Seg: seg}
	return wal.Ancestor{Timeline: tli, SwitchedAt: segment.StartLSN(wal.DefaultSegmentSize) + 0x2000}
}

func TestGaps(t *testing.T) {
	const a, b, c = "20260101T000000", "20260102T000000", "20260103T000000"
	for name, test := range map[string]struct {
		list      *Backups
		keeps     map[string]Keep
		drop      string
		histories []wal.History
		archived  []string
		waiting   []wal.Segment
		want      string
	}{
		"complete": {
			list: NewBackups("main", sized(usable(a, 2, 3)), sized(usable(b, 5, 6))), archived: segmentNames(1, 1, 9), want: "",
		},
		"between and inside": {
			list:     NewBackups("main", sized(usable(a, 2, 3)), sized(usable(b, 6, 7))),
			archived: append(segmentNames(1, 2, 3), "000000010000000000000007", "000000010000000000000009"),
			want:     "1:4–6 " + a + ", 1:8–8 " + a,
		},
		"before the first backup nothing is needed": {
			list: NewBackups("main", sized(usable(b, 5, 6))), archived: append(segmentNames(1, 1, 2), segmentNames(1, 5, 6)...), want: "",
		},
		"an obsolete backup needs nothing": {
			list: NewBackups("main", sized(usable(a, 2, 3)), sized(usable(b, 5, 6))), drop: a,
			archived: append(segmentNames(1, 2, 2), segmentNames(1, 5, 6)...), want: "",
		},
		"a failed backup needs nothing": {
			list: NewBackups("main", withStatus(sized(usable(a, 2, 3)), StatusFailed)), archived: segmentNames(1, 9, 9), want: "",
		},
		"standalone needs its own": {
			list: NewBackups("main", sized(usable(a, 2, 4)), sized(usable(b, 8, 8))), keeps: map[string]Keep{a: KeepStandalone},
			archived: append(segmentNames(1, 2, 3), segmentNames(1, 8, 9)...), want: "1:4–4 " + a,
		},
		"what waits is not missing": {
			list: NewBackups("main", sized(usable(a, 2, 3))), archived: append(segmentNames(1, 2, 3), segmentNames(1, 6, 7)...),
			waiting: []wal.Segment{{Timeline: 1, Seg: 4}, {Timeline: 1, Seg: 12}}, want: "1:5–5 " + a,
		},
		"the newest end is open": {
			list:     NewBackups("main", withStatus(sized(usable(a, 2, 5)), StatusWaitingForWALs)),
			archived: segmentNames(1, 2, 3), want: "",
		},
		"a backup that is DONE has all": {
			list: NewBackups("main", sized(usable(a, 2, 5))), archived: segmentNames(1, 2, 3), want: "1:4–5 " + a,
		},
		"nothing is archived of a backup that waits": {
			list: NewBackups("main", withStatus(sized(usable(a, 2, 5)), StatusWaitingForWALs)), archived: segmentNames(3, 1, 1), want: "",
		},
		"over the end of a log": {
			list:     NewBackups("main", sized(usable(a, 0xFD, 0xFE))),
			archived: []string{"0000000100000000000000FD", "0000000100000000000000FE", "000000010000000100000001"},
			want:     "1:255–256 " + a,
		},
		"a timeline that branched off": {
			list:      NewBackups("main", sized(usable(a, 2, 3))),
			histories: []wal.History{history(2, left(1, 5))},
			archived:  append(segmentNames(1, 2, 4), segmentNames(2, 7, 8)...), want: "2:5–6 " + a,
		},
		"the way to it": {
			list:      NewBackups("main", sized(usable(a, 2, 3))),
			histories: []wal.History{history(3, left(1, 5), left(2, 7))},
			archived:  append(append(segmentNames(1, 2, 3), segmentNames(2, 5, 5)...), segmentNames(3, 7, 8)...),
			want:      "1:4–4 " + a + ", 2:6–6 " + a,
		},
		"a timeline that was left before the backup ended cannot be reached": {
			list: NewBackups("main", sized(usable(a, 2, 6))), histories: []wal.History{history(2, left(1, 4))},
			archived: append(segmentNames(1, 2, 6), segmentNames(2, 9, 9)...), want: "",
		},
		"a timeline of which nothing has come yet": {
			list: NewBackups("main", sized(usable(a, 2, 3))), histories: []wal.History{history(2, left(1, 5))},
			archived: segmentNames(1, 2, 4), want: "",
		},
		"only the backup on the new timeline is left": {
			list: NewBackups("main", sized(onTimeline(2, c, 8, 8))), histories: []wal.History{history(2, left(1, 5))},
			archived: append(segmentNames(2, 5, 5), segmentNames(2, 8, 8)...), want: "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			catalog := newCatalog(t)
			var text strings.Builder
			for _, name := range test.archived {
				fmt.Fprintf(&text, "%s\t1\t1.0\tNone\n", name)
			}
			put(t, catalog.Layout.WALIndexPath(), text.String())
			retained := func(b *BackupInfo) bool { return b.ID != test.drop }
			gaps, bad, err := newIndex(catalog).Gaps(t.Context(), test.list.WALNeeds(test.keeps, retained, test.histories), test.waiting)
			if err != nil || len(bad) > 0 {
				t.Fatal(err, bad)
			}
			var got []string
			for _, g := range gaps {
				got = append(got, fmt.Sprintf("%d:%d–%d %s", g.First.Timeline, g.First.Number(g.size), g.Last.Number(g.size), g.Backup))
				if n := len(g.Segments()); uint64(n) != g.Count {
					t.Errorf("%d names for %d files", n, g.Count)
				}
			}
			if diff := cmp.Diff(test.want, strings.Join(got, ", ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// BenchmarkGaps is a pass over a million lines.
func BenchmarkGaps(b *testing.B) {
	c := newCatalog(b)
	var text []byte
	for n := range uint64(1_000_000) {
		if n%100_000 == 7 {
			continue
		}
		name := wal.SegmentNumber(1, n, wal.DefaultSegmentSize).String()
		text = WALRecord{Name: name, Size: 65603, ModTime: 1735725600.5, Compression: "gzip"}.AppendTo(text)
	}
	put(b, c.Layout.WALIndexPath(), string(text))
	list := NewBackups("main", sized(usable("20260101T000000", 2, 3)))
	needs := list.WALNeeds(nil, func(*BackupInfo) bool { return true }, nil)
	for b.Loop() {
		gaps, _, err := newIndex(c).Gaps(b.Context(), needs, nil)
		if err != nil || len(gaps) != 10 {
			b.Fatal(len(gaps), err)
		}
	}
}
