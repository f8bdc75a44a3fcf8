package maintenance

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/lock"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/core/retention"
)

// Hooks run around deletes.
type Hooks interface {
	// PreDelete returns an error when a hook stops the delete.
	PreDelete(ctx context.Context, b *catalog.BackupInfo) error
	PostDelete(ctx context.Context, b *catalog.BackupInfo)
	// HasWALDelete tells that hooks run around the removal of a WAL file.
	HasWALDelete() bool
	// PreWALDelete returns an error when a hook wants the file to stay.
	PreWALDelete(ctx context.Context, r catalog.WALRecord) error
	PostWALDelete(ctx context.Context, r catalog.WALRecord, err error)
}

// Keeper maintains the catalog of one server.
type Keeper struct {
	Server  string
	Catalog *catalog.Catalog
	Index   *catalog.WALIndex
	// LockDir is barman_lock_directory.
	LockDir string
	// Policy is retention_policy; None enforces nothing.
	Policy            retention.Policy
	MinimumRedundancy int
	Hooks             Hooks
	Out               report.Messenger
	Log               hclog.Logger
	Now               func() time.Time
	// Clock is ReadClock, or nil to trust Now whatever it says.
	Clock func() Clock
}

// ErrRefused means that a backup may not be deleted; the reason was reported.
var ErrRefused = errors.New("backup not deleted")

// CheckBackup moves a backup between WAITING_FOR_WALS and DONE, or to FAILED, by the WAL that is archived. It takes the
// backup's own lock; lock.ErrBusy comes back as it is.
func (k *Keeper) CheckBackup(ctx context.Context, id string) (*catalog.BackupInfo, error) {
	l, err := k.lockBackup(ctx, id)
	if err != nil {
		return nil, err
	}
	defer l.Release() //nolint:errcheck // the lock ends with the process at the latest
	b, decision, err := k.Catalog.CheckBackup(id, k.Now())
	if err != nil {
		return nil, err
	}
	if decision.Status == catalog.StatusFailed {
		k.Out.Error("This backup has been marked as FAILED due to the following reason: %s", decision.Error)
	}
	k.Log.Debug("checked backup", "server", k.Server, "backup", id, "status", b.Status, "reason", decision.Reason)
	return b, nil
}

// Settle brings every backup that is not complete to where it belongs: one whose process died becomes FAILED, and one that waits
// for WAL is checked. It reads the catalog once for both, which is most of what an idle cron does; what it changes it reads again.
func (k *Keeper) Settle(ctx context.Context) error {
	list, err := k.Catalog.List()
	if err != nil {
		return err
	}
	return errors.Join(k.reap(ctx, list), k.checkWaiting(ctx, list))
}

// CheckWaiting checks every backup that waits for WAL, oldest first.
func (k *Keeper) CheckWaiting(ctx context.Context) error {
	list, err := k.Catalog.List()
	if err != nil {
		return err
	}
	return k.checkWaiting(ctx, list)
}

func (k *Keeper) checkWaiting(ctx context.Context, backups *catalog.Backups) error {
	var errs []error
	for _, b := range backups.With(catalog.StatusWaitingForWALs) {
		_, err := k.CheckBackup(ctx, b.ID)
		if err != nil && !errors.Is(err, lock.ErrBusy) && !errors.Is(err, catalog.ErrNoBackup) {
			errs = append(errs, fmt.Errorf("check backup %s: %w", b.ID, err))
		}
	}
	return errors.Join(errs...)
}

// reap marks backups as FAILED whose process died before it could. A backup in progress holds the server's backup lock,
// so when that lock is free every backup that is EMPTY or STARTED is an orphan of a killed process.
func (k *Keeper) reap(ctx context.Context, list *catalog.Backups) error {
	// Without the lock at first: a backup that is about to begin must not find it held for nothing.
	if len(unfinished(list)) == 0 {
		return nil
	}
	l, err := lock.Acquire(ctx, k.LockDir, lock.ForServer(lock.Backup, k.Server), false)
	if errors.Is(err, lock.ErrBusy) {
		return nil
	}
	if err != nil {
		return err
	}
	defer l.Release() //nolint:errcheck // the lock ends with the process at the latest
	return k.ReapHolding()
}

// ReapHolding marks backups as FAILED whose process died, for a caller that holds the server's backup lock.
func (k *Keeper) ReapHolding() error {
	list, err := k.Catalog.List()
	if err != nil {
		return err
	}
	var errs []error
	for _, b := range unfinished(list) {
		_, err := k.Catalog.Update(b.ID, func(b *catalog.BackupInfo) error {
			return b.Fail("the backup process ended before the backup was complete")
		})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		k.Out.Warning("Backup %s of server %s was interrupted and has been marked as FAILED", b.ID, k.Server)
		if b.Mode == catalog.ModeRsyncExclusive {
			k.Out.Warning("PostgreSQL may still be in backup mode: the next backup of server %s ends it, and so does SELECT pg_stop_backup()",
				k.Server)
		}
	}
	return errors.Join(errs...)
}

// unfinished are the backups that are being taken, or were when their process died.
func unfinished(list *catalog.Backups) []*catalog.BackupInfo {
	return list.With(catalog.StatusEmpty, catalog.StatusStarted)
}

// backups reads the catalog together with the keeps.
func (k *Keeper) backups() (*catalog.Backups, map[string]catalog.Keep, error) {
	list, err := k.Catalog.List()
	if err != nil {
		return nil, nil, err
	}
	keeps, err := k.Catalog.Keeps()
	return list, keeps, err
}

// running is the id of the backup that a process is taking at this moment, or empty.
func (k *Keeper) running(list *catalog.Backups) string {
	name, err := lock.ForServer(lock.Backup, k.Server).File()
	if err != nil {
		return ""
	}
	if held, _, err := lock.Probe(filepath.Join(k.LockDir, name)); err != nil || !held {
		return ""
	}
	if b := list.Last(catalog.StatusEmpty, catalog.StatusStarted); b != nil {
		return b.ID
	}
	return ""
}
