package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/wal"
)

// sampleIndex is what Barman 3.17 wrote in a real archive.
const sampleIndex = "000000010000000000000001\t65603\t1735725600.5\tgzip\tNone\n" +
	"000000010000000000000002\t65603\t1735725600.5\tgzip\tNone\n" +
	"000000010000000000000002.00000028.backup\t69\t1795337217.4619372\tgzip\tNone\n" +
	"000000010000000000000003\t16777216\t1735725600.0\tNone\tgpg\n" +
	"00000002.history\t68\t1795337217.4619372\tgzip\tNone\n"

// asWritten is an index as it is written here: without the fifth field where there is no encryption.
func asWritten(index string) string {
	return regexp.MustCompile(`(?m)\tNone$`).ReplaceAllString(index, "")
}

func sampleRecords() []WALRecord {
	return []WALRecord{
		{"000000010000000000000001", 65603, 1735725600.5, "gzip", ""},
		{"000000010000000000000002", 65603, 1735725600.5, "gzip", ""},
		{"000000010000000000000002.00000028.backup", 69, 1795337217.4619372, "gzip", ""},
		{"000000010000000000000003", 16777216, 1735725600, "", "gpg"},
		{"00000002.history", 68, 1795337217.4619372, "gzip", ""},
	}
}

func readAll(t testing.TB, text string) (records []WALRecord, bad []string) {
	t.Helper()
	for line, err := range ReadWALLines([]byte(text), "x").All() {
		if err != nil {
			bad = append(bad, fmt.Sprintf("%d: %s", err.Line, err.Text))
			continue
		}
		records = append(records, line.WALRecord)
	}
	return records, bad
}

func TestWALRecordsReadAndWriteBarmansLines(t *testing.T) {
	records, bad := readAll(t, sampleIndex)
	if diff := cmp.Diff(sampleRecords(), records); diff != "" || bad != nil {
		t.Error(bad, diff)
	}
	var text []byte
	for _, r := range records {
		text = r.AppendTo(text)
	}
	if diff := cmp.Diff(asWritten(sampleIndex), string(text)); diff != "" {
		t.Error(diff)
	}
	if again, bad := readAll(t, string(text)); bad != nil || !slices.Equal(again, records) {
		t.Error(bad, cmp.Diff(records, again))
	}
}

func TestOldAndDamagedLines(t *testing.T) {
	text := "000000010000000000000001 7 1.5\n" +
		"\n" +
		"000000010000000000000002\t7\t1.5\tbzip2\r\n" +
		"000000010000000000000003\t7\n" +
		"000000010000000000000004\t7\t1.5\tgzip\tNone\tmore\n" +
		"foo\t7\t1.5\n" +
		"000000010000000000000005\tx\t1.5\n" +
		"000000010000000000000006\t7\tnan\n" +
		strings.Repeat("z", 300<<10) + "\n" +
		"000000010000000000000007\t7\t1.5\tNone\tNone"
	records, bad := readAll(t, text)
	want := []WALRecord{
		{"000000010000000000000001", 7, 1.5, "", ""},
		{"000000010000000000000002", 7, 1.5, "bzip2", ""},
		{"000000010000000000000007", 7, 1.5, "", ""},
	}
	if diff := cmp.Diff(want, records); diff != "" {
		t.Error(diff)
	}
	if len(bad) != 6 || bad[0] != "4: 000000010000000000000003\t7" || !strings.HasPrefix(bad[5], "9: zzz") {
		t.Errorf("%q", bad)
	}
}

func TestTimesAreThoseOfPython(t *testing.T) {
	// os.stat in Python shows 1795337217.4619372 for this time.
	stamp := time.Unix(1795337217, 461937172)
	if got := Seconds(stamp); got != 1795337217.4619372 {
		t.Errorf("%v", got)
	}
	r := WALRecord{ModTime: 1735725600.5}
	if got := r.Time(); !got.Equal(time.Unix(1735725600, 500000000)) {
		t.Error(got)
	}
}

func TestAppendAndLast(t *testing.T) {
	c := newCatalog(t)
	x := newIndex(c)
	ctx := t.Context()
	put(t, c.Layout.WALIndexPath(), "")
	if _, found, err := x.Last(ctx); found || err != nil {
		t.Error(found, err)
	}
	published := false
	err := x.Append(ctx, sampleRecords(), func() error { published = true; return nil })
	if err != nil || !published {
		t.Fatal(err, published)
	}
	if diff := cmp.Diff(asWritten(sampleIndex), content(t, filepath.Join(c.Layout.WALs, "main-xlog.db"))); diff != "" {
		t.Error(diff)
	}
	last, found, err := x.Last(ctx)
	if want := sampleRecords()[4]; err != nil || !found || last != want {
		t.Error(last, found, err)
	}
	got := must[map[string]WALRecord](t)(x.Find(ctx, "000000010000000000000003", "000000010000000000000009"))
	if diff := cmp.Diff(map[string]WALRecord{"000000010000000000000003": sampleRecords()[3]}, got); diff != "" {
		t.Error(diff)
	}
}

func TestAppendRecordsNothingWhenPublishingFails(t *testing.T) {
	c := newCatalog(t)
	put(t, c.Layout.WALIndexPath(), sampleIndex)
	boom := errors.New("boom")
	err := newIndex(c).Append(t.Context(), sampleRecords(), func() error { return boom })
	if !errors.Is(err, boom) || content(t, c.Layout.WALIndexPath()) != sampleIndex {
		t.Error(err)
	}
}

func TestAppendRefusesLinesThatNobodyCouldRead(t *testing.T) {
	c := newCatalog(t)
	put(t, c.Layout.WALIndexPath(), "")
	for _, r := range []WALRecord{
		{Name: "foo"},
		{Name: "../000000010000000000000001"},
		{Name: "000000010000000000000001", Size: -1},
		{Name: "000000010000000000000001", Compression: "a b"},
		{Name: "000000010000000000000001", Encryption: "None"},
	} {
		if err := newIndex(c).Append(t.Context(), []WALRecord{r}, nil); err == nil {
			t.Errorf("%+v was written", r)
		}
	}
	if got := content(t, c.Layout.WALIndexPath()); got != "" {
		t.Errorf("%q", got)
	}
}

func TestAppendAfterATornLine(t *testing.T) {
	record := WALRecord{"000000010000000000000009", 1, 1.5, "", ""}
	line := string(record.AppendTo(nil))
	const whole = "000000010000000000000001\t7\t1.5\tgzip\tNone"
	for torn, want := range map[string]string{
		whole:                            whole + "\n" + line,
		whole + "\n" + whole[:30]:        whole + "\n" + line,
		whole + "\n" + whole[:38]:        whole + "\n" + line,
		whole[:5]:                        line,
		whole + "\n" + whole + "\n":      whole + "\n" + whole + "\n" + line,
		whole + "\n\x00\x00\x00\x00\x00": whole + "\n" + line,
	} {
		c := newCatalog(t)
		put(t, c.Layout.WALIndexPath(), torn)
		if err := newIndex(c).Append(t.Context(), []WALRecord{record}, nil); err != nil {
			t.Fatal(err)
		}
		if got := content(t, c.Layout.WALIndexPath()); got != want {
			t.Errorf("after %q: %q, want %q", torn, got, want)
		}
	}
}

func TestLastLineOfLongFiles(t *testing.T) {
	for name, text := range map[string]string{
		"many lines":        strings.Repeat(sampleIndex, 1000),
		"blanks at the end": sampleIndex + strings.Repeat("\n", 3*maxLine),
		"blanks between":    sampleIndex[:len(sampleIndex)-1] + strings.Repeat(" ", maxLine-10) + "\n",
		"no line break":     sampleIndex[:len(sampleIndex)-1],
	} {
		c := newCatalog(t)
		put(t, c.Layout.WALIndexPath(), text)
		last, found, err := newIndex(c).Last(t.Context())
		if err != nil || !found || last != sampleRecords()[4] {
			t.Errorf("%s: %v, %v, %v", name, last, found, err)
		}
	}
	c := newCatalog(t)
	put(t, c.Layout.WALIndexPath(), sampleIndex+"junk\n")
	_, _, err := newIndex(c).Last(t.Context())
	var lineErr *WALLineError
	if !errors.As(err, &lineErr) || lineErr.Text != "junk" {
		t.Error(err)
	}
}

func TestRewriteKeepsLinesAsTheyAre(t *testing.T) {
	c := newCatalog(t)
	x := newIndex(c)
	odd := "000000010000000000000000 7 1.50 gzip\n"
	put(t, c.Layout.WALIndexPath(), odd+"junk\n"+sampleIndex)
	if err := os.Chmod(c.Layout.WALIndexPath(), 0o640); err != nil {
		t.Fatal(err)
	}
	dropped, bad, err := x.Rewrite(t.Context(), func(line *WALLine) bool {
		segment, _ := line.File.Segment()
		return segment.Seg != 2
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sampleRecords()[1:3], dropped); diff != "" {
		t.Error(diff)
	}
	if len(bad) != 1 || bad[0].Text != "junk" || bad[0].Line != 2 {
		t.Error(bad)
	}
	lines := strings.SplitAfter(sampleIndex, "\n")
	if got, want := content(t, c.Layout.WALIndexPath()), odd+lines[0]+lines[3]+lines[4]; got != want {
		t.Errorf("%q", got)
	}
	info := must[os.FileInfo](t)(os.Stat(c.Layout.WALIndexPath()))
	if info.Mode().Perm() != 0o640 {
		t.Error(info.Mode())
	}
	before := info
	if dropped, bad, err := x.Rewrite(t.Context(), func(*WALLine) bool { return true }); dropped != nil || bad != nil || err != nil {
		t.Error(dropped, bad, err)
	}
	if after := must[os.FileInfo](t)(os.Stat(c.Layout.WALIndexPath())); !os.SameFile(before, after) {
		t.Error("an index that stays the same was written")
	}
	if names := must[[]string](t)(listNames(c.Layout.WALs)); len(names) != 1 {
		t.Error(names)
	}
}

// TestRewriteOfALongIndex has more text than is read at a time, and lines with other ends than a line break.
func TestRewriteOfALongIndex(t *testing.T) {
	c := newCatalog(t)
	x := newIndex(c)
	var text, want strings.Builder
	const n = 20_000
	for i := range n {
		line := fmt.Sprintf("0000000100000000%08X\t7\t1.5\tgzip", i)
		end := "\n"
		switch {
		case i == n-1:
			end = ""
		case i%5000 == 7:
			end = "\r\n"
		case i%5000 == 8:
			end = "\n \n"
		}
		text.WriteString(line + end)
		if i >= 10 && i%1000 != 3 {
			want.WriteString(line + "\n")
		}
	}
	text.WriteString("\njunk")
	put(t, c.Layout.WALIndexPath(), text.String())
	dropped, bad, err := x.Rewrite(t.Context(), func(line *WALLine) bool {
		segment, _ := line.File.Segment()
		return segment.Seg >= 10 && segment.Seg%1000 != 3
	})
	if err != nil || len(dropped) != 10+n/1000-1 || len(bad) != 1 || bad[0].Line != n+1+n/5000 {
		t.Errorf("%d dropped, bad lines %v, error %v", len(dropped), bad, err)
	}
	if got := content(t, c.Layout.WALIndexPath()); got != want.String() {
		t.Errorf("%d bytes are written, want %d, or others", len(got), want.Len())
	}
}

func TestReadersReleaseTheLock(t *testing.T) {
	c := newCatalog(t)
	held := 0
	x := NewWALIndex(c.Layout, func(context.Context) (func() error, error) {
		held++
		return func() error { held--; return nil }, nil
	}, IdentifyFormat)
	lines, err := x.Read(t.Context())
	if err != nil || held != 0 {
		t.Fatal(err, held)
	}
	for range lines.All() {
		t.Error("a line in an empty index")
	}
	busy := errors.New("busy")
	x = NewWALIndex(c.Layout, func(context.Context) (func() error, error) { return nil, busy }, IdentifyFormat)
	if _, _, err := x.Last(t.Context()); !errors.Is(err, busy) {
		t.Error(err)
	}
}

func TestConcurrentAppendsDoNotMixLines(t *testing.T) {
	c := newCatalog(t)
	x := newIndex(c)
	var wait sync.WaitGroup
	for worker := range 4 {
		wait.Go(func() {
			for i := range 20 {
				name := wal.Segment{Timeline: wal.TimelineID(worker + 1), Seg: uint32(i)}.String()
				if err := x.Append(t.Context(), []WALRecord{{Name: name, Size: 1, ModTime: 1}}, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	records, bad := readAll(t, content(t, c.Layout.WALIndexPath()))
	if len(records) != 80 || bad != nil {
		t.Error(len(records), bad)
	}
}

// archiveOf makes an archive with every kind of thing that a rebuild may meet.
func archiveOf(t *testing.T, c *Catalog) {
	t.Helper()
	at := time.Unix(1735725600, 500000000)
	for path, text := range map[string]string{
		"0000000100000000/000000010000000000000001":                 "\x1f\x8b\x08 gzip",
		"0000000100000000/000000010000000000000002":                 "plain",
		"0000000100000000/000000010000000000000002.00000028.backup": "\x28\xb5\x2f\xfd zstd",
		"0000000100000000/000000010000000000000003":                 "\x85\x01\x0c\x03 pgp",
		"0000000100000000/000000010000000000000004.partial":         "x",
		"0000000100000000/000000010000000000000005.tmp":             "x",
		"0000000100000000/00000009.history":                         "x",
		"0000000200000000/000000020000000000000004":                 "",
		"00000002.history":                  "h",
		"000000010000000000000009":          "misplaced",
		"main-xlog.db.old":                  "x",
		".main-xlog.db.999999-0a0b0c0d.tmp": "x",
		"sync-wals.info":                    "x",
		"foo/bar.txt":                       "x",
	} {
		full := filepath.Join(c.Layout.WALs, path)
		put(t, full, text)
		if err := os.Chtimes(full, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(c.Layout.WALs, "0000000100000000", "000000010000000000000006"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestRebuild(t *testing.T) {
	c := newCatalog(t)
	archiveOf(t, c)
	put(t, c.Layout.WALIndexPath(), "garbage\n")
	put(t, c.Layout.LegacyWALIndexPath(), "kept while main-xlog.db exists\n")
	got, err := newIndex(c).Rebuild(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := Rebuilt{Segments: 4, BackupLabels: 1, Histories: 1, Skipped: []string{
		"0000000100000000/000000010000000000000004.partial: a partial segment is not part of the index",
		"0000000100000000/000000010000000000000005.tmp: not a WAL file",
		"0000000100000000/000000010000000000000006: not a regular file",
		"0000000100000000/00000009.history: not where the archive keeps such files",
		"000000010000000000000009: not where the archive keeps such files",
		"foo/bar.txt: not a WAL file",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	const index = "000000010000000000000001\t8\t1735725600.5\tgzip\n" +
		"000000010000000000000002\t5\t1735725600.5\tNone\n" +
		"000000010000000000000002.00000028.backup\t9\t1735725600.5\tzstd\n" +
		"000000010000000000000003\t8\t1735725600.5\tNone\tgpg\n" +
		"00000002.history\t1\t1735725600.5\tNone\n" +
		"000000020000000000000004\t0\t1735725600.5\tNone\n"
	lines := func(s string) map[string]bool {
		m := make(map[string]bool)
		for line := range strings.Lines(s) {
			m[line] = true
		}
		return m
	}
	if diff := cmp.Diff(lines(index), lines(content(t, c.Layout.WALIndexPath()))); diff != "" {
		t.Error(diff)
	}
	if found, _ := exists(c.Layout.LegacyWALIndexPath()); !found {
		t.Error("xlog.db was removed although it was not replaced just now")
	}
}

func TestMissingIndexIsRebuiltByEveryUse(t *testing.T) {
	c := newCatalog(t)
	archiveOf(t, c)
	put(t, c.Layout.LegacyWALIndexPath(), "old\n")
	fresh := WALRecord{"000000010000000000000007", 1, 1.5, "", ""}
	err := newIndex(c).Append(t.Context(), []WALRecord{fresh}, func() error {
		put(t, c.Layout.SegmentPath(wal.Segment{Timeline: 1, Seg: 7}), "x")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	records, bad := readAll(t, content(t, c.Layout.WALIndexPath()))
	if len(records) != 7 || bad != nil || records[6] != fresh {
		t.Error(records, bad)
	}
	if _, err := os.Stat(c.Layout.LegacyWALIndexPath()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("xlog.db of old versions stays: %v", err)
	}
}

func TestKnownFormats(t *testing.T) {
	for head, want := range map[string]string{
		"BZh91AY": "bzip2", "\x1f\x8b\x08\x00": "gzip", "\x04\x22\x4d\x18": "lz4", "\xff\x06\x00\x00sNaPpY": "snappy",
		"\xfd7zXZ\x00": "xz", "\x28\xb5\x2f\xfd": "zstd", "\x10\xd1": "", "": "", "\x1f\x8b": "",
	} {
		if got := IdentifyFormat([]byte(head)); got != want {
			t.Errorf("%q is %q, want %q", head, got, want)
		}
	}
	if !SameFormat("pigz", "pygzip") || !SameFormat("gzip", "pigz") || !SameFormat("bzip2", "pybzip2") ||
		SameFormat("gzip", "zstd") || SameFormat("", "gzip") {
		t.Error("families of formats")
	}
	for head, want := range map[string]bool{
		"\x85\x01\x0c\x03": true, "\x84\x5e\x03": true, "\xc1\xc0\x4c\x03\x01": true, "\x8c\x0d\x04\x09": true, "\xc3\x0d\x04\x09": true,
		"\x85\x01\x0c\x09": false, "\x85": false, "": false, "\x97\xd0\x05\x00": false, "\x10\xd1\x05": false, "\x1f\x8b\x08": false,
		"\x87\xd0\x05\x03": false, "\xfd7zXZ\x00\x03": false,
	} {
		if got := IsPGPEncrypted([]byte(head)); got != want {
			t.Errorf("IsPGPEncrypted(%q) = %v", head, got)
		}
	}
}

func FuzzParseWALRecord(f *testing.F) {
	for line := range strings.Lines(sampleIndex) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r, err := ParseWALRecord(line)
		if err != nil {
			return
		}
		if err := r.Validate(); err != nil {
			return // a compression that no version writes, such as one with a blank of Unicode
		}
		again, err := ParseWALRecord(string(r.AppendTo(nil)))
		if err != nil || again != r {
			t.Fatalf("%q: %+v, then %+v, %v", line, r, again, err)
		}
	})
}
