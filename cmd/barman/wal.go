package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/core/archive"
	"github.com/barman-go/barman/core/lock"
	"github.com/barman-go/barman/core/postgres"
)

func walCommands(a *app) []*cobra.Command {
	return []*cobra.Command{
		newArchiveWALCommand(a), newPutWALCommand(a), newGetWALCommand(a), newSwitchWALCommand(a), newRebuildCommand(a),
		newReceiveWALCommand(a),
	}
}

func newArchiveWALCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "archive-wal SERVER",
		Short:   "Archive the WAL files that wait in incoming/ and streaming/",
		Long:    "Verify, encode and file the WAL files that wait. cron does this every minute.",
		Example: "  barman archive-wal main",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.oneServer(args[0], normal)
			if s == nil {
				return err
			}
			bar := a.out.Progress("archive " + s.Name)
			defer bar.Done()
			err = s.archiveWAL(cmd.Context(), true, bar)
			var busy *lock.BusyError
			if errors.As(err, &busy) {
				a.out.Info("Another archive-wal process is already running on server %s. Skipping to the next server", s.Name)
				a.log.Info("archive-wal is running", "server", s.Name, "holder", busy.Holder.String())
				return nil
			}
			return err
		},
	}
	completeServers(a, cmd)
	return cmd
}

func newPutWALCommand(a *app) *cobra.Command {
	var test bool
	cmd := &cobra.Command{
		Use:   "put-wal [options] SERVER",
		Short: "Receive WAL files from PostgreSQL, as a tar stream on standard input",
		Long: `Receive WAL files as an uncompressed tar stream with a member SHA256SUMS (or MD5SUMS). When put-wal has returned 0 the files
are on stable storage and match their checksums. barman-wal-archive on the PostgreSQL host calls it.`,
		Example: "  barman put-wal main < stream.tar\n  barman put-wal --test main",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.oneServer(args[0], accepting)
			if s == nil {
				return err
			}
			if test {
				a.out.Print("Ready to accept WAL files for the server %s", s.Name)
				return nil
			}
			return s.putWAL(cmd.Context())
		},
	}
	cmd.Flags().BoolVarP(&test, "test", "t", false, "only say whether WAL would be accepted")
	completeServers(a, cmd)
	return cmd
}

func (s *server) putWAL(ctx context.Context) error {
	expect, err := s.expect()
	if err != nil {
		return err
	}
	p := &archive.Putter{
		Server: s.Name, Incoming: s.layout.Incoming, Errors: s.layout.Errors, Expect: expect, SSHHost: sshHost(),
		WALs: s.layout.WALs, Codecs: s.codecs(), Now: now, Out: s.out, Log: s.log,
	}
	err = p.Run(ctx, s.stdin)
	if errors.Is(err, archive.ErrRefused) {
		return errReported
	}
	return err
}

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
		Example: "  barman switch-wal main\n  barman switch-wal --force --archive main",
		Args:    usage(cobra.MinimumNArgs(1)),
		RunE: a.eachServer(normal, func(ctx context.Context, s *server) error {
			return s.switchWAL(ctx, f.force, f.archive, f.timeout)
		}),
	}
	fl := cmd.Flags()
	fl.BoolVar(&f.force, "force", false, "make a checkpoint first, so that there is something to switch")
	fl.BoolVar(&f.archive, "archive", false, "wait until the segment is archived")
	nonNegative(fl, &f.timeout, "archive-timeout", "wait at most `SECONDS`; 0 is for ever")
	completeServers(a, cmd)
	return cmd
}

func (s *server) switchWAL(ctx context.Context, force, wait bool, timeout int) error {
	text := s.ConnInfo
	if s.PrimaryConnInfo != "" {
		text = s.PrimaryConnInfo
	}
	info, err := s.conninfo(text)
	if err != nil {
		return err
	}
	conn, err := postgres.Connect(ctx, info, "barman")
	if err != nil {
		return fmt.Errorf("Unable to perform pg_switch_wal for server '%s'. %w", s.Name, err)
	}
	defer conn.Close()
	if force {
		if err := conn.Checkpoint(ctx); errors.Is(err, postgres.ErrPrivileges) {
			return errors.New("Barman switch-wal --force requires superuser rights or the 'pg_checkpoint' role")
		} else if err != nil {
			return err
		}
	}
	closed, err := conn.SwitchWAL(ctx)
	switch {
	case errors.Is(err, postgres.ErrInRecovery):
		s.out.Info("No switch performed because server '%s' is a standby.", s.Name)
		return nil
	case err != nil:
		return fmt.Errorf("Unable to perform pg_switch_wal for server '%s'. %w", s.Name, err)
	case closed != "":
		s.out.Info("The WAL file %s has been closed on server '%s'", closed, s.Name)
	default:
		s.out.Info("No switch required for server '%s'", s.Name)
	}
	if !wait || closed == "" {
		return nil
	}
	return s.waitArchived(ctx, closed, timeout)
}

// waitArchived archives what comes in until a segment is there.
func (s *server) waitArchived(ctx context.Context, name string, timeout int) error {
	limit := ""
	if timeout > 0 {
		limit = fmt.Sprintf(" (max: %d seconds)", timeout)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, seconds(timeout))
		defer cancel()
	}
	s.out.Info("Waiting for the WAL file %s from server '%s'%s", name, s.Name, limit)
	w := backupWAL{s: s}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := w.Archive(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		if found, err := w.Contains(name); err != nil || found {
			return err
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("The WAL file %s has not been received in %d seconds", name, timeout)
			}
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func newRebuildCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "rebuild-xlogdb SERVER…",
		Short:   "Write the index of archived WAL files anew",
		Example: "  barman rebuild-xlogdb main",
		Args:    usage(cobra.MinimumNArgs(1)),
		RunE: a.eachServer(normal, func(ctx context.Context, s *server) error {
			a.out.Info("Rebuilding xlogdb for server %s", s.Name)
			done, err := s.index().Rebuild(ctx)
			if err == nil {
				a.out.Info("Done rebuilding xlogdb for server %s (history: %d, backup_labels: %d, wal_file: %d)",
					s.Name, done.Histories, done.BackupLabels, done.Segments)
			}
			return err
		}),
	}
	completeServers(a, cmd)
	return cmd
}
