package recovery

import (
	"archive/tar"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// member is an entry of an archive that a test makes.
type member struct {
	name, content string
	mode          int64
	kind          byte
	link          string
}

var restoredAt = time.Date(2026, 1, 10, 10, 0, 0, 0, time.UTC)

func makeTar(t *testing.T, members ...member) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, m := range members {
		kind := m.kind
		if kind == 0 {
			kind = tar.TypeReg
		}
		err := w.WriteHeader(&tar.Header{
			Name: m.name, Typeflag: kind, Mode: m.mode, Size: int64(len(m.content)), ModTime: restoredAt, Linkname: m.link, Format: tar.FormatGNU,
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func baseUntar() *untar {
	return &untar{
		exclude: func(name string) bool { return matches(unpackedExclude, name) },
		rename:  map[string]string{controlFile: pendingControl}, need: []string{"backup_label", controlFile},
		written: func(int64, int64) {},
	}
}

func TestArchivesAreUnpackedWithoutWhatIsNotRestored(t *testing.T) {
	dir := t.TempDir()
	content := makeTar(t,
		member{name: "backup_label", content: "START", mode: 0o600},
		member{name: "tablespace_map", content: "16384 /x"},
		member{name: "log/", kind: tar.TypeDir, mode: 0o700},
		member{name: "log/old.log", content: "x"},
		member{name: "pg_wal/", kind: tar.TypeDir, mode: 0o700},
		member{name: "pg_wal/archive_status/", kind: tar.TypeDir, mode: 0o700},
		member{name: "pg_wal/archive_status/x.done"},
		member{name: "pg_tblspc/", kind: tar.TypeDir, mode: 0o700},
		member{name: "pg_tblspc/16384", kind: tar.TypeSymlink, link: "/etc"},
		member{name: "base/1/", kind: tar.TypeDir, mode: 0o750},
		member{name: "base/1/1234", content: strings.Repeat("row", 1000), mode: 0o640},
		member{name: "base/1/empty", mode: 0o600},
		member{name: "made/by/nobody", content: "x", mode: 0o600},
		member{name: "postmaster.pid", content: "1"},
		member{name: IncompleteFile, content: "not me"},
		member{name: controlFile, content: "control", mode: 0o600},
	)
	if err := baseUntar().unpack(t.Context(), bytes.NewReader(content), dir); err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			got = append(got, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	want := "backup_label base/1/1234 base/1/empty " + pendingControl + " made/by/nobody"
	if text := strings.Join(got, " "); text != want {
		t.Errorf("unpacked %s, want %s", text, want)
	}
	for _, name := range []string{"log", "pg_wal", "pg_tblspc"} {
		if entries, err := os.ReadDir(filepath.Join(dir, name)); err != nil || len(entries) > 0 {
			t.Errorf("%s: %v, %v", name, entries, err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "base/1/1234"))
	if err != nil || info.Size() != 3000 || info.Mode().Perm() != 0o640 || !info.ModTime().Equal(restoredAt) {
		t.Errorf("%+v, %v", info, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "base/1")); err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestHostileArchivesWriteNothingOutside(t *testing.T) {
	label, control := member{name: "backup_label", content: "x"}, member{name: controlFile, content: "x"}
	for name, tc := range map[string]struct {
		members []member
		want    string
	}{
		"parent":         {[]member{label, {name: "../outside", content: "x"}, control}, "leads out of the directory"},
		"hidden parent":  {[]member{label, {name: "base/../../outside", content: "x"}, control}, "leads out of the directory"},
		"absolute":       {[]member{label, {name: "/outside", content: "x"}, control}, "leads out of the directory"},
		"link":           {[]member{label, {name: "base", kind: tar.TypeSymlink, link: ".."}, {name: "base/outside", content: "x"}, control}, "files and directories only"},
		"hard link":      {[]member{label, {name: "base", kind: tar.TypeLink, link: "backup_label"}, control}, "files and directories only"},
		"device":         {[]member{label, {name: "null", kind: tar.TypeChar}, control}, "files and directories only"},
		"pipe":           {[]member{label, {name: "pipe", kind: tar.TypeFifo}, control}, "files and directories only"},
		"no label":       {[]member{control}, "the archive has no backup_label"},
		"no pg_control":  {[]member{label}, "the archive has no global/pg_control"},
		"through a link": {[]member{label, {name: "there/outside", content: "x"}, control}, "there"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			data := filepath.Join(dir, "data")
			if err := errors.Join(os.Mkdir(data, 0o700), os.Symlink("..", filepath.Join(data, "there"))); err != nil {
				t.Fatal(err)
			}
			err := baseUntar().unpack(t.Context(), bytes.NewReader(makeTar(t, tc.members...)), data)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
			if left := listDir(t, dir); len(left) != 1 {
				t.Errorf("outside of the directory: %v", left)
			}
		})
	}
}

func TestCutArchivesAreNoticedWhereverTheyAreCut(t *testing.T) {
	whole := makeTar(t, member{name: "backup_label", content: "x"}, member{name: controlFile, content: "x"},
		member{name: "one", content: strings.Repeat("a", 700)}, member{name: "two", content: "b"})
	for n := range len(whole) {
		// Everywhere would be slow and no better: at each boundary, and beside it.
		if n%tarBlock > 1 && n%tarBlock < tarBlock-1 {
			continue
		}
		if err := baseUntar().unpack(t.Context(), bytes.NewReader(whole[:n]), t.TempDir()); err == nil {
			t.Errorf("cut to %d of %d bytes: no error", n, len(whole))
		}
	}
	damaged := bytes.Clone(whole)
	damaged[2*tarBlock] ^= 1 // the name of pg_control, which the header's checksum covers
	if err := baseUntar().unpack(t.Context(), bytes.NewReader(damaged), t.TempDir()); err == nil || !strings.Contains(err.Error(), "cut short or damaged") {
		t.Errorf("a damaged header: %v", err)
	}
}

func TestExcludedPatternsAreAnchored(t *testing.T) {
	for name, want := range map[string]bool{
		"log/x": true, "log/deep/er": true, "log": false, "base/log/x": false, "postmaster.pid": true, "base/postmaster.pid": false,
		"pg_wal/000000010000000000000001": true, "pg_wal": false, "pg_tblspc/16384": true, "pg_tblspc": false, "global/pg_control": false,
	} {
		if got := matches(unpackedExclude, name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
