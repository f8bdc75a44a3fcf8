package fsx

import (
	"errors"
	"io/fs"
	"os"
)

// WriteFile replaces the content of path, or creates it, so that readers and a crash see the old content or the new
// one. The file gets exactly the given mode.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	f, err := CreateTemp(path, mode)
	if err != nil {
		return err
	}
	temp := f.Name()
	_, err = f.Write(data)
	if err == nil {
		// Before the rename: otherwise the file system may store the new name before the content, and a crash in
		// between replaces a good file by an empty one.
		err = Sync(f)
	}
	// Close reports what a network file system kept back.
	if err = errors.Join(wrap("write", temp, err), wrap("close", temp, f.Close())); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	if err := rename(temp, path, true); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return nil
}
