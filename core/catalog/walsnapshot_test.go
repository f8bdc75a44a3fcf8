package catalog

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/barman-go/barman/core/wal"
)

// namesOf are the names in an index.
func namesOf(t *testing.T, lines WALLines) []string {
	t.Helper()
	var names []string
	for line, err := range lines.All() {
		if err != nil {
			t.Error(err)
			continue
		}
		names = append(names, line.Name)
	}
	return names
}

// interrupted is an index of which somebody else takes the lock, and does something, after a reader has had it once.
func interrupted(c *Catalog, other func()) *WALIndex {
	taken := 0
	return NewWALIndex(c.Layout, func(context.Context) (func() error, error) {
		taken++
		if taken == 2 {
			other()
		}
		return func() error { return nil }, nil
	}, IdentifyFormat)
}

func TestReadersSeeTheIndexOfOneMoment(t *testing.T) {
	before, more := segmentNames(1, 1, 400), segmentNames(1, 401, 500)
	record := func(name string) WALRecord { return WALRecord{Name: name, Size: 100, ModTime: 1} }
	for name, test := range map[string]struct {
		other func(t *testing.T, c *Catalog)
		want  []string
	}{
		"nothing happens": {func(*testing.T, *Catalog) {}, before},
		"append": {func(t *testing.T, c *Catalog) {
			for _, name := range more {
				if err := newIndex(c).Append(t.Context(), []WALRecord{record(name)}, nil); err != nil {
					t.Error(err)
				}
			}
		}, before},
		"rewrite by this program": {func(t *testing.T, c *Catalog) {
			_, _, err := newIndex(c).Rewrite(t.Context(), func(line *WALLine) bool { return line.Name > before[99] })
			if err != nil {
				t.Error(err)
			}
		}, before},
		// Barman copies what stays to the beginning of the same file, and cuts off the rest.
		"rewrite in place": {func(t *testing.T, c *Catalog) {
			inPlace(t, c, indexOf(before...)[len(indexOf(before[:100]...)):])
		}, before[100:]},
		"rewrite in place, and as many lines again": {func(t *testing.T, c *Catalog) {
			inPlace(t, c, indexOf(append(slices.Clone(before[100:]), more...)...))
		}, append(slices.Clone(before[100:]), more...)},
		"rebuild in place that found nothing": {func(t *testing.T, c *Catalog) { inPlace(t, c, "") }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCatalog(t)
			put(t, c.Layout.WALIndexPath(), indexOf(before...))
			lines, err := interrupted(c, func() { test.other(t, c) }).Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, namesOf(t, lines)); diff != "" {
				t.Error(diff)
			}

			put(t, c.Layout.WALIndexPath(), indexOf(before...))
			span := WALSpan{ID: "b", Begin: wal.Segment{Timeline: 1, Seg: 50}, End: wal.Segment{Timeline: 1, Seg: 50}}
			stats, bad, err := interrupted(c, func() { test.other(t, c) }).Sum(t.Context(), []WALSpan{span})
			if err != nil || bad != nil {
				t.Fatal(bad, err)
			}
			want, _ := SumWALs(ReadWALLines([]byte(indexOf(test.want...)), "x"), []WALSpan{span})
			if got := stats["b"]; got.RequiredCount != want["b"].RequiredCount || got.Count != want["b"].Count || got.Last != want["b"].Last {
				t.Errorf("sums %+v, want %+v", got, want["b"])
			}
		})
	}
}

// Sum reads in blocks, and numbers lines over all of them.
func TestSumOfALongIndex(t *testing.T) {
	c := newCatalog(t)
	names := append(segmentNames(1, 0, 255), segmentNames(2, 0, 255)...)
	long := strings.Repeat("z", 600<<10) + "\n"
	text := strings.Repeat(indexOf(names...), 20) + "junk\n" + long + indexOf(names...) + "more junk"
	put(t, c.Layout.WALIndexPath(), text)
	spans := []WALSpan{{ID: "a", Begin: wal.Segment{Timeline: 1, Seg: 1}, End: wal.Segment{Timeline: 1, Seg: 2}}, {ID: "b", Begin: wal.Segment{Timeline: 2}}}
	stats, bad, err := newIndex(c).Sum(t.Context(), spans)
	if err != nil {
		t.Fatal(err)
	}
	want, wantBad := SumWALs(ReadWALLines([]byte(text), c.Layout.WALIndexPath()), spans)
	if diff := cmp.Diff(want, stats, cmpopts.IgnoreUnexported(WALStats{})); diff != "" {
		t.Error(diff)
	}
	if len(bad) != 3 || bad[0].Line != 20*512+1 || bad[1].Line != 20*512+2 || bad[2].Line != 21*512+3 {
		t.Error(bad)
	}
	if len(wantBad) != len(bad) {
		t.Error(wantBad)
	}
	if got := stats["a"]; got.RequiredCount != 2 || got.Count != 253 {
		t.Errorf("%+v", got)
	}
}

func inPlace(t *testing.T, c *Catalog, text string) {
	t.Helper()
	f, err := os.OpenFile(c.Layout.WALIndexPath(), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Error(err)
	}
	if err := f.Truncate(int64(len(text))); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestFindLooksAtAllPartsOfALongIndex(t *testing.T) {
	c := newCatalog(t)
	x := newIndex(c)
	var text []byte
	segment := wal.Segment{Timeline: 1}
	var names []string
	for i := range 20_000 {
		record := WALRecord{Name: segment.String(), Size: int64(i), ModTime: 1735725600.5, Compression: "gzip"}
		text = record.AppendTo(text)
		names = append(names, record.Name)
		segment = segment.Next(wal.DefaultSegmentSize)
	}
	put(t, c.Layout.WALIndexPath(), string(text)+names[0]+"\t77\t2.0\tNone\n")
	found := must[map[string]WALRecord](t)(x.Find(t.Context(), append(names, "000000090000000000000009")...))
	if len(found) != len(names) {
		t.Errorf("%d of %d found", len(found), len(names))
	}
	for i, name := range names[1:] {
		if found[name].Size != int64(i+1) {
			t.Fatalf("%s: %+v, want size %d", name, found[name], i+1)
		}
	}
	if got := found[names[0]].Size; got != 77 {
		t.Errorf("size %d of a file that is listed twice, want that of the last line", got)
	}
}

func TestPartsAreWholeLines(t *testing.T) {
	c := newCatalog(t)
	for text, whole := range map[string]bool{
		"": true, "x": true, "x\n": true, sampleIndex: true, strings.Repeat(sampleIndex, 5000): true,
		strings.Repeat("z", 200<<10) + "\nend\n": false, // nothing that anybody looks for is that long
	} {
		put(t, c.Layout.WALIndexPath(), text)
		f := must[*os.File](t)(os.Open(c.Layout.WALIndexPath()))
		var parts []string
		if err := backwards(f, func(part []byte) bool { parts = append(parts, string(part)); return true }); err != nil {
			t.Error(err)
		}
		slices.Reverse(parts)
		if got := strings.Join(parts, ""); got != text {
			t.Errorf("parts make %d bytes of %d", len(got), len(text))
		}
		for i, part := range parts[:max(0, len(parts)-1)] {
			if whole && !strings.HasSuffix(part, "\n") {
				t.Errorf("part %d ends with %q", i, fmt.Sprintf("%.60s", part))
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}
