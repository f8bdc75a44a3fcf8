package fsx

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// SyncTree makes everything below dir durable: contents and names. It asks the kernel to write back the whole file system
// that holds dir (syncfs), which takes one call instead of one per file; on kernels before 5.8, whose syncfs keeps errors
// to itself, and where syncfs is missing, it opens and syncs each file and directory.
//
// File systems mounted below dir and targets of symbolic links are not covered. The name of dir itself is its parent's business.
func SyncTree(ctx context.Context, dir string) error {
	if !syncfsReportsErrors() {
		return syncTreeByWalk(ctx, dir)
	}
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return wrap("open", dir, err)
	}
	defer f.Close() //nolint:errcheck // nothing was written through it
	if err := ctx.Err(); err != nil {
		return err
	}
	// The descriptor must be open before: syncfs reports errors that happened since it was opened, and an earlier error of a
	// file below dir has been seen by whoever wrote that file, or is reported by the fsync of the batch.
	err = retry(func() error { return unix.Syncfs(int(f.Fd())) })
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return syncTreeByWalk(ctx, dir)
	case err != nil:
		return wrap("syncfs", dir, &syncError{err})
	}
	return nil
}

// syncfsReportsErrors is true from Linux 5.8 on.
func syncfsReportsErrors() bool {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return false
	}
	return releaseAtLeast(unix.ByteSliceToString(name.Release[:]), 5, 8)
}

// releaseAtLeast compares a kernel release such as "5.10.0-28-amd64"; one it cannot read counts as old.
func releaseAtLeast(release string, major, minor int) bool {
	first, rest, _ := strings.Cut(release, ".")
	second := rest
	if i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		second = rest[:i]
	}
	gotMajor, errMajor := strconv.Atoi(first)
	gotMinor, errMinor := strconv.Atoi(second)
	if errMajor != nil || errMinor != nil {
		return false
	}
	return gotMajor > major || (gotMajor == major && gotMinor >= minor)
}

func syncTreeByWalk(ctx context.Context, dir string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(syncParallel)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil {
			err = context.Cause(ctx)
		}
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			group.Go(func() error { return SyncDir(path) })
		case entry.Type().IsRegular():
			group.Go(func() error { return SyncFile(path) })
		}
		return nil // the name of a symbolic link, its only content, is synced with its directory
	})
	if groupErr := group.Wait(); groupErr != nil {
		return groupErr
	}
	return wrap("walk", dir, err)
}

// Size is how much a directory tree holds.
type Size struct {
	// Bytes is the sum of the lengths of all regular files. A file with several names in the tree counts once per name, a sparse
	// one in full: it is what a copy would move.
	Bytes int64
	// Deduplicated is the same over files with a single name: what the tree takes for itself when it shares unchanged files
	// with other backups through hard links.
	Deduplicated int64
	// Files is the number of regular files.
	Files int64
}

// TreeSize measures a directory tree in one walk, without following symbolic links. Files that vanish meanwhile do not
// count.
func TreeSize(ctx context.Context, dir string) (Size, error) {
	var total Size
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != dir {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		var st unix.Stat_t
		err = retry(func() error { return unix.Lstat(path, &st) })
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return wrap("lstat", path, err)
		}
		total.Files++
		total.Bytes += st.Size
		if st.Nlink == 1 {
			total.Deduplicated += st.Size
		}
		return nil
	})
	if err != nil {
		return Size{}, wrap("walk", dir, err)
	}
	return total, nil
}
