package catalog

import (
	"cmp"
	"errors"
	"io/fs"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Unreadable is a backup whose file cannot be read or understood.
type Unreadable struct {
	ID string
	// Path is the file.
	Path string
	// Err names the file, and the line and key if the fault is in one.
	Err error
}

// List reads all backups. A file that cannot be understood does not hide the others: it is in Backups.Unreadable. The
// error is only for a directory that cannot be listed.
//
// It costs one listing of meta/ and base/ and one read for each backup.
func (c *Catalog) List() (*Backups, error) {
	paths, err := c.infoPaths()
	if err != nil {
		return nil, err
	}
	type result struct {
		info *BackupInfo
		err  error
	}
	ids := make([]string, 0, len(paths))
	for id := range paths {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	results := make([]result, len(ids))
	parallel(len(ids), func(i int, buf []byte) {
		results[i].info, results[i].err = c.loadFile(ids[i], paths[ids[i]], buf)
	})
	list := &Backups{server: c.Layout.Server, byID: make(map[string]*BackupInfo, len(ids))}
	for i, r := range results {
		switch {
		case errors.Is(r.err, fs.ErrNotExist):
			// Deleted since the listing.
		case r.err != nil:
			list.Unreadable = append(list.Unreadable, Unreadable{ID: ids[i], Path: paths[ids[i]], Err: r.err})
		default:
			list.All = append(list.All, r.info)
			list.byID[r.info.ID] = r.info
		}
	}
	return list, nil
}

// infoPaths finds the file that counts for each backup.
func (c *Catalog) infoPaths() (map[string]string, error) {
	metaNames, err := listNames(c.Layout.Meta())
	if err != nil {
		return nil, err
	}
	baseNames, err := listNames(c.Layout.Base)
	if err != nil {
		return nil, err
	}
	paths := make(map[string]string, len(metaNames))
	for _, name := range metaNames {
		if id, ok := idOfInfoName(name); ok {
			paths[id] = c.Layout.InfoPath(id)
		}
	}
	for _, id := range baseNames {
		if paths[id] != "" || !ValidID(id) {
			continue
		}
		legacy := c.Layout.LegacyInfoPath(id)
		if found, err := exists(legacy); err == nil && found {
			paths[id] = legacy
		}
	}
	return paths, nil
}

// parallel calls f for 0 … n−1, from as many goroutines as there are processors when that pays. Each goroutine has
// its own buf.
func parallel(n int, f func(i int, buf []byte)) {
	workers := max(1, min(runtime.GOMAXPROCS(0), n/16))
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			buf := make([]byte, smallFile)
			for i := w; i < n; i += workers {
				f(i, buf)
			}
		})
	}
	wait.Wait()
}

// Backups are the backups of a server at one moment. Nothing here reads or writes files.
type Backups struct {
	// All are in ascending order of their ids, which is their order in time.
	All []*BackupInfo
	// Unreadable are the others, in the same order.
	Unreadable []Unreadable

	server string
	byID   map[string]*BackupInfo
}

// NewBackups makes a list of backups that were read in another way.
func NewBackups(server string, infos ...*BackupInfo) *Backups {
	list := &Backups{server: server, All: slices.Clone(infos), byID: make(map[string]*BackupInfo, len(infos))}
	slices.SortFunc(list.All, func(a, b *BackupInfo) int { return cmp.Compare(a.ID, b.ID) })
	for _, b := range list.All {
		list.byID[b.ID] = b
	}
	return list
}

// Get returns the backup of an id, nil when there is none that could be read.
func (l *Backups) Get(id string) *BackupInfo { return l.byID[id] }

// With returns the backups that have one of the statuses, ascending.
func (l *Backups) With(statuses ...Status) []*BackupInfo {
	var found []*BackupInfo
	for _, b := range l.All {
		if b.Status.In(statuses...) {
			found = append(found, b)
		}
	}
	return found
}

// First returns the oldest backup that has one of the statuses, nil if there is none.
func (l *Backups) First(statuses ...Status) *BackupInfo { return l.Next("", statuses...) }

// Last returns the newest backup that has one of the statuses, nil if there is none.
func (l *Backups) Last(statuses ...Status) *BackupInfo {
	for _, b := range slices.Backward(l.All) {
		if b.Status.In(statuses...) {
			return b
		}
	}
	return nil
}

// Previous returns the newest backup before id that has one of the statuses, nil if there is none. id itself need not
// exist.
func (l *Backups) Previous(id string, statuses ...Status) *BackupInfo {
	for _, b := range slices.Backward(l.All) {
		if b.ID < id && b.Status.In(statuses...) {
			return b
		}
	}
	return nil
}

// Next returns the oldest backup after id that has one of the statuses, nil if there is none. id itself need not
// exist.
func (l *Backups) Next(id string, statuses ...Status) *BackupInfo {
	for _, b := range l.All {
		if b.ID > id && b.Status.In(statuses...) {
			return b
		}
	}
	return nil
}

// At is the list as far as it existed at a moment: without the backups that ended later, and without those that began
// later when their end is not known. Their ids are in local time.
func (l *Backups) At(t time.Time) *Backups {
	limit := t.Local().Format(idLayout)
	return l.filter(func(b *BackupInfo) bool {
		if b.EndTime.IsZero() {
			return b.ID <= limit
		}
		return !b.EndTime.After(t)
	})
}

// filter is the list of those backups for which keep is true.
func (l *Backups) filter(keep func(*BackupInfo) bool) *Backups {
	rest := &Backups{Unreadable: l.Unreadable, server: l.server, byID: make(map[string]*BackupInfo, len(l.All))}
	for _, b := range l.All {
		if keep(b) {
			rest.All = append(rest.All, b)
			rest.byID[b.ID] = b
		}
	}
	return rest
}
