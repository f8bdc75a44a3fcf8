package faultfs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func mounted(t *testing.T) (d *Disk, dir string) {
	t.Helper()
	backing, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(backing, "old"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	return Mount(t, backing, dir), dir
}

func TestTheLogHasWhatChangesInOrder(t *testing.T) {
	d, dir := mounted(t)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	check(os.Mkdir(filepath.Join(dir, "a"), 0o700|os.ModeSticky))
	if info, err := os.Stat(filepath.Join(dir, "a")); err != nil || info.Mode() != os.ModeDir|os.ModeSticky|0o700 {
		t.Errorf("%v, %v", info, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "a", "f"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	check(err)
	for _, text := range []string{"one", "two"} {
		_, err = f.WriteString(text)
		check(err)
	}
	check(f.Sync())
	check(f.Truncate(4))
	check(f.Close())
	check(os.Link(filepath.Join(dir, "a", "f"), filepath.Join(dir, "g")))
	check(os.Rename(filepath.Join(dir, "g"), filepath.Join(dir, "old")))
	d.Mark("here")
	parent, err := os.Open(dir)
	check(err)
	check(parent.Sync())
	check(parent.Close())
	check(os.Remove(filepath.Join(dir, "a", "f")))
	check(os.Remove(filepath.Join(dir, "a")))
	content, err := os.ReadFile(filepath.Join(dir, "old"))
	if check(err); string(content) != "onet" {
		t.Errorf("%q", content)
	}

	var got []string
	for _, op := range d.Log() {
		if op.Kind != SetAttr {
			got = append(got, op.String())
		}
	}
	want := []string{
		"mkdir a", "create a/f", "write a/f [0, 3)", "write a/f [3, 6)", "fsync a/f", "truncate a/f to 4", "link g", "rename g to old", "-- here",
		"fsync of a directory ", "unlink a/f", "rmdir a",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if base := d.Base(); string(base.Files[base.Dirs[base.Root]["old"]]) != "old" {
		t.Errorf("%+v", base)
	}
}

func TestARefusedOperationChangesNothing(t *testing.T) {
	d, dir := mounted(t)
	d.Before(func(op Op) syscall.Errno {
		if op.Kind == Sync || op.Kind == Create && strings.HasSuffix(op.Path, "full") {
			return syscall.ENOSPC
		}
		return 0
	})
	if err := os.WriteFile(filepath.Join(dir, "full"), nil, 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "full")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	f, err := os.Open(filepath.Join(dir, "old"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	d.Before(nil)
	if log := d.Log(); len(log) != 2 || log[1].Err != syscall.ENOSPC {
		t.Errorf("%v", log)
	}
}
