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
	return retention.Evaluate(k.Policy, k.examined(list, keeps), k.MinimumRedundancy, k.Now())
}

// examined is what the policy looks at. A backup that is marked for deletion does not count any more, unless it is kept.
func (k *Keeper) examined(list *catalog.Backups, keeps map[string]catalog.Keep) []retention.Backup {
	backups := list.ForRetention(keeps, k.running(list))
	for i := range backups {
		b := &backups[i]
		if b.Keep != retention.KeepNone {
			continue
		}
		if marked, err := k.Catalog.MarkedForDelete(b.ID); err != nil {
			k.Log.Warn("cannot tell whether a backup is being deleted", "server", k.Server, "backup", b.ID, "error", err)
		} else if marked {
			b.Done = false
		}
	}
	return backups
}

// Enforce deletes the backups that the policy does not need any more, and completes deletes that were interrupted. What
// cannot be deleted does not keep the rest; the errors are joined.
func (k *Keeper) Enforce(ctx context.Context) error {
	errs := []error{k.resumeDeletes(ctx)}
	list, keeps, err := k.backups()
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	for _, u := range list.Unreadable {
		k.Log.Warn("backup cannot be read", "server", k.Server, "backup", u.ID, "error", u.Err)
	}
	if k.Policy.Kind == retention.None {
		return errors.Join(errs...)
	}
	verdicts := k.Verdicts(list, keeps)
	for _, text := range verdicts.Warnings {
		k.Log.Warn(text, "server", k.Server)
	}
	for _, id := range verdicts.Obsolete() {
		errs = append(errs, k.expire(ctx, id, list, "Enforcing retention policy: removing backup %s for server %s"))
	}
	return errors.Join(errs...)
}

// expire deletes a backup after those that depend on it. When one of these cannot be deleted, because somebody works on
// it or for any other reason, the backup stays.
func (k *Keeper) expire(ctx context.Context, id string, list *catalog.Backups, announcement string) error {
	ids := []string{}
	for _, b := range list.Descendants(id) {
		ids = append(ids, b.ID)
	}
	for _, one := range append(ids, id) {
		if _, err := k.Catalog.Load(one); errors.Is(err, catalog.ErrNoBackup) {
			continue // went with the backup that it depended on
		}
		k.Out.Info(announcement, one, k.Server)
		err := k.deleteExpired(ctx, one)
		switch {
		case errors.Is(err, lock.ErrBusy):
			k.Out.Warning("%s", Busy(err, k.Server, one))
			return nil
		case errors.Is(err, ErrRefused):
			return nil // reported
		case err != nil:
			return err
		}
	}
	return nil
}
