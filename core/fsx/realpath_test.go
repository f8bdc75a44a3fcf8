package fsx

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRealPaths(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "a/b/c"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"abs": filepath.Join(dir, "a/b"), "a/rel": "b/c", "a/b/up": "../../abs/c", "link": "abs", "a/behind": "../abs/../b", "dangling": "a/none/x",
		"loop": "pool", "pool": "loop",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	real := RealPaths{}
	for _, path := range []string{"", "a", "abs", "abs/c", "link/c", "a/rel", "a/b/up", "link/up", "a/behind", "a/behind/c", "a/../abs"} {
		path = filepath.Join(dir, path)
		want, err := filepath.EvalSymlinks(path)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // what is remembered, too
			if got := real.Of(path); got != want {
				t.Errorf("%s is %s, want %s", path, got, want)
			}
		}
	}
	for path, want := range map[string]string{
		"none": "none", "none/x": "none/x", "abs/none": "a/b/none", "dangling": "a/none/x", "dangling/y": "a/none/x/y",
	} {
		if got := real.Of(filepath.Join(dir, path)); got != filepath.Join(dir, want) {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	if got := real.Of(filepath.Join(dir, "loop/x")); filepath.Base(got) != "x" {
		t.Errorf("a circle of links leads to %s", got)
	}
}
