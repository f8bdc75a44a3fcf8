package fsx

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, list(t, dir)); diff != "" {
		t.Errorf("%s: -want +got:\n%s", dir, diff)
	}
}

func TestWriteFileReplacesContentAndMode(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "f"), "old and longer")
	old := unix.Umask(0o077)
	err := WriteFile(path, []byte("new"), 0o644)
	unix.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); got != "new" || info.Mode() != 0o644 {
		t.Errorf("content %q, mode %v", got, info.Mode())
	}
	wantNames(t, dir, "f")
}

func TestWriteFileLeavesNothingBehindWhenItFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.MkdirAll(filepath.Join(path, "x"), 0o700); err != nil { // a directory cannot be replaced by a file
		t.Fatal(err)
	}
	if err := WriteFile(path, []byte("new"), 0o644); err == nil {
		t.Error("wrote over a directory")
	}
	wantNames(t, dir, "f")
	if err := WriteFile(filepath.Join(dir, "none", "f"), nil, 0o644); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
}

func TestPublishNewNeverReplaces(t *testing.T) {
	dir := t.TempDir()
	temp, final := write(t, filepath.Join(dir, "temp"), "second"), write(t, filepath.Join(dir, "final"), "first")
	if err := PublishNew(temp, final); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("got %v, want ErrExist", err)
	}
	if read(t, final) != "first" || read(t, temp) != "second" {
		t.Error("a refused PublishNew changed something")
	}
	if err := Publish(temp, final); err != nil {
		t.Fatal(err)
	}
	if got := read(t, final); got != "second" {
		t.Errorf("content %q", got)
	}
	wantNames(t, dir, "final")
}

func TestPublishNewTakesAFreeName(t *testing.T) {
	dir := t.TempDir()
	temp := write(t, filepath.Join(dir, "temp"), "x")
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := PublishNew(temp, filepath.Join(dir, "sub", "final")); err != nil {
		t.Fatal(err)
	}
	wantNames(t, filepath.Join(dir, "sub"), "final")
}

func TestMkdirAll(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // the second time everything exists
		if err := MkdirAll(filepath.Join(dir, "a", "b", "c"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "a", "file"), "")
	for _, bad := range []string{"a/file", "a/file/x"} {
		if err := MkdirAll(filepath.Join(dir, bad), 0o700); !errors.Is(err, unix.ENOTDIR) {
			t.Errorf("%s: %v, want ENOTDIR", bad, err)
		}
	}
}

func TestRemove(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "f"), "")
	for range 2 { // a missing file is fine
		if err := Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := Remove(filepath.Join(dir, "none", "f")); err != nil {
		t.Errorf("in a missing directory: %v", err)
	}
	write(t, path, "")
	if err := Remove(dir); err == nil {
		t.Error("removed a directory that is not empty")
	}
}

func TestTempNames(t *testing.T) {
	dir := t.TempDir()
	final := filepath.Join(dir, "000000010000000000000002.00000028.backup")
	f, err := CreateTemp(final, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o640 || filepath.Dir(f.Name()) != dir {
		t.Errorf("%s with mode %v", f.Name(), info.Mode())
	}
	name, pid, ok := ParseTempName(filepath.Base(f.Name()))
	if !ok || name != filepath.Base(final) || pid != os.Getpid() {
		t.Errorf("ParseTempName(%q) = %q, %d, %v", f.Name(), name, pid, ok)
	}
	long := filepath.Join(dir, string(bytes.Repeat([]byte("x"), 255)))
	g, err := CreateTemp(long, 0o600)
	if err != nil {
		t.Fatalf("long name: %v", err)
	}
	defer g.Close()
	if _, _, ok := ParseTempName(filepath.Base(g.Name())); !ok {
		t.Errorf("%q is not recognised", g.Name())
	}
}

func TestParseTempNameRefusesOtherFiles(t *testing.T) {
	for _, name := range []string{
		"", ".tmp", "x.tmp", ".x.tmp", ".4711-00112233.tmp", ".x.4711-0011223.tmp", ".x.4711-0011223g.tmp", ".x.-1-00112233.tmp",
		".x.0-00112233.tmp", "x.4711-00112233.tmp", ".x.4711-00112233", ".4711-000000010000000000000002",
	} {
		if final, pid, ok := ParseTempName(name); ok {
			t.Errorf("ParseTempName(%q) = %q, %d", name, final, pid)
		}
	}
}

func FuzzParseTempName(f *testing.F) {
	f.Add(".x.4711-00112233.tmp")
	f.Add("..1-ffffffff.tmp")
	f.Fuzz(func(t *testing.T, name string) {
		final, pid, ok := ParseTempName(name)
		if ok && (final == "" || pid <= 0 || name[0] != '.') {
			t.Errorf("ParseTempName(%q) = %q, %d", name, final, pid)
		}
	})
}

func TestCopyFileKeepsContentModeAndTime(t *testing.T) {
	dir := t.TempDir()
	source := write(t, filepath.Join(dir, "source"), string(bytes.Repeat([]byte("wal "), 300_000)))
	when := time.Date(2025, 1, 1, 11, 0, 0, 123456789, time.UTC)
	if err := os.Chmod(source, 0o440); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(source, when, when); err != nil {
		t.Fatal(err)
	}
	dest := filepath.Join(dir, "dest")
	if err := CopyFile(source, dest, CopyOptions{Sync: true}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(dest)
	if err != nil {
		t.Fatal(err)
	}
	if !info.ModTime().Equal(when) || info.Mode() != 0o440 {
		t.Errorf("time %v, mode %v", info.ModTime(), info.Mode())
	}
	if equal, err := EqualFiles(source, dest); err != nil || !equal {
		t.Errorf("EqualFiles = %v, %v", equal, err)
	}
	if err := CopyFile(source, dest, CopyOptions{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("copy over an existing file: %v", err)
	}
	if err := CopyFile(dir, dest+"2", CopyOptions{}); err == nil {
		t.Error("copied a directory")
	}
}

func TestCopyFileRemovesItsDestinationWhenCancelled(t *testing.T) {
	dir := t.TempDir()
	source := write(t, filepath.Join(dir, "source"), "x")
	ctx, cancel := contextWithCause(errors.New("enough"))
	cancel()
	err := CopyFile(source, filepath.Join(dir, "dest"), CopyOptions{Context: ctx})
	if err == nil {
		t.Skip("this file system shares blocks, so nothing was left to cancel")
	}
	if err.Error() != "copy "+source+": enough" {
		t.Errorf("got %v", err)
	}
	wantNames(t, dir, "source")
}

func TestEqualFilesReadsInsteadOfTrustingTimes(t *testing.T) {
	dir := t.TempDir()
	big := bytes.Repeat([]byte("x"), 600_000)
	a, b := write(t, filepath.Join(dir, "a"), string(big)), filepath.Join(dir, "b")
	big[len(big)-1] = 'y'
	write(t, b, string(big))
	when := time.Now()
	for _, path := range []string{a, b} {
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	c := write(t, filepath.Join(dir, "c"), "short")
	for _, tt := range []struct {
		x, y string
		want bool
	}{{a, a, true}, {a, b, false}, {a, c, false}, {c, a, false}} {
		if got, err := EqualFiles(tt.x, tt.y); err != nil || got != tt.want {
			t.Errorf("EqualFiles(%s, %s) = %v, %v", tt.x, tt.y, got, err)
		}
	}
	if _, err := EqualFiles(a, filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestIsEmptyDir(t *testing.T) {
	dir := t.TempDir()
	if empty, err := IsEmptyDir(dir); err != nil || !empty {
		t.Errorf("empty: %v, %v", empty, err)
	}
	hidden := write(t, filepath.Join(dir, ".hidden"), "")
	if empty, err := IsEmptyDir(dir); err != nil || empty {
		t.Errorf("with a hidden file: %v, %v", empty, err)
	}
	if _, err := IsEmptyDir(hidden); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("file: %v", err)
	}
}

func TestFreeBytesOfAPathThatDoesNotExistYet(t *testing.T) {
	if free, err := FreeBytes(filepath.Join(t.TempDir(), "a", "b")); err != nil || free <= 0 {
		t.Errorf("%d, %v", free, err)
	}
}

func TestSweepRemovesOnlyLeftovers(t *testing.T) {
	dir := t.TempDir()
	mine, err := CreateTemp(filepath.Join(dir, "mine"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	const deadPID = "4194304" // the kernel never gives out a number this high
	write(t, filepath.Join(dir, ".dead."+deadPID+"-00112233.tmp"), "")
	write(t, filepath.Join(dir, ".init.1-00112233.tmp"), "")
	write(t, filepath.Join(dir, "000000010000000000000002"), "")
	write(t, filepath.Join(dir, "new.tmp"), "")
	old := write(t, filepath.Join(dir, "old.tmp"), "")
	hourAgo := time.Now().Add(-time.Hour)
	if err := os.Chtimes(old, hourAgo, hourAgo); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, ".dir."+deadPID+"-00112233.tmp"), 0o700); err != nil {
		t.Fatal(err)
	}

	removed, err := Sweep(dir, OwnerDead, OlderThan(hourAgo.Add(time.Minute), "*.tmp"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{".dead." + deadPID + "-00112233.tmp", "old.tmp"}, removed); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	removed, err = Sweep(dir, AnyTemp)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{".init.1-00112233.tmp"}, removed); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if removed, err := Sweep(filepath.Join(dir, "none"), AnyTemp); err != nil || removed != nil {
		t.Errorf("missing directory: %v, %v", removed, err)
	}
}

func TestMkdirAllCompletesWhatAKilledOneBegan(t *testing.T) {
	mode := func(path string) os.FileMode {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode()
	}
	begun, shared := filepath.Join(t.TempDir(), "begun"), filepath.Join(t.TempDir(), "shared")
	for path, bits := range map[string]os.FileMode{begun: 0o750 | os.ModeSticky, shared: 0o777 | os.ModeSticky} {
		if err := errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, bits), MkdirAll(filepath.Join(path, "sub"), 0o755)); err != nil {
			t.Fatal(err)
		}
		if got := mode(filepath.Join(path, "sub")); got&os.ModeSticky != 0 {
			t.Errorf("%s/sub has mode %v", path, got)
		}
	}
	if got := mode(begun); got != os.ModeDir|0o750 {
		t.Errorf("the mark is still there: %v", got)
	}
	if got := mode(shared); got != os.ModeDir|os.ModeSticky|0o777 {
		t.Errorf("a directory for everybody was changed to %v", got)
	}
}

func TestRedirtyChangesNothingThatCanBeSeen(t *testing.T) {
	at := time.Unix(1735725600, 500000000)
	for _, size := range []int{0, 1, 1 << 20, 1<<20 + 7, 3 << 20} {
		content := strings.Repeat("0123456789abcdef", size/16+1)[:size]
		path := write(t, filepath.Join(t.TempDir(), "f"), content)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		if err := Redirty(path); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != content {
			t.Errorf("%d bytes: %d afterwards, %v", size, len(got), err)
		}
		info, err := os.Stat(path)
		if err != nil || !info.ModTime().Equal(at) {
			t.Errorf("the time is %v, %v", info.ModTime(), err)
		}
	}
}

func TestRenameNewByLinkReplacesNothing(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	write(t, path("file"), "file")
	write(t, path("taken"), "taken")
	if err := errors.Join(os.MkdirAll(path("old/sub"), 0o755), os.Mkdir(path("empty"), 0o755)); err != nil {
		t.Fatal(err)
	}
	for old, moved := range map[string]string{"file": "file2", "old": "old2"} {
		for _, taken := range []string{"taken", "empty"} {
			if err := renameNewByLink(path(old), path(taken)); !errors.Is(err, fs.ErrExist) {
				t.Errorf("%s to %s: %v", old, taken, err)
			}
		}
		if err := renameNewByLink(path(old), path(moved)); err != nil {
			t.Error(err)
		}
	}
	wantNames(t, dir, "empty", "file2", "old2", "taken")
	wantNames(t, path("old2"), "sub")
}
