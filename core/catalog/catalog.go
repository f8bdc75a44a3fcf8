package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/barman-go/barman/core/fsx"
)

// ErrNoBackup means that the catalog has no backup of that id.
var ErrNoBackup = errors.New("no such backup")

// Catalog reads and changes what is recorded about the backups of one server.
//
// It takes no lock: which one protects an operation depends on the operation (the server's backup lock, the backup's
// own lock), and its caller holds it. Reading needs none, because files are only ever replaced whole. A Catalog has
// no state besides its layout and may be used by several goroutines.
type Catalog struct {
	Layout Layout
	// local is the zone of dates that have no offset.
	local *time.Location
}

// New is the catalog of one server.
func New(layout Layout) *Catalog { return &Catalog{Layout: layout, local: time.Local} }

// fileMode is that of the files of a catalog, which hold no secrets.
const (
	fileMode fs.FileMode = 0o644
	dirMode  fs.FileMode = 0o755
)

// InfoPath is the file that describes a backup: the one in meta/ if it exists, otherwise the legacy one if that
// exists, otherwise the one in meta/.
func (c *Catalog) InfoPath(id string) (string, error) {
	path := c.Layout.InfoPath(id)
	if found, err := exists(path); found || err != nil {
		return path, err
	}
	legacy := c.Layout.LegacyInfoPath(id)
	found, err := exists(legacy)
	if found {
		return legacy, err
	}
	return path, err
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Load reads one backup. The error is ErrNoBackup when the catalog does not have it, an *InfoError when its file
// cannot be understood, or one of the file system.
func (c *Catalog) Load(id string) (*BackupInfo, error) {
	if !ValidID(id) {
		return nil, fmt.Errorf("%w: %q is not a backup id such as 20260111T100000", ErrNoBackup, id)
	}
	path, err := c.InfoPath(id)
	if err != nil {
		return nil, err
	}
	b, err := c.loadFile(id, path, make([]byte, smallFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: server %s has no backup %s", ErrNoBackup, c.Layout.Server, id)
	}
	return b, err
}

// loadFile reads a file by way of buf, which it does not keep.
func (c *Catalog) loadFile(id, path string, buf []byte) (*BackupInfo, error) {
	data, err := readSmall(path, buf)
	if err != nil {
		return nil, err
	}
	b, err := DecodeInfo(id, data, c.local)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

// Save writes a backup's file durably, always in meta/. A legacy file stays where it is: the one in meta/ wins, and
// the legacy one goes with the content of the backup.
//
// Barman refuses a whole catalog in which one file has a key that it does not know, so there is no way to add one
// here.
func (c *Catalog) Save(b *BackupInfo) error {
	if !ValidID(b.ID) {
		return fmt.Errorf("%q is not a backup id such as 20260111T100000", b.ID)
	}
	if !b.Status.Valid() {
		return fmt.Errorf("backup %s: unknown status %q", b.ID, b.Status)
	}
	data, err := EncodeInfo(b)
	if err != nil {
		return err
	}
	if err := fsx.MkdirAll(c.Layout.Meta(), dirMode); err != nil {
		return err
	}
	if err := fsx.WriteFile(c.Layout.InfoPath(b.ID), data, fileMode); err != nil {
		return fmt.Errorf("saving backup %s of server %s: %w", b.ID, c.Layout.Server, err)
	}
	b.source = &infoSource{data: string(data), local: c.local}
	return nil
}

// Update loads a backup, changes it and saves it. Nothing is written when change returns an error or changes nothing.
// It does not protect against another process that does the same; see Catalog about locks.
func (c *Catalog) Update(id string, change func(*BackupInfo) error) (*BackupInfo, error) {
	b, err := c.Load(id)
	if err != nil {
		return nil, err
	}
	before := b.source.data
	if err := change(b); err != nil {
		return nil, err
	}
	after, err := EncodeInfo(b)
	if err != nil || string(after) == before {
		return b, err
	}
	return b, c.Save(b)
}

// DeleteInfo removes what describes a backup, in meta/ and in the legacy place, durably. It is the last step of a
// delete, when the content is gone; a backup that has no file is fine, so that an interrupted delete can be repeated.
func (c *Catalog) DeleteInfo(id string) error {
	if !ValidID(id) {
		return fmt.Errorf("%q is not a backup id such as 20260111T100000", id)
	}
	// The legacy file first: as soon as the one in meta/ is gone, it would count again.
	for _, path := range []string{c.Layout.LegacyInfoPath(id), c.Layout.InfoPath(id)} {
		found, err := exists(path)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		if err := fsx.Remove(path); err != nil {
			return fmt.Errorf("deleting backup %s of server %s: %w", id, c.Layout.Server, err)
		}
	}
	return nil
}

// IsOrphan tells whether a backup has a description but no content: base/ID is missing, or holds nothing but a legacy
// backup.info. That is what an interrupted delete leaves. A backup that has not begun is no orphan.
func (c *Catalog) IsOrphan(b *BackupInfo) (bool, error) {
	if b.Status == StatusEmpty {
		return false, nil
	}
	path, err := c.InfoPath(b.ID)
	if err != nil {
		return false, err
	}
	if found, err := exists(path); !found {
		return false, err
	}
	entries, err := os.ReadDir(c.Layout.BackupPath(b.ID))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return len(entries) == 1 && entries[0].Name() == legacyInfoName, nil
}

// NewID is the id of a backup that begins now: local time, to the second. At the end of daylight saving time, when
// the clock repeats an hour, and for a second backup in one second, it is the second after the newest backup, so that
// the order of ids stays the order in time.
//
// Two processes may get the same id unless they hold the server's backup lock.
func (c *Catalog) NewID(now time.Time) (string, error) {
	newest, err := c.newestID()
	if err != nil {
		return "", err
	}
	clock, err := time.Parse(idLayout, now.Format(idLayout))
	if err != nil {
		return "", err
	}
	// A newest backup more than an hour ahead is not daylight saving time but a clock that was wrong once; following
	// it would make ids lie for ever. Then only a collision is avoided.
	last, err := time.Parse(idLayout, newest)
	if err == nil && !last.Before(clock) && last.Sub(clock) <= repeatedHour {
		return last.Add(time.Second).Format(idLayout), nil
	}
	for ; ; clock = clock.Add(time.Second) {
		id := clock.Format(idLayout)
		if taken, err := c.idTaken(id); !taken {
			return id, err
		}
	}
}

// idLayout is the form of a backup id.
const idLayout = "20060102T150405"

// repeatedHour is how far a clock goes back when daylight saving time ends.
const repeatedHour = time.Hour

func (c *Catalog) newestID() (newest string, err error) {
	for _, place := range []struct {
		dir string
		id  func(name string) (string, bool)
	}{
		{c.Layout.Meta(), idOfInfoName},
		{c.Layout.Base, func(name string) (string, bool) { return name, true }},
	} {
		names, err := listNames(place.dir)
		if err != nil {
			return "", err
		}
		for _, name := range names {
			if id, ok := place.id(name); ok && ValidID(id) && id > newest {
				newest = id
			}
		}
	}
	return newest, nil
}

func (c *Catalog) idTaken(id string) (bool, error) {
	for _, path := range []string{c.Layout.InfoPath(id), c.Layout.BackupPath(id)} {
		if found, err := exists(path); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// listNames lists a directory, unsorted; one that does not exist is empty.
func listNames(dir string) ([]string, error) {
	f, err := os.Open(filepath.Clean(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	return f.Readdirnames(-1)
}
