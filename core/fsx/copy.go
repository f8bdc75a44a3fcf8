package fsx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// copyChunk is how much is copied between two looks at the context.
const copyChunk = 64 << 20

// CopyOptions adjust CopyFile. The zero value is a plain copy.
type CopyOptions struct {
	// Context ends a long copy early; nil means never.
	Context context.Context
	// Sync makes the content durable before CopyFile returns. The name is not: the caller renames, or syncs the
	// directory.
	Sync bool
}

// CopyFile copies a regular file with its mode and modification time to dest, which must not exist. The file system
// shares the blocks where it can (reflink), or copies inside the kernel; otherwise bytes pass through this process.
// On error dest is removed.
func CopyFile(source, dest string, opts CopyOptions) error {
	in, info, err := openRegular(source)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // nothing was written through it
	// 0600 until the content is complete and the mode is set.
	out, err := os.OpenFile(dest, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return wrap("create", dest, err)
	}
	err = copyContent(out, in, info, opts)
	if err = errors.Join(err, wrap("close", dest, out.Close())); err != nil {
		return errors.Join(err, os.Remove(dest))
	}
	return nil
}

func copyContent(out, in *os.File, info fs.FileInfo, opts CopyOptions) error {
	ctx := opts.Context
	if ctx == nil {
		ctx = context.Background()
	}
	if !reflink(out, in) {
		if err := copyBytes(ctx, out, in); err != nil {
			return err
		}
		// The disk may begin at once: whoever makes this durable then waits for less. It is a hint; errors of the disk are
		// told to whoever syncs.
		_ = unix.SyncFileRange(int(out.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
	}
	if err := out.Chmod(info.Mode().Perm()); err != nil {
		return wrap("chmod", out.Name(), err)
	}
	// After the last write, which would change it again. The zero time leaves the access time alone.
	if err := os.Chtimes(out.Name(), time.Time{}, info.ModTime()); err != nil {
		return wrap("set times of", out.Name(), err)
	}
	if opts.Sync {
		// After the metadata, so that one fsync covers both.
		return Sync(out)
	}
	return nil
}

// reflink tells whether out now shares all blocks of in. That it cannot is normal: most file systems do not have it.
func reflink(out, in *os.File) bool {
	return retry(func() error { return unix.IoctlFileClone(int(out.Fd()), int(in.Fd())) }) == nil
}

// copyBytes copies until the end of in. io.CopyN between files uses copy_file_range where it works.
func copyBytes(ctx context.Context, out, in *os.File) error {
	for {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("copy %s: %w", in.Name(), context.Cause(ctx))
		}
		_, err := io.CopyN(out, in, copyChunk)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return wrap("copy to", out.Name(), err)
		}
	}
}
