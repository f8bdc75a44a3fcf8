package filecopy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/barman-go/barman/sdk/transfer"
)

// analysis is what the listing of an item's source said.
type analysis struct {
	// plain are the files that rsync may judge by size and time, check those to compare by content.
	plain, check *spool
	files, bytes int64
	// linked and linkedBytes are those files that are in no list, because they were linked.
	linked, linkedBytes int64
	linker              *linker
	progress            *part
}

func (a *analysis) close() error {
	var errs []error
	for _, s := range []*spool{a.plain, a.check} {
		if s != nil {
			errs = append(errs, s.close())
		}
	}
	return errors.Join(errs...)
}

// analyse lists the item's source and sorts its files into lists on disk.
func (s *session) analyse(ctx context.Context, item *itemState) (*analysis, error) {
	begin := time.Now()
	defer func() { item.analysis += time.Since(begin) }()
	known := s.earlierCopies(item)
	var a *analysis
	_, err := s.rsync(ctx, run{
		item: item, args: listing(&s.control, &item.Item),
		restart: func() (err error) {
			if a != nil {
				a.progress.set(0, 0)
				if err := a.close(); err != nil {
					return err
				}
			}
			// What an attempt that failed has linked may be gone from the source by now.
			item.relisted = a != nil
			a, err = s.newAnalysis(item)
			return err
		},
		each: func(line []byte) error {
			e, err := parseEntry(line)
			if err != nil {
				return fmt.Errorf("list of %s: %w", item.Label, err)
			}
			return a.take(e, known)
		},
	})
	if err == nil {
		err = a.finish()
	}
	if err != nil {
		if a != nil {
			err = errors.Join(err, a.close())
		}
		return nil, err
	}
	return a, nil
}

func (s *session) newAnalysis(item *itemState) (_ *analysis, err error) {
	a := &analysis{linker: s.newLinker(item), progress: s.meter.part(item.Label)}
	list := func(name string) string { return filepath.Join(s.dir, fmt.Sprintf("%d-%s.list", item.index, name)) }
	if a.plain, err = newSpool(list("plain")); err != nil {
		return nil, err
	}
	if a.check, err = newSpool(list("check")); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

// take puts a file in its list. Directories are made by makeTree; sockets, pipes and devices are not data of PostgreSQL.
func (a *analysis) take(e entry, known earlier) error {
	if e.mode[0] != '-' {
		return nil
	}
	a.files++
	a.bytes += e.size
	if a.linker.link(e) {
		a.linked++
		a.linkedBytes += e.size
		a.progress.set(a.linked, a.linkedBytes)
		return nil
	}
	if known.mustCompare(e) {
		return a.check.add(e.name, e.size)
	}
	return a.plain.add(e.name, e.size)
}

func (a *analysis) finish() error {
	for _, s := range []*spool{a.plain, a.check} {
		if err := s.finish(); err != nil {
			return err
		}
		largestFirst(s.units)
	}
	return nil
}

// earlier is where copies of files may already be.
type earlier struct {
	// dirs are on this host.
	dirs []string
	// unseen means that the destination is on another host and not empty: each file may be there, unchanged by its looks.
	unseen bool
	// horizon is in seconds since 1970; older files are trusted. Zero trusts none.
	horizon int64
}

func (s *session) earlierCopies(item *itemState) earlier {
	var k earlier
	if !item.SafeHorizon.IsZero() {
		k.horizon = item.SafeHorizon.Unix()
	}
	if s.plan.Direction == transfer.Put {
		k.unseen = item.hasContent || item.reuses()
		return k
	}
	if item.hasContent {
		k.dirs = append(k.dirs, item.Destination)
	}
	if item.reuses() {
		k.dirs = append(k.dirs, item.ReuseDirectory)
	}
	return k
}

func (k earlier) none() bool { return len(k.dirs) == 0 && !k.unseen }

// mustCompare applies the rule of the safe horizon: a file that looks unchanged but is younger may have been written in the
// same second, or while the earlier backup ran, by changes that were in WAL which is not replayed here.
func (k earlier) mustCompare(e entry) bool {
	// Both are cut to seconds, so a file of the horizon's own second counts as younger.
	if k.horizon != 0 && e.mtime < k.horizon {
		return false
	}
	if k.unseen {
		return true
	}
	for _, dir := range k.dirs {
		info, err := os.Lstat(dir + "/" + e.name)
		if err == nil && info.Mode().IsRegular() && info.Size() == e.size && info.ModTime().Unix() == e.mtime {
			return true
		}
	}
	return false
}
