package maintenance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/lock"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/core/retention"
)

// Delete deletes a backup because somebody asked for it, with all incremental backups that depend on it. A backup that
// is kept, or that minimum_redundancy needs, is refused with ErrRefused. The caller holds the server's backup lock.
func (k *Keeper) Delete(ctx context.Context, id string) error {
	list, keeps, err := k.backups()
	if err != nil {
		return err
	}
	b := list.Get(id)
	if b == nil {
		return fmt.Errorf("%w: %s", catalog.ErrNoBackup, id)
	}
	if err := k.mayDelete(id, list, keeps); err != nil {
		return err
	}
	chain := append(list.Descendants(id), b)
	if len(chain) > 1 {
		k.Out.Warning("Backup %s has incremental backups which depend on it. Deleting all backups in the tree", id)
	}
	for _, one := range chain {
		if err := k.lockedDelete(ctx, one, false); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keeper) mayDelete(id string, list *catalog.Backups, keeps map[string]catalog.Keep) error {
	err := retention.CheckDelete(id, list.ForRetention(keeps, k.running(list)), k.MinimumRedundancy)
	var kept *retention.KeptError
	var minimum *retention.MinimumRedundancyError
	switch {
	case errors.As(err, &kept):
		k.Out.Warning("Skipping delete of backup %s for server %s as it has a current keep request. "+
			"If you really want to delete this backup please remove the keep and try again.", id, k.Server)
	case errors.As(err, &minimum):
		k.Out.Warning("Skipping delete of backup %s for server %s due to minimum redundancy requirements "+
			"(minimum redundancy = %d, current redundancy = %d)", id, k.Server, minimum.Minimum, minimum.Current)
	default:
		return err
	}
	return ErrRefused
}

// remove removes one backup. See the package comment for the order and its reasons.
func (k *Keeper) remove(ctx context.Context, b *catalog.BackupInfo, byRetention bool) error {
	start := k.Now()
	if err := k.Hooks.PreDelete(ctx, b); err != nil {
		return err
	}
	list, keeps, err := k.backups()
	if err != nil {
		return err
	}
	next := list.Next(b.ID, catalog.Usable...)
	removal, reason := list.RemovableWALs(b.ID, keeps, byRetention)
	if err := k.Catalog.MarkDelete(b.ID); err != nil {
		return err
	}
	k.Out.Info("Deleting backup %s for server %s", b.ID, k.Server)
	if err := k.removeContent(b.ID); err != nil {
		return err
	}
	if removal == nil {
		k.Log.Debug("no WAL files are removed", "server", k.Server, "backup", b.ID, "reason", reason)
	} else {
		k.Out.Info("Delete associated WAL segments:")
		if err := k.removeWAL(ctx, removal, func(name string) { k.Out.Info("\t%s", name) }); err != nil {
			return err
		}
	}
	if err := k.Catalog.DeleteInfo(b.ID); err != nil {
		return err
	}
	if err := k.Catalog.UnmarkDelete(b.ID); err != nil {
		return err
	}
	k.Out.Info("Deleted backup %s (start time: %s, elapsed time: %s)",
		b.ID, report.CTime(start.Local()), report.Duration(k.Now().Sub(start)))
	if b.ParentID != "" {
		if err := k.Catalog.RemoveChild(b.ParentID, b.ID); err != nil && !errors.Is(err, catalog.ErrNoBackup) {
			return err
		}
	}
	k.remeasure(ctx, next)
	k.Hooks.PostDelete(ctx, b)
	return nil
}

// removeContent removes base/ID. Its name goes first, in one step: what is left of it by a crash is out of the way of a
// backup that gets the same id.
func (k *Keeper) removeContent(id string) error {
	dir := k.Catalog.Layout.BackupPath(id)
	doomed := dir + ".deleting"
	err := fsx.Rename(dir, doomed)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.RemoveAll(doomed); err != nil {
		return err
	}
	return fsx.SyncDir(k.Catalog.Layout.Base)
}

// removeWAL takes files off the index and then removes them: a file without a line is harmless, a line without a file is
// not. Hooks run without the index being locked, so they may call barman.
func (k *Keeper) removeWAL(ctx context.Context, removal *catalog.WALRemoval, each func(name string)) error {
	dropped, bad, err := k.Index.Rewrite(ctx, func(line catalog.WALLine) bool { return !removal.Removes(line.File) })
	if err != nil {
		return err
	}
	for _, line := range bad {
		k.Out.Warning("%s", line)
	}
	return catalog.RemoveWALFiles(ctx, k.Catalog.Layout, dropped, func(r catalog.WALRecord, remove func() error) error {
		if err := k.Hooks.PreWALDelete(ctx, r); err != nil {
			return err
		}
		err := remove()
		if err == nil {
			each(r.Name)
		}
		k.Hooks.PostWALDelete(ctx, r, err)
		return err
	})
}

// remeasure corrects the sizes of the next backup: files that it shared with the deleted one are its own now.
func (k *Keeper) remeasure(ctx context.Context, next *catalog.BackupInfo) {
	if next == nil || next.Type() != catalog.TypeRsync {
		return
	}
	size, err := fsx.TreeSize(ctx, k.Catalog.Layout.BackupPath(next.ID))
	if err == nil {
		_, err = k.Catalog.Update(next.ID, func(b *catalog.BackupInfo) error {
			b.Size, b.DeduplicatedSize = catalog.Int(size.Bytes), catalog.Int(size.Deduplicated)
			return nil
		})
	}
	if err != nil {
		k.Log.Warn("cannot measure the next backup again", "server", k.Server, "backup", next.ID, "error", err)
	}
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

// Busy turns the lock error of a delete into Barman's message.
func Busy(err error, server, id string) string {
	var busy *lock.BusyError
	if !errors.As(err, &busy) {
		return ""
	}
	return fmt.Sprintf("Another process is holding the lock for backup %s of server %s: %s", id, server, busy.Holder)
}
