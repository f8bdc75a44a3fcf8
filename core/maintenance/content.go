package maintenance

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
)

// removeContent removes base/ID. Its name goes first, in one step, so that what a crash leaves of it is not taken for a
// backup by anybody. The new name begins with a dot: Barman looks for backups of old versions in base/*/backup.info.
func (k *Keeper) removeContent(id string) error {
	dir := k.Catalog.Layout.BackupPath(id)
	// The description has a copy in meta/ by now. It must not vanish and come back with the directory.
	if err := fsx.Remove(k.Catalog.Layout.LegacyInfoPath(id)); err != nil {
		return err
	}
	doomed := filepath.Join(filepath.Dir(dir), "."+id+".deleting")
	if err := os.RemoveAll(doomed); err != nil {
		return err
	}
	if err := fsx.Rename(dir, doomed); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.RemoveAll(doomed); err != nil {
		return err
	}
	return fsx.SyncDir(filepath.Dir(dir))
}

// remeasure corrects the sizes of the next backup: files that it shared with the deleted one are its own now. They are
// for people only, so a failure is not one of the delete.
func (k *Keeper) remeasure(ctx context.Context, next *catalog.BackupInfo) {
	if next == nil || next.Type() != catalog.TypeRsync {
		return
	}
	size, err := fsx.TreeSize(ctx, k.Catalog.Layout.BackupPath(next.ID))
	if err == nil {
		err = k.locked(ctx, next.ID, func() error {
			_, err := k.Catalog.Update(next.ID, func(b *catalog.BackupInfo) error {
				b.Size, b.DeduplicatedSize = catalog.Int(size.Bytes), catalog.Int(size.Deduplicated)
				return nil
			})
			return err
		})
	}
	if err != nil {
		k.Log.Warn("cannot measure the next backup again", "server", k.Server, "backup", next.ID, "error", err)
	}
}

// locked runs f with the lock of a backup.
func (k *Keeper) locked(ctx context.Context, id string, f func() error) error {
	l, err := k.lockBackup(ctx, id)
	if err != nil {
		return err
	}
	return errors.Join(f(), l.Release())
}
