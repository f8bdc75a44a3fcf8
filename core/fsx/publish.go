package fsx

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Publish gives a complete temporary file its final name, replacing a file that has it, and makes content and name
// durable. On error temp is left where it is, unless the error is of the last step, the fsync of the directory: then
// the file has its final name but a crash may take it away, and the caller must not report success.
func Publish(temp, final string) error {
	// Content before name: see WriteFile.
	if err := SyncFile(temp); err != nil {
		return err
	}
	return rename(temp, final, true)
}

// PublishNew is Publish for a name that must be free: when something exists under it, the error matches fs.ErrExist
// and nothing has changed. The check and the rename are one step, so two processes cannot both succeed.
func PublishNew(temp, final string) error {
	if err := SyncFile(temp); err != nil {
		return err
	}
	return rename(temp, final, false)
}

// Rename renames a file within one file system and makes the new name durable, in that order. The content must be
// durable already. A rename to another file system fails with EXDEV: see Move.
func Rename(oldPath, newPath string) error { return rename(oldPath, newPath, true) }

func rename(oldPath, newPath string, replace bool) error {
	var err error
	if replace {
		err = os.Rename(oldPath, newPath)
	} else {
		err = renameNew(oldPath, newPath)
	}
	if err != nil {
		return wrap("rename", newPath, err)
	}
	oldDir, newDir := filepath.Dir(oldPath), filepath.Dir(newPath)
	// The new name first: if only one of the two reaches the disk, the file must have two names rather than none.
	if err := SyncDir(newDir); err != nil {
		return err
	}
	if oldDir != newDir {
		return SyncDir(oldDir)
	}
	return nil
}

// RenameNoReplace renames a file unless something has the new name already; then the error matches fs.ErrExist. It
// makes nothing durable: a Batch does that for many files at once.
func RenameNoReplace(oldPath, newPath string) error {
	return wrap("rename", newPath, renameNew(oldPath, newPath))
}

func renameNew(oldPath, newPath string) error {
	err := retry(func() error {
		return unix.Renameat2(unix.AT_FDCWD, oldPath, unix.AT_FDCWD, newPath, unix.RENAME_NOREPLACE)
	})
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		if err != nil {
			return &os.LinkError{Op: "rename", Old: oldPath, New: newPath, Err: err}
		}
		return nil
	}
	return renameNewByLink(oldPath, newPath)
}

// renameNewByLink is for file systems that know no RENAME_NOREPLACE, NFS among them. A hard link fails as atomically when the name is
// taken; a crash before the old name is removed leaves two names for one file. A directory, which can have no second name, replaces an
// empty one made for this.
func renameNewByLink(oldPath, newPath string) error {
	info, err := os.Lstat(oldPath)
	if err != nil {
		return err
	}
	if info.IsDir() {
		if err := os.Mkdir(newPath, 0o700); err != nil {
			return err
		}
		// os.Rename replaces no directory.
		return wrap("rename", newPath, retry(func() error { return unix.Rename(oldPath, newPath) }))
	}
	if err := os.Link(oldPath, newPath); err != nil {
		return err
	}
	return os.Remove(oldPath)
}

// RenameNew is Rename for a name that must be free, as PublishNew is Publish.
func RenameNew(oldPath, newPath string) error { return rename(oldPath, newPath, false) }

// Move moves a file, durably, also to another file system: there it copies to a temporary file, publishes that, and
// only then removes the source. It replaces a file that has the name. The content of the source need not be durable
// before.
func Move(source, dest string) error { return move(source, dest, true) }

// MoveNew is Move to a name that must be free, as PublishNew is Publish.
func MoveNew(source, dest string) error { return move(source, dest, false) }

func move(source, dest string, replace bool) error {
	// Content before name: see WriteFile.
	if err := SyncFile(source); err != nil {
		return err
	}
	err := rename(source, dest, replace)
	if !errors.Is(err, unix.EXDEV) {
		return err
	}
	temp := TempPath(dest)
	if err := CopyFile(source, temp, CopyOptions{Sync: true}); err != nil {
		return err
	}
	if err := rename(temp, dest, replace); err != nil {
		// temp may have been renamed already when the fsync failed.
		if removeErr := os.Remove(temp); !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
		return err
	}
	return Remove(source)
}

// Remove removes a file or an empty directory and makes that durable. A path that does not exist is fine: its
// directory is made durable all the same, since an earlier run may have stopped between the two steps.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return wrap("remove", path, err)
	}
	err := SyncDir(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // without a directory there is no name to make durable
	}
	return err
}
