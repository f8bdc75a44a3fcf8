package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/core/archive"
	"github.com/barman-go/barman/core/lock"
)

func walCommands(a *app) []*cobra.Command {
	return []*cobra.Command{
		newArchiveWALCommand(a), newPutWALCommand(a), newGetWALCommand(a), newSwitchWALCommand(a), newRebuildCommand(a),
		newReceiveWALCommand(a), newCheckWALArchiveCommand(a), newWALGapsCommand(a), newSyncInfoCommand(a),
		newSyncBackupCommand(a), newSyncWALsCommand(a),
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
			if errors.Is(err, lock.ErrBusy) {
				a.out.Info("Another archive-wal process is already running on server %s. Skipping to the next server (%s)", s.Name, lock.By(err))
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
		WALs: s.layout.WALs, Codecs: s.codecs(), Reserve: s.WALFreeSpaceReserve, Now: now,
		Out: s.out, Log: s.log,
	}
	err = p.Run(ctx, s.stdin)
	if errors.Is(err, archive.ErrRefused) {
		return errReported
	}
	return err
}
