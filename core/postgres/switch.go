package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/barman-go/barman/core/wal"
)

// SwitchWAL makes the server close its current WAL segment. It returns the name of the closed segment, or an empty string
// when nothing had been written to the current one, so that there was nothing to close. On a standby it returns
// ErrInRecovery; switch on its primary then.
func (c *Conn) SwitchWAL(ctx context.Context) (closed string, err error) {
	if err := c.refuseStandby(ctx, "switch the WAL segment"); err != nil {
		return "", err
	}
	var before, after, beforeLSN, afterLSN string
	var size wal.SegmentSize
	insert := "SELECT lsn::text, pg_walfile_name(lsn), " + c.dialect.segmentSize + " FROM pg_current_wal_insert_lsn() AS at(lsn)"
	batch := &pgx.Batch{}
	batch.Queue(insert).QueryRow(func(row pgx.Row) error { return row.Scan(&beforeLSN, &before, (*uint64)(&size)) })
	batch.Queue("SELECT pg_switch_wal()")
	batch.Queue(insert).QueryRow(func(row pgx.Row) error { return row.Scan(&afterLSN, &after, (*uint64)(&size)) })
	if err := c.batch(ctx, "switch the WAL segment (pg_switch_wal)", batch); err != nil {
		return "", err
	}
	for _, at := range []struct{ name, lsn *string }{{&before, &beforeLSN}, {&after, &afterLSN}} {
		lsn, err := wal.ParseLSN(*at.lsn)
		if err != nil {
			return "", err
		}
		if *at.name, err = endingSegment(*at.name, lsn, size); err != nil {
			return "", err
		}
	}
	if before >= after {
		return "", nil
	}
	return before, nil
}

// switchPoint is the restore point that ForceSwitchWAL writes.
const switchPoint = "barman_switch"

// ForceSwitchWAL is SwitchWAL that always closes a segment: where nothing was written since the last switch, it writes a
// restore point first, which is a record of a few bytes that means nothing to PostgreSQL.
func (c *Conn) ForceSwitchWAL(ctx context.Context) (closed string, err error) {
	closed, err = c.SwitchWAL(ctx)
	if err != nil || closed != "" {
		return closed, err
	}
	if _, err := c.CreateRestorePoint(ctx, switchPoint); err != nil {
		return "", err
	}
	return c.SwitchWAL(ctx)
}

// Checkpoint runs CHECKPOINT and waits for it. On a standby it is a restartpoint. Without the right, which superusers and
// from PostgreSQL 15 the members of pg_checkpoint have, it returns ErrPrivileges.
func (c *Conn) Checkpoint(ctx context.Context) error {
	return c.exec(ctx, "run CHECKPOINT", "CHECKPOINT")
}

// CreateRestorePoint writes a named restore point into the WAL and returns its place. name has at most 63 bytes. On a
// standby it returns ErrInRecovery.
func (c *Conn) CreateRestorePoint(ctx context.Context, name string) (wal.LSN, error) {
	if err := c.refuseStandby(ctx, "create a restore point"); err != nil {
		return 0, err
	}
	var lsn string
	err := c.query(ctx, "create a restore point", "SELECT pg_create_restore_point($1)::text", []any{name}, &lsn)
	if err != nil {
		return 0, err
	}
	return wal.ParseLSN(lsn)
}

// InRecovery asks whether the server is a standby, or still recovering.
func (c *Conn) InRecovery(ctx context.Context) (bool, error) {
	var standby bool
	err := c.query(ctx, "ask whether the server is in recovery", "SELECT pg_is_in_recovery()", nil, &standby)
	return standby, err
}

func (c *Conn) refuseStandby(ctx context.Context, what string) error {
	standby, err := c.InRecovery(ctx)
	if err == nil && standby {
		err = fmt.Errorf("cannot %s: %w", what, ErrInRecovery)
	}
	return err
}
