package postgres

import (
	"context"
	"fmt"

	"github.com/barman-go/barman/core/wal"
)

// StartExclusive begins an exclusive backup, which PostgreSQL has up to version 14 and on primaries only: the server writes
// backup_label and tablespace_map into its data directory, and the backup stays open when the session ends, until
// StopExclusive or a person ends it. Errors wrap ErrUnsupportedVersion from version 15 on, and ErrInRecovery on a standby.
func (c *Conn) StartExclusive(ctx context.Context, label string, fast bool) (StartPoint, error) {
	if err := c.requireExclusive(ctx); err != nil {
		return StartPoint{}, err
	}
	if err := c.disableTimeouts(ctx); err != nil {
		return StartPoint{}, err
	}
	var p StartPoint
	var lsn string
	sql := "SELECT pg_start_backup($1::text, $2::boolean)::text, now()"
	if err := c.query(ctx, "start an exclusive backup", sql, []any{label, fast}, &lsn, &p.Time); err != nil {
		return StartPoint{}, err
	}
	if err := c.readStart(ctx, &p, lsn); err != nil {
		return StartPoint{}, fmt.Errorf("the exclusive backup is open on the server, end it with SELECT pg_stop_backup(): %w", err)
	}
	return p, nil
}

// StopExclusive ends the exclusive backup. It may be called in another session than StartExclusive. Label and TablespaceMap
// of the result are empty: both files were in the data directory, and have been copied with it.
func (c *Conn) StopExclusive(ctx context.Context) (StopPoint, error) {
	if err := c.requireExclusive(ctx); err != nil {
		return StopPoint{}, err
	}
	var p StopPoint
	var size wal.SegmentSize
	var lsn string
	sql := "SELECT pg_stop_backup()::text, now()"
	if err := c.query(ctx, "stop the exclusive backup", sql, nil, &lsn, &p.Time); err != nil {
		return StopPoint{}, fmt.Errorf("%w; when the server still has the backup open, end it with SELECT pg_stop_backup()", err)
	}
	sql = "SELECT timeline_id, " + c.dialect.segmentSize + " FROM pg_control_checkpoint()"
	err := c.query(ctx, "read the timeline of the backup", sql, nil, (*uint32)(&p.Timeline), (*uint64)(&size))
	if err != nil {
		return StopPoint{}, err
	}
	if p.LSN, err = wal.ParseLSN(lsn); err != nil {
		return StopPoint{}, err
	}
	p.WAL, p.Offset = wal.SegmentEndingAt(p.Timeline, p.LSN, size), p.LSN.Offset(size)
	return p, nil
}

func (c *Conn) requireExclusive(ctx context.Context) error {
	if !c.dialect.exclusive {
		return fmt.Errorf("%w: exclusive backups exist up to PostgreSQL 14, this is %s", ErrUnsupportedVersion, c.version)
	}
	return c.refuseStandby(ctx, "make an exclusive backup")
}
