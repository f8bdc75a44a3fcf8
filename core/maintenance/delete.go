package maintenance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/lock"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/core/retention"
)

// Delete deletes a backup because somebody asked for it, with all incremental backups that depend on it. A backup that
// is kept, or that minimum_redundancy needs, is refused with ErrRefused. Nothing is deleted when somebody reads one of
// them. The caller holds the server's backup lock.
//
// Other errors: catalog.ErrNoBackup; lock.ErrBusy; *hook.AbortError or another error of the hooks; those of the file
// system, after which the next Enforce, or the next Delete, completes what was begun.
func (k *Keeper) Delete(ctx context.Context, id string) error {
	list, keeps, err := k.backups()
	if err != nil {
		return err
	}
	b := list.Get(id)
	if b == nil {
		for _, u := range list.Unreadable {
			if u.ID == id {
				return u.Err
			}
		}
		return fmt.Errorf("%w: %s", catalog.ErrNoBackup, id)
	}
	chain := append(list.Descendants(id), b)
	for _, one := range chain {
		if err := k.mayDelete(one.ID, list, keeps); err != nil {
			return err
		}
	}
	locks, err := k.lockBackups(ctx, chain)
	if err != nil {
		return err
	}
	defer releaseAll(locks)
	if len(chain) > 1 {
		k.Out.Warning("Backup %s has incremental backups which depend on it. Deleting all backups in the tree", id)
	}
	for i, one := range chain {
		if err := k.deleteLocked(ctx, locks[i], one.ID, false); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keeper) mayDelete(id string, list *catalog.Backups, keeps map[string]catalog.Keep) error {
	marked, err := k.Catalog.Marked()
	if err != nil {
		return err
	}
	err = retention.CheckDelete(id, list.ForRetention(keeps, marked, ""), k.MinimumRedundancy)
	var minimum *retention.MinimumRedundancyError
	switch {
	case errors.As(err, new(*retention.KeptError)):
		return k.refuseKept(id)
	case errors.As(err, &minimum):
		k.Out.Warning("Skipping delete of backup %s for server %s due to minimum redundancy requirements "+
			"(minimum redundancy = %d, current redundancy = %d)", id, k.Server, minimum.Minimum, minimum.Current)
		return ErrRefused
	}
	return err
}

func (k *Keeper) refuseKept(id string) error {
	k.Out.Warning("Skipping delete of backup %s for server %s as it has a current keep request. "+
		"If you really want to delete this backup please remove the keep and try again.", id, k.Server)
	return ErrRefused
}

// deleteLocked deletes one backup, as it is now, whose lock l the caller has taken. One that is gone already is fine.
func (k *Keeper) deleteLocked(ctx context.Context, l *lock.Lock, id string, byRetention bool) error {
	b, err := k.Catalog.Load(id)
	if err == nil {
		err = k.remove(ctx, b, byRetention)
	}
	if err != nil && !errors.Is(err, catalog.ErrNoBackup) {
		_ = l.Release()
		if errors.Is(err, ErrRefused) {
			return err
		}
		return fmt.Errorf("delete backup %s: %w", id, err)
	}
	return l.Remove() // the backup is gone, and nobody will ask for its lock again
}

// remove removes one backup, or what an interrupted delete left of it. See the package comment for the order and its
// reasons.
func (k *Keeper) remove(ctx context.Context, b *catalog.BackupInfo, byRetention bool) error {
	start := k.Now()
	if err := k.Hooks.PreDelete(ctx, b); err != nil {
		return err
	}
	// Hooks may take long, and keep takes no lock.
	keep, err := k.Catalog.KeepOf(b.ID)
	if err != nil {
		return err
	}
	if keep != catalog.KeepNone {
		return k.refuseKept(b.ID)
	}
	list, keeps, err := k.backups()
	if err != nil {
		return err
	}
	if byRetention {
		if err := k.refuseGrowing(b.ID, list); err != nil {
			return err
		}
	}
	resumed, err := k.condemn(b.ID)
	if err != nil {
		return err
	}
	next := list.Next(b.ID, catalog.Usable...)
	k.Out.Info("Deleting backup %s for server %s", b.ID, k.Server)
	if err := k.removeContent(b.ID); err != nil {
		return err
	}
	removal, reason := list.RemovableWALs(b.ID, keeps, byRetention)
	if err := k.removeBackupWAL(ctx, removal, reason, resumed); err != nil {
		return err
	}
	if err := k.Catalog.DeleteInfo(b.ID); err != nil {
		return err
	}
	if err := k.Catalog.UnmarkDelete(b.ID); err != nil {
		return err
	}
	k.announceDeleted(b.ID, start)
	if b.ParentID != "" {
		if err := k.Catalog.RemoveChild(b.ParentID, b.ID); err != nil && !errors.Is(err, catalog.ErrNoBackup) {
			return err
		}
	}
	k.remeasure(ctx, next)
	k.Hooks.PostDelete(ctx, b)
	return nil
}

// refuseGrowing refuses to delete what a backup depends on that has begun since the policy was asked.
func (k *Keeper) refuseGrowing(id string, list *catalog.Backups) error {
	running := k.running(list)
	for _, b := range list.Descendants(id) {
		if b.ID == running {
			k.Out.Warning("Skipping delete of backup %s for server %s: incremental backup %s, which depends on it, is being taken",
				id, k.Server, running)
			return ErrRefused
		}
	}
	return nil
}

// condemn records that the backup is being deleted, before anything of it is removed. resumed tells that an earlier
// delete was interrupted.
func (k *Keeper) condemn(id string) (resumed bool, err error) {
	if resumed, err = k.Catalog.MarkedForDelete(id); err != nil {
		return resumed, err
	}
	if err := k.Catalog.MarkDelete(id); err != nil {
		return resumed, err
	}
	b, err := k.Catalog.Load(id)
	if err != nil {
		return resumed, err
	}
	if b.Status != catalog.StatusFailed {
		if err := b.Fail("its delete began and was not completed"); err != nil {
			return resumed, err
		}
	}
	// In any case: a description in the legacy place, which goes with the content, gets a copy in meta/.
	return resumed, k.Catalog.Save(b)
}

func (k *Keeper) announceDeleted(id string, start time.Time) {
	k.Out.Info("Deleted backup %s (start time: %s, elapsed time: %s)",
		id, report.CTime(start.Local()), report.Duration(k.Now().Sub(start)))
}

// Busy turns the lock error of a delete of the backup id into Barman's message, which names the backup whose lock it is.
func Busy(err error, server, id string) string {
	var busy *lock.BusyError
	if !errors.As(err, &busy) {
		return ""
	}
	if busy.Name.BackupID != "" {
		id = busy.Name.BackupID
	}
	return fmt.Sprintf("Another process is holding the lock for backup %s of server %s: %s", id, server, busy.Holder)
}
