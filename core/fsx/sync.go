package fsx

import (
	"os"

	"golang.org/x/sys/unix"
)

// SyncFile makes the content and metadata of a file durable. It does not make its name durable: see SyncDir.
//
// A file descriptor opened only for this is enough: the kernel reports an error of an earlier write-back to the first
// fsync after it, through whichever descriptor (Linux 4.17 and later).
func SyncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return wrap("open", path, err)
	}
	defer f.Close() //nolint:errcheck // nothing was written through it
	return Sync(f)
}

// SyncDir makes the names in a directory durable: those created, renamed and removed there before.
func SyncDir(dir string) error {
	// O_DIRECTORY, so that a file put in its place is an error and not a success that means nothing.
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return wrap("open", dir, err)
	}
	defer f.Close() //nolint:errcheck // nothing was written through it
	return Sync(f)
}

// Sync is fsync of an open file. Its errors match ErrSync.
func Sync(f *os.File) error {
	if err := f.Sync(); err != nil {
		return &syncError{wrap("fsync", f.Name(), err)}
	}
	return nil
}
