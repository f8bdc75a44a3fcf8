package backup

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/core/wal"
)

// strategy is how PostgreSQL is put into backup mode, and out of it (option backup_options).
type strategy interface {
	// start waits for a checkpoint and returns where the backup begins.
	start(ctx context.Context, label string, fast bool) (postgres.StartPoint, error)
	// guard probes the session. The context is for the copy, and ends when the backup is void. Call the function at the end.
	guard(ctx context.Context) (context.Context, func())
	// finish ends the backup, sees to it that the copy has a backup_label, and returns the end.
	finish(ctx context.Context) (postgres.StopPoint, error)
	// abort gives the backup up; after finish has succeeded it does nothing. It works when ctx has ended.
	abort(ctx context.Context)
}

func (s *session) strategy() strategy {
	if s.Exclusive {
		return &exclusive{session: s}
	}
	return &concurrent{session: s}
}

// label is the text by which PostgreSQL knows the backup.
func (s *session) label() string { return labelPrefix + s.Server + " " + s.info.ID }

// concurrent is a backup that belongs to its session: when that ends, PostgreSQL drops the backup.
type concurrent struct {
	*session
	pg *postgres.Backup
}

func (c *concurrent) start(ctx context.Context, label string, fast bool) (_ postgres.StartPoint, err error) {
	if c.pg, err = c.conn.StartBackup(ctx, label, fast); err != nil {
		return postgres.StartPoint{}, err
	}
	return c.pg.Start(), nil
}

func (c *concurrent) guard(ctx context.Context) (context.Context, func()) {
	return c.pg.Keepalive(ctx, c.Keepalive)
}

func (c *concurrent) abort(context.Context) { c.pg.Abort() }

// finish also writes the label, and closes the last segment, which would be archived only when PostgreSQL moves on.
func (c *concurrent) finish(ctx context.Context) (postgres.StopPoint, error) {
	stop, err := c.stop(ctx)
	if err != nil {
		return stop, failed(actionStop, err)
	}
	label := filepath.Join(c.Catalog.Layout.DataPath(c.info.ID), labelFile)
	if err := fsx.WriteFile(label, []byte(stop.Label), 0o600); err != nil {
		return stop, failed(actionLabel, err)
	}
	c.info.BackupLabel = stop.Label
	c.closeSegment(ctx, stop.WAL)
	return stop, nil
}

// stop ends the backup. On a standby that archives, PostgreSQL waits until its primary has moved on to another segment.
func (c *concurrent) stop(ctx context.Context) (postgres.StopPoint, error) {
	if c.Primary == nil {
		return c.pg.Stop(ctx)
	}
	primary, err := postgres.Connect(ctx, *c.Primary, "barman")
	if err != nil {
		// The primary's ordinary work may end the backup as well.
		c.Out.Warning("WAL cannot be switched on the primary, so the backup ends when the primary goes on to another segment: %s", err)
		return c.pg.Stop(ctx)
	}
	defer primary.Close()
	policy := postgres.DefaultSwitchPolicy()
	policy.CheckpointAfter = c.PrimaryCheckpointTimeout
	policy.OnEvent = func(event, closed string) { c.Log.Info("primary", "server", c.Server, "event", event, "wal", closed) }
	return c.pg.StopOnStandby(ctx, primary, policy)
}

// closeSegment makes the server, or the primary of a standby, go on to another segment than last, the last one of the backup.
func (s *session) closeSegment(ctx context.Context, last wal.Segment) {
	_, err := s.conn.SwitchWAL(ctx)
	if errors.Is(err, postgres.ErrInRecovery) {
		err = nil
		if s.Primary != nil {
			err = s.closeOnPrimary(ctx, last)
		}
	}
	if err != nil {
		s.Log.Warn("cannot switch WAL", "server", s.Server, "error", err)
	}
}

// closeOnPrimary leaves a primary alone that has left the segment already.
func (s *session) closeOnPrimary(ctx context.Context, last wal.Segment) error {
	primary, err := postgres.Connect(ctx, *s.Primary, "barman")
	if err != nil {
		return err
	}
	defer primary.Close()
	at, err := primary.Position(ctx)
	// At the very end of a segment the offset is 0: nothing is left in it to be written.
	if err != nil || at.WAL > last.String() || at.WAL == last.String() && at.Offset == 0 {
		return err
	}
	_, err = primary.ForceSwitchWAL(ctx)
	return err
}

// noteStop records where the backup ends.
func (s *session) noteStop(stop postgres.StopPoint) {
	b := s.info
	b.EndTime, b.EndLSN, b.Timeline = stop.Time, stop.LSN, stop.Timeline
	b.EndWAL, b.EndOffset = stop.WAL, catalog.Int(int64(stop.Offset))
}
