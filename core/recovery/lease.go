package recovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/lock"
)

// leaseWait is how long a restore waits for somebody who works on its backup, which is a moment for everybody but a
// delete.
const leaseWait = 2 * time.Second

// lease keeps backups from being deleted while they are read: it shares their locks, which a delete wants alone. The WAL
// since a backup began stays with it, see package maintenance. A lease ends with the process at the latest.
type lease struct {
	locks []*lock.Lock
}

// take takes the lease on a backup and on all that it depends on, and returns its description as it is from then on. The
// error is a *PlanError when somebody else has one of them alone, or has deleted it. A lock directory that cannot be used
// is no reason not to restore, but one for a warning.
func (l *lease) take(ctx context.Context, r *Restorer, b *catalog.BackupInfo, backups *catalog.Backups) (*catalog.BackupInfo, error) {
	chain, _ := backups.Chain(b)
	for _, one := range chain {
		held, err := share(ctx, r.LockDir, lock.ForBackup(lock.BackupID, r.Server, one.ID))
		switch {
		case err == nil:
			l.locks = append(l.locks, held)
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, lock.ErrBusy):
			return nil, refuse(fmt.Sprintf("Backup %s of server %s cannot be read now: %v", one.ID, r.Server, err),
				"Run the command again when that process has ended, or choose another backup.")
		default:
			r.Out.Warning("Nothing keeps backup %s of server %s from being deleted while it is restored: %v", one.ID, r.Server, err)
		}
	}
	// It was chosen before it was protected.
	found, err := r.Catalog.Load(b.ID)
	if errors.Is(err, catalog.ErrNoBackup) {
		return nil, refuse(fmt.Sprintf("Backup %s of server %s has just been deleted", b.ID, r.Server), "Choose another backup.")
	}
	return found, err
}

// share waits a moment for a lock, and then finds out who has it.
func share(ctx context.Context, dir string, name lock.Name) (*lock.Lock, error) {
	patient, cancel := context.WithTimeout(ctx, leaseWait)
	defer cancel()
	held, err := lock.Share(patient, dir, name, true)
	if errors.Is(err, context.DeadlineExceeded) {
		return lock.Share(ctx, dir, name, false)
	}
	return held, err
}

// end gives the lease back. A second call does nothing.
func (l *lease) end() error {
	errs := make([]error, 0, len(l.locks))
	for _, held := range l.locks {
		errs = append(errs, held.Release())
	}
	return errors.Join(errs...)
}
