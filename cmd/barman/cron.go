package main

import (
	"context"
	"errors"
	"os"
	"sync"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/core/lock"
)

func maintenanceCommands(a *app) []*cobra.Command {
	return []*cobra.Command{
		newCronCommand(a), newRetentionCommand(a), newListProcessesCommand(a), newTerminateProcessCommand(a),
		newLockCleanupCommand(a),
	}
}

// cronServers is how many servers are maintained at the same time: enough that one slow server delays nobody, few enough
// that encoding does not fight itself for the processors.
const cronServers = 4

func newCronCommand(a *app) *cobra.Command {
	var keepDescriptors bool
	cmd := &cobra.Command{
		Use:   "cron [options]",
		Short: "Do the maintenance of all servers, once",
		Long: `For every active server: start receive-wal where streaming_archiver is on and it does not run, archive the WAL that
waits, mark backups whose process died, check backups that wait for WAL, and enforce the retention policy. For a passive server:
ask the primary node what it has, start sync-backup and sync-wals for what is missing, and enforce the local retention policy. Run it
every minute, from cron or a systemd timer; a run that is still busy with a server is not disturbed.

receive-wal, sync-backup and sync-wals live on. Under systemd the unit of cron needs KillMode=process for that.`,
		Example: "  barman cron\n  * * * * * barman /usr/bin/barman -q cron",
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			servers, err := a.servers([]string{"all"}, selection{inactive: skip, disabled: skip})
			if err != nil {
				return err
			}
			a.plugins() // one host for all, made before several ask for it
			limit := make(chan struct{}, cronServers)
			var all sync.WaitGroup
			for _, s := range servers {
				limit <- struct{}{}
				all.Go(func() {
					defer func() { <-limit }()
					if err := s.cron(cmd.Context(), keepDescriptors); err != nil {
						a.log.Error("cron", "server", s.Name, "error", err)
						a.out.Error("Unable to run cron on server '%s': %s", s.Name, err)
					}
				})
			}
			all.Wait()
			return a.cleanLocks()
		},
	}
	cmd.Flags().BoolVar(&keepDescriptors, "keep-descriptors", false, "let receive-wal keep standard output and error, instead of /dev/null")
	return cmd
}

// cron is the maintenance of one server.
func (s *server) cron(ctx context.Context, keepDescriptors bool) error {
	l, err := s.lock(ctx, lock.ForServer(lock.Cron, s.Name))
	if errors.Is(err, lock.ErrBusy) {
		s.out.Info("Another cron process is already running on server %s. Skipping to the next server (%s)", s.Name, lock.By(err))
		return nil
	}
	if err != nil {
		return err
	}
	defer l.Release() //nolint:errcheck // the lock ends with the process at the latest
	if s.Passive() {
		return s.cronPassive(ctx)
	}
	keeper, err := s.keeper()
	if err != nil {
		return err
	}
	errs := []error{s.keepReceiving(keepDescriptors)}
	s.out.Info("Starting WAL archiving for server %s", s.Name)
	switch err := s.archiveWAL(ctx, false, nil); {
	case errors.Is(err, lock.ErrBusy):
		s.out.Info("Another archive-wal process is already running on server %s. Skipping to the next server (%s)", s.Name, lock.By(err))
	case err != nil:
		errs = append(errs, err)
	}
	// Each step works on what the one before left, and none of them is a reason to leave out the next.
	errs = append(errs, keeper.Settle(ctx), keeper.Enforce(ctx))
	return errors.Join(errs...)
}

// keepReceiving makes sure that WAL is received if and only if the configuration wants it. The process lives on when cron ends.
func (s *server) keepReceiving(keepDescriptors bool) error {
	if !s.StreamingArchiver {
		return s.interrupt(lock.ReceiveWAL)
	}
	if _, held, err := s.holder(lock.ReceiveWAL); err != nil || held {
		return err
	}
	s.out.Info("Starting streaming archiver for server %s", s.Name)
	if keepDescriptors {
		return s.leaveBehind(os.Stdout, os.Stderr, "receive-wal", s.Name)
	}
	return s.leaveBehind(nil, nil, "receive-wal", s.Name)
}

func (a *app) cleanLocks() error {
	if !a.cfg.Global.LockDirectoryCleanup {
		return nil
	}
	_, err := lock.Cleanup(a.cfg.Global.LockDirectory)
	return err
}

func newLockCleanupCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "lock-directory-cleanup",
		Short:   "Remove lock files that nobody holds",
		Example: "  barman lock-directory-cleanup",
		Args:    usage(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			_, err := lock.Cleanup(a.cfg.Global.LockDirectory)
			return err
		},
	}
}
