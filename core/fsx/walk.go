package fsx

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// walkBatch is how many names of a directory are in memory at a time.
const walkBatch = 1024

// Walk visits everything below dir, a directory before what it holds, in the order that the file system has; it follows no symbolic
// links. Unlike filepath.WalkDir it reads a directory in pieces, so that one with a million files takes no more memory than another.
// Directories below dir that vanish meanwhile are passed over. The first error of visit ends the walk and is returned as it is.
func Walk(ctx context.Context, dir string, visit func(path string, entry fs.DirEntry) error) error {
	d, err := os.Open(dir)
	if err != nil {
		return wrap("open", dir, err)
	}
	below, err := walkOne(ctx, d, visit)
	if closeErr := d.Close(); err == nil {
		err = wrap("close", dir, closeErr)
	}
	if err != nil {
		return err
	}
	for _, path := range below {
		if err := Walk(ctx, path, visit); err != nil && !vanished(path, err) {
			return err
		}
	}
	return nil
}

// walkOne visits the entries of one directory and returns which of them are directories.
func walkOne(ctx context.Context, d *os.File, visit func(path string, entry fs.DirEntry) error) (below []string, err error) {
	for {
		entries, err := d.ReadDir(walkBatch)
		for _, entry := range entries {
			path := filepath.Join(d.Name(), entry.Name())
			if err := visit(path, entry); err != nil {
				return nil, err
			}
			if entry.IsDir() {
				below = append(below, path)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return below, nil
		case err != nil:
			return nil, wrap("list", d.Name(), err)
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		}
	}
}

// vanished tells whether an error means that path itself does not exist any more.
func vanished(path string, err error) bool {
	if !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	_, err = os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}
