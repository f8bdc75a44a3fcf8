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

// isThere tells whether a WAL file is at the destination already. One that does not look untouched since it was restored is
// compared, if it needs no decoding.
func (r *restore) isThere(f WALFile, format, dest string) bool {
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
	if r.plan.untouched(f, info) && verifyWAL(dest, f, r.plan.Backup) == nil {
		return true
	}
	if format != "" {
		return false
	}
	same, err := fsx.EqualFiles(f.Path, dest)
	return err == nil && same
}

// untouched tells whether a file at the destination has the size of a whole segment and the time of the archived one, as a restore
// leaves it. PostgreSQL sets the time when it writes; when it only gives a segment another name, the file's first page still has the
// address of the former one, which is for the caller to look at. A time without a fraction of a second is too coarse to tell, and
// what was partial may have grown since.
func (p *Plan) untouched(f WALFile, found fs.FileInfo) bool {
	archived, err := os.Stat(f.Path)
	return err == nil && !f.Partial && found.Size() == int64(p.Backup.SegmentSize) &&
		found.ModTime().Equal(archived.ModTime()) && found.ModTime().Nanosecond() != 0
}
