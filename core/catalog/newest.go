package catalog

import (
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/barman-go/barman/core/wal"
)

// NewestSegments are the highest complete segments in the archive, by timeline. It looks at the directories, a few of
// them, and not at the index.
func (c *Catalog) NewestSegments() (map[wal.TimelineID]wal.Segment, error) {
	dirs, err := listNames(c.Layout.WALs)
	if err != nil {
		return nil, err
	}
	slices.Sort(dirs)
	newest := make(map[wal.TimelineID]wal.Segment)
	for _, dir := range slices.Backward(dirs) {
		// The first name that a directory can hold tells its timeline.
		first, err := wal.ParseSegment(dir + "00000000")
		if err != nil {
			continue
		}
		if _, found := newest[first.Timeline]; found {
			continue
		}
		segment, err := c.newestIn(dir, first.Timeline)
		if err != nil {
			return nil, err
		}
		if segment != (wal.Segment{}) {
			newest[first.Timeline] = segment
		}
	}
	return newest, nil
}

// newestSegment finds the highest archived segment of a timeline, and when its directory was last changed, which is
// when something was last archived there.
func (c *Catalog) newestSegment(tli wal.TimelineID) (newest wal.Segment, changed time.Time, err error) {
	all, err := c.NewestSegments()
	if err != nil || all[tli] == (wal.Segment{}) {
		return newest, changed, err
	}
	newest = all[tli]
	info, err := os.Stat(filepath.Join(c.Layout.WALs, newest.HashDir()))
	if err != nil {
		return newest, changed, err
	}
	return newest, info.ModTime(), nil
}

// newestIn is the highest segment of a timeline in a directory of the archive; zero when there is none.
func (c *Catalog) newestIn(dir string, tli wal.TimelineID) (newest wal.Segment, err error) {
	names, err := listNames(filepath.Join(c.Layout.WALs, dir))
	for _, name := range names {
		segment, err := wal.ParseSegment(name)
		if err == nil && segment.Timeline == tli && segment.Compare(newest) > 0 {
			newest = segment
		}
	}
	return newest, err
}
