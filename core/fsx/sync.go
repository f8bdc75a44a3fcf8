package fsx

import (
	"errors"
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

// SyncData is fdatasync of an open file: its content, and of its metadata what is needed to read it. For a file whose size and
// blocks do not change that is enough, and cheaper. Its errors match ErrSync.
func SyncData(f *os.File) error {
	if err := retry(func() error { return unix.Fdatasync(int(f.Fd())) }); err != nil {
		return &syncError{wrap("fdatasync", f.Name(), err)}
	}
	return nil
}

// BeginWriteback asks the kernel to write a part of a file to the disk now, without waiting for it, so that a later fsync has less to do.
// It makes nothing durable, and is no more than a hint: what fails here is reported by the fsync.
func BeginWriteback(f *os.File, offset, length int64) {
	_ = unix.SyncFileRange(int(f.Fd()), offset, length, unix.SYNC_FILE_RANGE_WRITE)
}

// Allocate makes a file size bytes long, filled with zeros behind what it holds, with all its space set aside: writing inside it
// cannot fail for want of space on file systems that overwrite in place. It makes nothing durable.
func Allocate(f *os.File, size int64) error {
	err := retry(func() error { return unix.Fallocate(int(f.Fd()), 0, 0, size) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		err = fillWithZeros(f, size)
	}
	return wrap("allocate", f.Name(), err)
}

// fillWithZeros is Allocate for file systems that cannot do it by themselves.
func fillWithZeros(f *os.File, size int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	zeros := make([]byte, min(size, 1<<20))
	for at := info.Size(); at < size; {
		n, err := f.WriteAt(zeros[:min(size-at, int64(len(zeros)))], at)
		if err != nil {
			return err
		}
		at += int64(n)
	}
	return nil
}
