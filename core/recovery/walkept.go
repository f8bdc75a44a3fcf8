package recovery

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/barman-go/barman/core/fsx"
)

// keepsWAL tells whether WAL files that are in the destination already may stay there when they are the right ones. Then the copy
// of the base backup has to leave their directory alone. What an interrupted restore has left is not kept: it may have been the disk
// that interrupted it, and then what is read now need not be what will be read after the next start.
func (r *restore) keepsWAL() bool {
	p := r.plan
	return !r.options.remote() && p.Way == CopyFiles && p.Delta && p.Found.Marker == nil &&
		p.WALDirectory != "" && inside(p.WALDirectory, p.Destination)
}

// dropOtherWAL removes from the WAL directory whatever a restore into an empty one would not put there. What is left may be
// right: placeWAL compares it.
func (r *restore) dropOtherWAL(files []WALFile) error {
	wanted := make(map[string]bool, len(files))
	for _, f := range files {
		wanted[f.Name] = true
	}
	entries, err := os.ReadDir(r.plan.WALDirectory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if wanted[e.Name()] && e.Type().IsRegular() {
			continue
		}
		if err := os.RemoveAll(filepath.Join(r.plan.WALDirectory, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// isThere tells whether a WAL file that needs no decoding is at the destination already, byte for byte. Size and time would not
// do: PostgreSQL writes into the files that it finds.
func (r *restore) isThere(f WALFile, dest string) bool {
	if !r.keepsWAL() {
		return false
	}
	info, err := os.Lstat(dest)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Nlink != 1 {
		return false // PostgreSQL will write into it, and somebody else has it, too
	}
	same, err := fsx.EqualFiles(f.Path, dest)
	return err == nil && same
}
