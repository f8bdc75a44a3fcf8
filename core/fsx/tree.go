package fsx

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Tree is a directory tree that is about to be filled by somebody and must be durable afterwards.
//
// Opening it first matters: the kernel tells each open descriptor of a file system about write-back errors that
// happened since it was opened. A descriptor opened only afterwards may miss an error that another process has been
// told about.
type Tree struct {
	dir *os.File
}

// OpenTree opens an existing directory. The caller closes the tree.
func OpenTree(dir string) (*Tree, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, wrap("open", dir, err)
	}
	return &Tree{dir: f}, nil
}

// Close ends the watch. A second call is an error.
func (t *Tree) Close() error { return t.dir.Close() }

// Sync makes everything below the directory durable: contents and names. It asks the kernel to write back the whole
// file system that holds it (syncfs), which takes one call instead of one per file; on kernels before 5.8, whose
// syncfs keeps errors to itself, and where syncfs is missing, it opens and syncs each file and directory.
//
// File systems mounted below the directory and targets of symbolic links are not covered. The name of the directory
// itself is its parent's business. Once syncfs runs, ctx cannot interrupt it.
func (t *Tree) Sync(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if !syncfsReportsErrors() {
		return syncTreeByWalk(ctx, t.dir.Name())
	}
	err := retry(func() error { return unix.Syncfs(int(t.dir.Fd())) })
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return syncTreeByWalk(ctx, t.dir.Name())
	case err != nil:
		return &syncError{wrap("syncfs", t.dir.Name(), err)}
	}
	return nil
}

// SyncTree is OpenTree and Sync, for a tree that this process alone has written just before.
func SyncTree(ctx context.Context, dir string) error {
	tree, err := OpenTree(dir)
	if err != nil {
		return err
	}
	defer tree.Close() //nolint:errcheck // nothing was written through it
	return tree.Sync(ctx)
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
	group.Go(func() error { return SyncDir(dir) })
	err := Walk(ctx, dir, func(path string, entry fs.DirEntry) error {
		switch {
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
	// Bytes is the sum of the lengths of all regular files. A file with several names in the tree counts once per
	// name, a sparse one in full: it is what a copy would move.
	Bytes int64
	// Deduplicated is the same over files with a single name: what the tree takes for itself when it shares unchanged
	// files with other backups through hard links.
	Deduplicated int64
	// Files is the number of regular files.
	Files int64
}

// TreeSize measures a directory tree in one walk, without following symbolic links. Files that vanish meanwhile do
// not count.
func TreeSize(ctx context.Context, dir string) (Size, error) {
	var total Size
	err := Walk(ctx, dir, func(path string, entry fs.DirEntry) error {
		if !entry.Type().IsRegular() {
			return nil
		}
		var st unix.Stat_t
		err := retry(func() error { return unix.Lstat(path, &st) })
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
