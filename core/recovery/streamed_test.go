package recovery

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/wal"
)

// TestReceivedWALIsPartOfTheArchive: what receive-wal has and archive-wal has not filed yet counts, but not a segment without WAL, one
// from before the backup, or one that the archive has.
func TestReceivedWALIsPartOfTheArchive(t *testing.T) {
	dir := t.TempDir()
	page, zeros := []byte{0x10, 0xd1, 2, 0}, make([]byte, 1<<20)
	for name, content := range map[string][]byte{
		"000000010000000000000003":         page,
		"000000010000000000000005":         page,
		"000000010000000000000006":         page,
		"000000010000000000000007.partial": page,
		"000000010000000000000008.partial": zeros,
		"000000020000000000000009.partial": {},
		".receive-wal.json":                []byte("{}"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	segment := func(name string) wal.Segment {
		s, err := wal.ParseSegment(name)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a := &Archived{
		Segments: map[wal.Segment]string{segment("000000010000000000000005"): "archived"}, Partials: map[wal.Segment]string{},
		Files: map[wal.TimelineID]string{}, Histories: map[wal.TimelineID]wal.History{}, Damaged: map[wal.TimelineID]error{},
	}
	if err := a.readStreaming(t.Context(), dir, t.TempDir(), segment("000000010000000000000004"), nil); err != nil {
		t.Fatal(err)
	}
	want := []string{filepath.Join(dir, "000000010000000000000006"), filepath.Join(dir, "000000010000000000000007.partial"), "archived"}
	got := slices.Concat(slices.Collect(maps.Values(a.Segments)), slices.Collect(maps.Values(a.Partials)))
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(got))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if err := a.readStreaming(t.Context(), filepath.Join(dir, "missing"), "", segment("000000010000000000000004"), nil); err != nil {
		t.Error(err)
	}
}
