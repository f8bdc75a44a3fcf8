package maintenance

import (
	"context"
	"errors"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/lock"
	"github.com/barman-go/barman/core/retention"
)

// Verdicts applies the retention policy to a catalog.
func (k *Keeper) Verdicts(list *catalog.Backups, keeps map[string]catalog.Keep) *retention.Report {
	return retention.Evaluate(k.Policy, list.ForRetention(keeps, k.running(list)), k.MinimumRedundancy, k.Now())
}

// Enforce deletes the backups that the policy does not need any more, and completes deletes that were interrupted.
func (k *Keeper) Enforce(ctx context.Context) error {
	if err := k.resumeDeletes(ctx); err != nil {
		return err
	}
	list, keeps, err := k.backups()
	if err != nil {
		return err
	}
	for _, u := range list.Unreadable {
		k.Log.Warn("backup cannot be read", "server", k.Server, "backup", u.ID, "error", u.Err)
	}
	if k.Policy.Kind == retention.None {
		return nil
	}
	verdicts := k.Verdicts(list, keeps)
	for _, text := range verdicts.Warnings {
		k.Log.Warn(text, "server", k.Server)
	}
	var errs []error
	for _, id := range verdicts.Obsolete() {
		for _, b := range append(list.Descendants(id), list.Get(id)) {
			errs = append(errs, k.expire(ctx, b))
		}
	}
	return errors.Join(errs...)
}

// expire deletes one obsolete backup, unless an earlier step has, or somebody works on it.
func (k *Keeper) expire(ctx context.Context, b *catalog.BackupInfo) error {
	if _, err := k.Catalog.Load(b.ID); errors.Is(err, catalog.ErrNoBackup) {
		return nil
	}
	k.Out.Info("Enforcing retention policy: removing backup %s for server %s", b.ID, k.Server)
	err := k.lockedDelete(ctx, b, true)
	if errors.Is(err, lock.ErrBusy) {
		k.Out.Warning("%s", Busy(err, k.Server, b.ID))
		return nil
	}
	return err
}

// resumeDeletes completes the deletes whose process died.
func (k *Keeper) resumeDeletes(ctx context.Context) error {
	list, err := k.Catalog.List()
	if err != nil {
		return err
	}
	var errs []error
	for _, b := range list.All {
		marked, err := k.Catalog.MarkedForDelete(b.ID)
		if err != nil {
			return err
		}
		if !marked {
			continue
		}
		k.Out.Info("Completing the interrupted delete of backup %s for server %s", b.ID, k.Server)
		err = k.lockedDelete(ctx, b, true)
		if !errors.Is(err, lock.ErrBusy) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
