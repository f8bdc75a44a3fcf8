package filecopy

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/barman-go/barman/sdk/transfer"
)

// linker shares unchanged files with an earlier backup by hard links while the source is being listed, so that rsync never hears
// of them: most files of most incremental backups are of this kind, and each pass of rsync over them costs more than their links.
//
// It links what rsync --link-dest would: same size, modification time (in seconds) and mode. A file that is not older than
// the safe horizon is left to rsync, which compares its content; so is everything that cannot be linked.
type linker struct {
	from, to string
	horizon  int64
	// made is the directory that was made last: a listing goes directory by directory.
	made string
}

// newLinker returns nil where links are not for us to make: there is content already, which rsync has to look at, or nothing
// may be trusted.
func (s *session) newLinker(item *itemState) *linker {
	if s.plan.Direction == transfer.Put || !item.reuses() || item.Reuse != transfer.ReuseLink || item.hasContent || item.SafeHorizon.IsZero() {
		return nil
	}
	return &linker{from: item.ReuseDirectory, to: item.Destination, horizon: item.SafeHorizon.Unix()}
}

// link shares a file and tells whether it did.
func (l *linker) link(e entry) bool {
	// Both are cut to seconds, so a file of the horizon's own second counts as younger. Names come from another host: rsync refuses
	// those that lead out of the tree, and so do we.
	if l == nil || e.mtime >= l.horizon || !filepath.IsLocal(e.name) {
		return false
	}
	from, to := l.from+"/"+e.name, l.to+"/"+e.name
	info, err := os.Lstat(from)
	if err != nil || info.Size() != e.size || info.ModTime().Unix() != e.mtime || info.Mode().String() != e.mode {
		return false
	}
	if dir := filepath.Dir(to); dir != l.made {
		// makeTree gives it its mode and time.
		if os.MkdirAll(dir, 0o700) != nil {
			return false
		}
		l.made = dir
	}
	err = os.Link(from, to)
	if errors.Is(err, fs.ErrExist) {
		// Of an attempt before this one.
		there, lerr := os.Lstat(to)
		return lerr == nil && os.SameFile(info, there)
	}
	return err == nil // too many links, for one; rsync falls back to a copy
}
