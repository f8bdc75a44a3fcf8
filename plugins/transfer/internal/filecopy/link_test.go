package filecopy

import (
	"os"
	"path/filepath"
	"testing"
)

// TestLinkerStaysInTheTree: a name that leads out makes no link, although the file it leads to has everything that it should have.
func TestLinkerStaysInTheTree(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "1", "data"), filepath.Join(dir, "new", "2", "data")
	for _, d := range []string{from, to} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]bool{"inside": true, "../outside": false} {
		path := filepath.Join(from, name)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		l := &linker{from: from, to: to, horizon: info.ModTime().Unix() + 1}
		got := l.link(entry{mode: info.Mode().String(), size: info.Size(), mtime: info.ModTime().Unix(), name: name})
		if _, err := os.Lstat(filepath.Join(to, name)); got != want || (err == nil) != want {
			t.Errorf("%s: linked %t (error %v), want %t", name, got, err, want)
		}
	}
}
