package catalog

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/barman-go/barman/core/wal"
)

// FuzzAppendToAnyIndex appends to an index that holds anything: a crash, a full disk or an editor may have left it so. What could be read
// before can be read afterwards, and so can the new line.
func FuzzAppendToAnyIndex(f *testing.F) {
	f.Add(sampleIndex)
	for _, cut := range []int{1, 30, 40, 56, 57, 58, 70} {
		f.Add(sampleIndex[:cut])
	}
	f.Add(sampleIndex + "\x00\x00\x00\x00")
	f.Add("\n\n  \t\n")
	f.Add(strings.Repeat("z", maxLine) + "\n" + sampleIndex[:40])
	dir := f.TempDir()
	c := New(Layout{Server: "main", Backup: dir, WALs: filepath.Join(dir, "wals"), XlogDB: filepath.Join(dir, "wals")})
	x := newIndex(c)
	fresh := WALRecord{Name: "0000000F0000000000000009", Size: 7, ModTime: 1.5, Compression: "gzip"}
	f.Fuzz(func(t *testing.T, text string) {
		put(t, c.Layout.WALIndexPath(), text)
		before := readable(t, c)
		if err := x.Append(t.Context(), []WALRecord{fresh}, nil); err != nil {
			t.Fatal(err)
		}
		after := readable(t, c)
		if len(after) == 0 || after[len(after)-1] != fresh {
			t.Fatalf("after %q the new line cannot be read: %+v", text, after)
		}
		// A last line without a line break may have been cut in the middle of a number or a word: it may go.
		kept := after[:len(after)-1]
		if !slices.Equal(kept, before) && (strings.HasSuffix(text, "\n") || !slices.Equal(kept, before[:len(before)-1])) {
			t.Fatalf("%q\nheld %+v\nand holds %+v", text, before, kept)
		}
		last, found, err := x.Last(t.Context())
		if err != nil || !found || last != fresh {
			t.Fatalf("after %q the last line is %+v, %v, %v", text, last, found, err)
		}
		dropped, _, err := x.Rewrite(t.Context(), func(line *WALLine) bool { return line.File.Kind() != wal.KindHistory })
		if err != nil {
			t.Fatal(err)
		}
		isHistory := func(r WALRecord) bool { return strings.HasSuffix(r.Name, ".history") }
		if got, want := readable(t, c), slices.DeleteFunc(slices.Clone(after), isHistory); !slices.Equal(got, want) ||
			len(got)+len(dropped) != len(after) {
			t.Fatalf("a rewrite of %+v leaves %+v and drops %+v", after, got, dropped)
		}
	})
}

// readable are the records of the index that can be read.
func readable(t *testing.T, c *Catalog) (records []WALRecord) {
	t.Helper()
	for line, err := range ReadWALLines([]byte(content(t, c.Layout.WALIndexPath())), "x").All() {
		if err == nil {
			records = append(records, line.WALRecord)
		}
	}
	return records
}
