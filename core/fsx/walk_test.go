package fsx

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestWalkVisitsEverythingOnce(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for i := range 2*walkBatch + 1 {
		want = append(want, filepath.Join(dir, fmt.Sprint(i)))
	}
	for _, path := range want {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sub := filepath.Join(dir, "sub", "below")
	if err := errors.Join(os.MkdirAll(sub, 0o700), os.Symlink(dir, filepath.Join(sub, "link"))); err != nil {
		t.Fatal(err)
	}
	want = append(want, filepath.Dir(sub), sub, filepath.Join(sub, "link"))
	var got []string
	err := Walk(t.Context(), dir, func(path string, entry fs.DirEntry) error {
		if parent := filepath.Dir(path); parent != dir && !slices.Contains(got, parent) {
			t.Errorf("%s comes before its directory", path)
		}
		got = append(got, path)
		return nil
	})
	slices.Sort(want)
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%d paths, want %d (%v)", len(got), len(want), err)
	}
}

func TestWalkPassesOverDirectoriesThatVanish(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		if err := os.MkdirAll(filepath.Join(dir, name, "below"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	visits := 0
	err := Walk(t.Context(), dir, func(path string, _ fs.DirEntry) error {
		if visits++; filepath.Dir(path) == dir {
			return os.RemoveAll(path)
		}
		return nil
	})
	if err != nil || visits != 3 {
		t.Errorf("%d visits (%v)", visits, err)
	}
	if err := Walk(t.Context(), filepath.Join(dir, "a"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
	stop := errors.New("stop")
	if err := Walk(t.Context(), filepath.Dir(dir), func(string, fs.DirEntry) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the error of a visit is %v", err)
	}
}
