package maintenance

import (
	"context"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/lock"
)

// deleteExpired deletes one backup for the retention policy or to complete a delete. One that is being read, or whose
// WAL may be, is left for the next time with lock.ErrBusy.
func (k *Keeper) deleteExpired(ctx context.Context, id string) error {
	l, err := k.lockBackup(ctx, id)
	if err != nil {
		return err
	}
	list, keeps, err := k.backups()
	if err != nil {
		releaseAll([]*lock.Lock{l})
		return err
	}
	readers, err := k.lockBackups(ctx, steppedOver(id, list, keeps))
	if err != nil {
		releaseAll([]*lock.Lock{l})
		return err
	}
	defer releaseAll(readers)
	return k.deleteLocked(ctx, l, id, true)
}

// steppedOver are the standalone backups before id, of whose WAL retention leaves only their own segments when id goes. A
// restore of one to a later target reads the rest, too. All other backups protect their WAL by being in the catalog.
func steppedOver(id string, list *catalog.Backups, keeps map[string]catalog.Keep) []*catalog.BackupInfo {
	var found []*catalog.BackupInfo
	for b := list.Previous(id, catalog.Usable...); b != nil && keeps[b.ID] == catalog.KeepStandalone; b = list.Previous(b.ID, catalog.Usable...) {
		found = append(found, b)
	}
	return found
}

// lockBackup takes the lock of a backup, which whoever reads it shares.
func (k *Keeper) lockBackup(ctx context.Context, id string) (*lock.Lock, error) {
	return lock.Acquire(ctx, k.LockDir, lock.ForBackup(lock.BackupID, k.Server, id), false)
}

// lockBackups takes the locks of all of the backups, or of none.
func (k *Keeper) lockBackups(ctx context.Context, backups []*catalog.BackupInfo) ([]*lock.Lock, error) {
	locks := make([]*lock.Lock, 0, len(backups))
	for _, b := range backups {
		l, err := k.lockBackup(ctx, b.ID)
		if err != nil {
			releaseAll(locks)
			return nil, err
		}
		locks = append(locks, l)
	}
	return locks, nil
}

// releaseAll gives locks back; those that are released already stay so.
func releaseAll(locks []*lock.Lock) {
	for _, l := range locks {
		_ = l.Release() // closing gives it back in any case
	}
}
