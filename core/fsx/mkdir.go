package fsx

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// unrecorded marks a directory of which it is not certain that its parent has it on stable storage: the one that makes it may be killed
// before it has synced the parent, and nobody could tell afterwards. The sticky bit of a directory that only its owner can write to has no
// other meaning.
const unrecorded = fs.ModeSticky

// MkdirAll is os.MkdirAll, durably: every directory that it creates is recorded in its parent before the call
// returns, and so is every one that a call which was killed has created. The mode is subject to the umask. Other existing directories are
// not touched.
func MkdirAll(dir string, mode fs.FileMode) error {
	dir = filepath.Clean(dir)
	info, err := os.Stat(dir)
	switch {
	case err == nil && info.IsDir():
		if info.Mode()&unrecorded == 0 || info.Mode().Perm()&0o022 != 0 {
			return nil
		}
		return record(dir)
	case err == nil:
		return &fs.PathError{Op: "mkdir", Path: dir, Err: unix.ENOTDIR}
	case !errors.Is(err, fs.ErrNotExist):
		return wrap("stat", dir, err)
	}
	if err := MkdirAll(filepath.Dir(dir), mode); err != nil {
		return err
	}
	// Another process may create it at the same moment; both make it durable, because neither knows how far the other
	// is.
	if err := os.Mkdir(dir, mode|unrecorded); err != nil && !errors.Is(err, fs.ErrExist) {
		return wrap("mkdir", dir, err)
	}
	return record(dir)
}

// record makes the name of a new directory durable, and takes the mark away.
func record(dir string) error {
	if err := SyncDir(filepath.Dir(dir)); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode()&unrecorded == 0 {
		return wrap("stat", dir, err) // some file systems do not keep the mark
	}
	err = os.Chmod(dir, info.Mode()&^unrecorded)
	if errors.Is(err, fs.ErrPermission) {
		return nil // it is another user's, who will take the mark away
	}
	return wrap("chmod", dir, err)
}
