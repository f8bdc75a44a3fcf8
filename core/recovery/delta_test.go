package recovery

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/transfer"
	"github.com/barman-go/barman/test/lab"
)

// testDelta restores over a restored directory in which things have changed: what is right stays, in place, and everything else is
// as in an empty directory.
func testDelta(t *testing.T, s *site) {
	dir := lab.ScratchDir(t)
	data := filepath.Join(dir, "data")
	o := Options{Backup: "latest", Destination: data, Tablespaces: []string{"hot:" + filepath.Join(dir, "hot")}, Workers: 2}
	r, _, _ := newRestorer(t, s.layout)
	first, err := r.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var plain, packed []WALFile
	for _, f := range first.Plan.WAL.Files {
		if format, err := r.WAL.FormatOf(t.Context(), f.Path); err != nil {
			t.Fatal(err)
		} else if format == "" {
			plain = append(plain, f)
		} else {
			packed = append(packed, f)
		}
	}
	if len(plain) < 4 || len(packed) < 2 {
		t.Fatalf("%d plain and %d compressed files", len(plain), len(packed))
	}
	walPath := func(name string) string { return filepath.Join(data, "pg_wal", name) }
	before := map[string]os.FileInfo{}
	for _, f := range first.Plan.WAL.Files {
		before[f.Name] = lstat(t, walPath(f.Name))
	}
	sound := filesBelow(t, data)
	// As PostgreSQL would, which writes into segments, and gives those that it needs no more the names of later ones.
	wrong := []string{plain[0].Name, plain[1].Name, packed[0].Name}
	for _, name := range []string{plain[0].Name, packed[0].Name} {
		damage(t, walPath(name), 4<<10)
		later(t, walPath(name))
	}
	recycled := lstat(t, walPath(plain[1].Name))
	if err := fsx.CopyFile(plain[2].Path, walPath("recycled"), fsx.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(walPath("recycled"), walPath(plain[1].Name)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(walPath(plain[1].Name), time.Time{}, recycled.ModTime()); err != nil {
		t.Fatal(err)
	}
	// The time of the whole second may be that of many writes.
	coarse := plain[3]
	damage(t, walPath(coarse.Name), 4<<10)
	for _, path := range []string{coarse.Path, walPath(coarse.Name)} {
		if err := os.Chtimes(path, time.Time{}, recycled.ModTime().Truncate(time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	wrong = append(wrong, coarse.Name)
	damage(t, filepath.Join(data, "global/pg_filenode.map"), 100)
	later(t, filepath.Join(data, "global/pg_filenode.map"))
	for _, name := range []string{"pg_wal/0000000100000000000000FF", "pg_wal/archive_status/0000000100000000000000FF.ready", "base/1/4711"} {
		if err := os.WriteFile(filepath.Join(data, name), []byte("of no backup"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(filepath.Join(data, "PG_VERSION"), 0); err != nil {
		t.Fatal(err)
	}
	o.Delta = true
	plan, err := r.Plan(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	changed := lstat(t, filepath.Join(s.layout.DataPath("20260110T110000"), "global/pg_filenode.map")).Size()
	// What was recycled looks untouched.
	changed += int64(len(wrong)-1) * int64(plan.Backup.SegmentSize)
	if e := plan.Estimate; !e.AtMost || e.Bytes < changed || e.Bytes > changed+1<<20 {
		t.Errorf("estimate %+v, want a little more than the %d bytes of one file and of WAL", e, changed)
	}
	if _, err := r.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	restored := filesBelow(t, data)
	for name := range restored {
		if _, ok := sound[name]; !ok {
			t.Errorf("%s has survived", name)
		}
	}
	for name, content := range sound {
		if !bytes.Equal(restored[name], content) {
			t.Errorf("%s differs from that of a full restore", name)
		}
	}
	for _, f := range first.Plan.WAL.Files {
		// A new file may get the number of the one that was removed, so nothing is said about the wrong ones.
		if !slices.Contains(wrong, f.Name) && !os.SameFile(before[f.Name], lstat(t, walPath(f.Name))) {
			t.Errorf("%s was right, and was replaced", f.Name)
		}
	}
	damage(t, filepath.Join(data, controlFile), 0)
	if _, err := r.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "holds another cluster than that of the backup") {
		t.Errorf("a restore over another cluster: %v", err)
	}
	if after := filesBelow(t, data); !bytes.Equal(after["PG_VERSION"], sound["PG_VERSION"]) || len(after) != len(sound) {
		t.Error("a refused restore has changed the destination")
	}
}

func TestClusterOfAControlFile(t *testing.T) {
	little, big := make([]byte, 512), make([]byte, 512)
	binary.LittleEndian.PutUint64(little, 7123456789012345678)
	binary.LittleEndian.PutUint32(little[controlVersionAt:], 1300)
	binary.BigEndian.PutUint64(big, 7123456789012345678)
	binary.BigEndian.PutUint32(big[controlVersionAt:], 1300)
	for name, tc := range map[string]struct {
		content []byte
		want    wal.SystemID
	}{
		"little endian": {little, 7123456789012345678}, "big endian": {big, 7123456789012345678},
		"none": {nil, 0}, "cut": {little[:11], 0}, "zeros": {make([]byte, 512), 0}, "noise": {bytes.Repeat([]byte{0xee}, 512), 0},
	} {
		if got := clusterOf(tc.content); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestAnotherClusterIsNotReplaced(t *testing.T) {
	const own wal.SystemID = 7123456789012345678
	place := Place{PathInfo: transfer.PathInfo{Exists: true, Type: "directory", Writable: true, HasEntries: true}}
	for _, tc := range []struct {
		found wal.SystemID
		known string
		want  string
	}{
		{0, own.String(), ""},
		{own, own.String(), ""},
		{own + 1, "", ""}, // backups of old versions do not record it
		{own + 1, own.String(), "holds another cluster than that of the backup: its system identifier is " + (own + 1).String()},
	} {
		p := &Plan{Server: serverName, Backup: testBackup(1, 150004), Destination: "/srv/pg", Delta: true}
		p.Backup.SystemID = tc.known
		p.checkDestinationFound(&Found{Places: map[string]Place{"/srv/pg": place}, Cluster: tc.found})
		checkTexts(t, tc.found.String(), p.Problems, tc.want)
	}
}

func lstat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// damage changes one byte of a file, and not its time.
func damage(t *testing.T, path string, offset int64) {
	t.Helper()
	when := lstat(t, path).ModTime()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, offset); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0xff
	if _, err := f.WriteAt(b, offset); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, when); err != nil {
		t.Fatal(err)
	}
}

func later(t *testing.T, path string) {
	t.Helper()
	if err := os.Chtimes(path, time.Time{}, time.Now()); err != nil {
		t.Fatal(err)
	}
}

// filesBelow are all files below a directory, by name.
func filesBelow(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files[strings.TrimPrefix(path, dir+"/")], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
