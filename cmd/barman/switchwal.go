package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/core/postgres"
)

func newSwitchWALCommand(a *app) *cobra.Command {
	var f struct {
		force, archive bool
		timeout        int
	}
	f.timeout = 30
	cmd := &cobra.Command{
		Use:     "switch-wal [options] SERVER…",
		Aliases: []string{"switch-xlog"},
		Short:   "Make PostgreSQL close its current WAL segment",
		Long: `Make PostgreSQL close its current WAL segment, if anything was written to it. With --archive, archive what arrives until the
closed segment is in the archive, or, when there was nothing to close, until any new WAL file is. With primary_conninfo
it is the primary that switches.

Exit code 1: PostgreSQL cannot switch, or the closed segment has not arrived in time.`,
		Example: "  barman switch-wal main\n  barman switch-wal --force --archive main\n  barman switch-wal --archive --archive-timeout 120 main",
		Args:    usage(cobra.MinimumNArgs(1)),
		RunE: a.eachServer(normal, func(ctx context.Context, s *server) error {
			closed, err := s.switchWAL(ctx, f.force)
			if err != nil || !f.archive {
				return err
			}
			return s.awaitWAL(ctx, closed, f.timeout)
		}),
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.force, "force", false, "make a checkpoint first, so that there is something to switch")
	fl.BoolVar(&f.archive, "archive", false, "wait until the segment is archived")
	nonNegative(fl, &f.timeout, "archive-timeout", "wait at most `SECONDS`; 0 is for ever")
	completeServers(a, cmd)
	return cmd
}

// switchWAL makes the server, or its primary, close the current segment. closed is empty when nothing was.
func (s *server) switchWAL(ctx context.Context, force bool) (closed string, err error) {
	if s.Passive() {
		// Without conninfo the connection would be to whichever PostgreSQL listens on this host.
		return "", fmt.Errorf("Unable to perform pg_switch_wal for server '%s', which is passive: run the command on its primary node", s.Name)
	}
	text := s.ConnInfo
	if s.PrimaryConnInfo != "" {
		text = s.PrimaryConnInfo
	}
	conn, err := s.connect(ctx, text)
	if err != nil {
		return "", fmt.Errorf("Unable to perform pg_switch_wal for server '%s'. %w", s.Name, err)
	}
	defer conn.Close()
	if force {
		if err := conn.Checkpoint(ctx); errors.Is(err, postgres.ErrPrivileges) {
			return "", errors.New("Barman switch-wal --force requires superuser rights or the 'pg_checkpoint' role")
		} else if err != nil {
			return "", err
		}
	}
	closed, err = conn.SwitchWAL(ctx)
	switch {
	case errors.Is(err, postgres.ErrInRecovery):
		s.out.Info("No switch performed because server '%s' is a standby.", s.Name)
		return "", nil
	case err != nil:
		return "", fmt.Errorf("Unable to perform pg_switch_wal for server '%s'. %w", s.Name, err)
	case closed != "":
		s.out.Info("The WAL file %s has been closed on server '%s'", closed, s.Name)
	default:
		s.out.Info("No switch required for server '%s'", s.Name)
	}
	return closed, nil
}

// archivePause is the time between two looks at what has arrived.
const archivePause = 100 * time.Millisecond

// awaitWAL archives what comes in until the segment that was closed is in the archive, or, if none was, until any segment
// is newer than before. Only a segment that was closed is missed when the time is over.
func (s *server) awaitWAL(ctx context.Context, closed string, timeout int) error {
	limit := ""
	waiting := ctx
	if timeout > 0 {
		limit = fmt.Sprintf(" (max: %d seconds)", timeout)
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeout(ctx, seconds(timeout))
		defer cancel()
	}
	if closed != "" {
		s.out.Info("Waiting for the WAL file %s from server '%s'%s", closed, s.Name, limit)
	} else {
		s.out.Info("Waiting for a WAL file from server '%s' to be archived%s", s.Name, limit)
	}
	arrived, err := s.arrival(closed)
	if err != nil {
		return err
	}
	w := backupWAL{s: s}
	tick := time.NewTicker(archivePause)
	defer tick.Stop()
	for {
		if err := w.Archive(waiting); err != nil && waiting.Err() == nil {
			return err
		}
		if found, err := arrived(); err != nil || found {
			return err
		}
		select {
		case <-waiting.Done():
			switch {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case closed != "":
				return fmt.Errorf("The WAL file %s has not been received in %d seconds", closed, timeout)
			}
			s.out.Info("A WAL file has not been received in %d seconds", timeout)
			return nil
		case <-tick.C:
		}
	}
}

// arrival returns the test for which awaitWAL waits.
func (s *server) arrival(closed string) (arrived func() (bool, error), err error) {
	if closed != "" {
		w := backupWAL{s: s}
		return func() (bool, error) { return w.Contains(closed) }, nil
	}
	before, err := s.catalog.NewestSegments()
	return func() (bool, error) {
		now, err := s.catalog.NewestSegments()
		return !maps.Equal(before, now), err
	}, err
}
