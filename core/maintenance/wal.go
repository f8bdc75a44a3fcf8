package maintenance

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/wal"
)

// removeBackupWAL removes the WAL that goes with a backup; removal is nil when none does, and reason says why.
func (k *Keeper) removeBackupWAL(ctx context.Context, removal *catalog.WALRemoval, reason string, resumed bool) error {
	if removal == nil {
		k.Log.Debug("no WAL files are removed", "server", k.Server, "reason", reason)
		return nil
	}
	k.Out.Info("Delete associated WAL segments:")
	each := func(name string) { k.Out.Info("\t%s", name) }
	if err := k.removeWAL(ctx, removal, each); err != nil {
		return err
	}
	if !resumed {
		return nil
	}
	// The delete that was interrupted had taken files off the index that it did not come to remove.
	unlisted, err := k.unlisted(removal)
	if err != nil {
		return err
	}
	return k.removeFiles(ctx, unlisted, each)
}

// removeWAL takes files off the index and then removes them: a file without a line is harmless, a line without a file is
// not. Hooks run without the index being locked, so they may call barman.
func (k *Keeper) removeWAL(ctx context.Context, removal *catalog.WALRemoval, each func(name string)) error {
	dropped, bad, err := k.Index.Rewrite(ctx, func(line *catalog.WALLine) bool { return !removal.Removes(line.File) })
	if err != nil {
		return err
	}
	for _, line := range bad {
		k.Out.Warning("%s", line)
	}
	return k.removeFiles(ctx, dropped, each)
}

// removeWorkers is how many files are removed at the same time when no hook wants to know of each.
const removeWorkers = 8

// removeFiles removes files of the archive. A hook that forbids one ends it: the rest stays. A file that cannot be removed
// is reported and does no harm.
func (k *Keeper) removeFiles(ctx context.Context, records []catalog.WALRecord, each func(name string)) error {
	if !k.Hooks.HasWALDelete() {
		return k.removeAtOnce(ctx, records, each)
	}
	var stopped error
	return catalog.RemoveWALFiles(ctx, k.Catalog.Layout, records, 1, func(r catalog.WALRecord, remove func() error) error {
		if stopped != nil {
			return nil
		}
		if stopped = k.Hooks.PreWALDelete(ctx, r); stopped != nil {
			return stopped
		}
		err := k.removed(r, remove(), each)
		k.Hooks.PostWALDelete(ctx, r, err)
		return nil
	})
}

// removeAtOnce removes several files at a time, and reports them in order.
func (k *Keeper) removeAtOnce(ctx context.Context, records []catalog.WALRecord, each func(name string)) error {
	var mu sync.Mutex
	outcomes := make(map[string]error, len(records))
	err := catalog.RemoveWALFiles(ctx, k.Catalog.Layout, records, removeWorkers, func(r catalog.WALRecord, remove func() error) error {
		err := remove()
		mu.Lock()
		defer mu.Unlock()
		outcomes[r.Name] = err
		return nil
	})
	for _, r := range records {
		if err, tried := outcomes[r.Name]; tried {
			_ = k.removed(r, err, each)
		}
	}
	return err
}

// removed reports how the removal of a file ended.
func (k *Keeper) removed(r catalog.WALRecord, err error, each func(name string)) error {
	if err == nil {
		each(r.Name)
		return nil
	}
	err = fmt.Errorf("Ignoring deletion of WAL file %s for server %s: %w", r.Name, k.Server, err)
	k.Out.Warning("%s", err)
	return err
}

// unlisted finds files in the archive that go with a removal, after the index has been rewritten for it.
func (k *Keeper) unlisted(removal *catalog.WALRemoval) ([]catalog.WALRecord, error) {
	dirs, err := os.ReadDir(k.Catalog.Layout.WALs)
	if err != nil {
		return nil, err
	}
	var found []catalog.WALRecord
	for _, dir := range dirs {
		// The first name that a directory can hold tells whether any of its files can go.
		first, err := wal.ParseFileName(dir.Name() + "00000000")
		if err != nil || !dir.IsDir() || !removal.Removes(first) && len(removal.Ranges) == 0 {
			continue
		}
		entries, err := os.ReadDir(filepath.Join(k.Catalog.Layout.WALs, dir.Name()))
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			name, err := wal.ParseFileName(e.Name())
			if err != nil || !e.Type().IsRegular() || !removal.Removes(name) {
				continue
			}
			record, err := k.Index.Describe(k.Catalog.Layout.WALPath(name))
			if err != nil {
				return nil, err
			}
			found = append(found, record)
		}
	}
	return found, nil
}

// PurgeBeforeFirst removes WAL that was archived before the first usable backup, which no recovery can use. It does
// nothing unless the backup is usable and the first one.
func (k *Keeper) PurgeBeforeFirst(ctx context.Context, id string) error {
	list, err := k.Catalog.List()
	if err != nil {
		return err
	}
	removal, reason := list.WALsBeforeFirst(id)
	if removal == nil {
		k.Log.Debug("no WAL files are removed", "server", k.Server, "backup", id, "reason", reason)
		return nil
	}
	announced := false
	return k.removeWAL(ctx, removal, func(name string) {
		if !announced {
			k.Out.Info("WAL segments preceding the current backup have been found:")
			announced = true
		}
		k.Out.Info("\t%s from server %s has been removed", name, k.Server)
	})
}
