package fsx

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// FreeBytes is what this user may still write on the file system that holds path, or that would hold it: for a path
// that does not exist, its nearest existing parent counts.
func FreeBytes(path string) (int64, error) {
	space, err := SpaceOf(path)
	return space.Free, err
}

// Space is that of a file system, in bytes.
type Space struct {
	// Free is what this user may still write, Total the size.
	Free, Total int64
	// Compresses tells that the file system may store more bytes than it has: its kind can compress, or share blocks.
	Compresses bool
}

// compressing are the magic numbers of file systems that can compress (statfs(2)).
var compressing = []int64{unix.BTRFS_SUPER_MAGIC, 0x2fc12fc1 /* ZFS */, 0xca451a4e /* bcachefs */}

// SpaceOf looks at the file system that holds path, or that would hold it, as FreeBytes does.
func SpaceOf(path string) (Space, error) {
	var st unix.Statfs_t
	for {
		err := retry(func() error { return unix.Statfs(path, &st) })
		if err == nil {
			break
		}
		parent := filepath.Dir(path)
		if !errors.Is(err, fs.ErrNotExist) || parent == path {
			return Space{}, wrap("statfs", path, err)
		}
		path = parent
	}
	unit := uint64(st.Bsize)
	if st.Frsize > 0 {
		unit = uint64(st.Frsize)
	}
	bytes := func(blocks uint64) int64 {
		if blocks > math.MaxInt64/unit {
			return math.MaxInt64
		}
		return int64(blocks * unit)
	}
	return Space{
		Free: bytes(st.Bavail), Total: bytes(st.Blocks), Compresses: slices.Contains(compressing, int64(uint32(st.Type))),
	}, nil
}

// SameFileSystem tells whether two existing paths are on one file system, so that rename and hard links work between
// them. Some file systems refuse even then (bind mounts, subvolumes): be ready for EXDEV.
func SameFileSystem(a, b string) (bool, error) {
	var stA, stB unix.Stat_t
	if err := retry(func() error { return unix.Stat(a, &stA) }); err != nil {
		return false, wrap("stat", a, err)
	}
	if err := retry(func() error { return unix.Stat(b, &stB) }); err != nil {
		return false, wrap("stat", b, err)
	}
	return stA.Dev == stB.Dev, nil
}

// IsEmptyDir tells whether a directory has no entries, hidden ones included. A path that is missing or not a
// directory is an error.
func IsEmptyDir(dir string) (bool, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return false, wrap("open", dir, err)
	}
	defer f.Close() //nolint:errcheck // nothing was written through it
	_, err = f.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	return false, wrap("list", dir, err)
}

// EqualFiles tells whether two regular files have the same content. It reads both, unless their lengths differ or
// they are one file; equal times prove nothing.
func EqualFiles(a, b string) (bool, error) {
	fileA, infoA, err := openRegular(a)
	if err != nil {
		return false, err
	}
	defer fileA.Close() //nolint:errcheck // nothing was written through it
	fileB, infoB, err := openRegular(b)
	if err != nil {
		return false, err
	}
	defer fileB.Close() //nolint:errcheck // nothing was written through it
	if os.SameFile(infoA, infoB) {
		return true, nil
	}
	if infoA.Size() != infoB.Size() {
		return false, nil
	}
	return equalContent(fileA, fileB)
}

func openRegular(path string) (*os.File, fs.FileInfo, error) {
	// O_NONBLOCK: a FIFO put in the place of a file must not hang us.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, wrap("open", path, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		return nil, nil, errors.Join(wrap("read", path, err), f.Close())
	}
	return f, info, nil
}

func equalContent(a, b *os.File) (bool, error) {
	const chunk = 256 << 10
	bufA, bufB := make([]byte, chunk), make([]byte, chunk)
	for {
		nA, errA := io.ReadFull(a, bufA)
		if errA != nil && !errors.Is(errA, io.EOF) && !errors.Is(errA, io.ErrUnexpectedEOF) {
			return false, wrap("read", a.Name(), errA)
		}
		nB, errB := io.ReadFull(b, bufB)
		if errB != nil && !errors.Is(errB, io.EOF) && !errors.Is(errB, io.ErrUnexpectedEOF) {
			return false, wrap("read", b.Name(), errB)
		}
		if !bytes.Equal(bufA[:nA], bufB[:nB]) {
			return false, nil
		}
		if errA != nil || errB != nil {
			// A short read is the end of the file; the lengths were equal, so both end here.
			return (errA != nil) == (errB != nil), nil
		}
	}
}
