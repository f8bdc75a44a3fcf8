package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/lock"
	"github.com/barman-go/barman/core/passive"
	"github.com/barman-go/barman/core/retention"
	"github.com/barman-go/barman/sdk/transfer"
)

func newSyncBackupCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sync-backup SERVER BACKUP_ID",
		Short: "Copy a backup from the primary node of a passive server",
		Long: `Copy a backup from the primary node, by what sync-info --primary has told last. What is here already is not copied again, also
after a run that was interrupted. The backup is DONE once all its files are here, counted and on stable storage, and the WAL that
it needs is here, too; until then it is SYNCING, FAILED or WAITING_FOR_WALS.

BACKUP_ID is an id. cron starts this command for every backup of the primary that the local retention policy would keep.`,
		Example: "  barman sync-info --primary main\n  barman sync-backup main 20260110T100000",
		Args:    usage(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.oneServer(args[0], normal)
			if s == nil {
				return err
			}
			return s.syncBackup(cmd.Context(), args[1])
		},
	}
	completeServers(a, cmd)
	return cmd
}

func newSyncWALsCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sync-wals SERVER",
		Short: "Copy WAL files from the primary node of a passive server",
		Long: `Copy the archived WAL files that the primary node has listed, by what sync-info --primary has told last: as they are, compressed or
not, from the oldest backup here on. A file is in the index here once it has been checked and is on stable storage. A run that is
interrupted loses at most 256 files of work. cron starts this command.`,
		Example: "  barman sync-info --primary main\n  barman sync-wals main",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.oneServer(args[0], normal)
			if s == nil {
				return err
			}
			return s.syncWALs(cmd.Context())
		},
	}
	completeServers(a, cmd)
	return cmd
}

func (s *server) syncBackup(ctx context.Context, id string) error {
	p, err := s.primary()
	if err != nil {
		return err
	}
	if !catalog.ValidID(id) {
		return fmt.Errorf("Backup %s is absent on %s server", id, s.Name)
	}
	l, err := s.lock(ctx, lock.ForBackup(lock.SyncBackup, s.Name, id))
	if errors.Is(err, lock.ErrBusy) {
		return fmt.Errorf("Another synchronisation process for backup %s of server %s is already running. (%s)", id, s.Name, lock.By(err))
	}
	if err != nil {
		return err
	}
	defer l.Release() //nolint:errcheck // the lock ends with the process at the latest
	// Against a delete, which does not know the other lock.
	own, err := s.lock(ctx, lock.ForBackup(lock.BackupID, s.Name, id))
	if err != nil {
		return fmt.Errorf("backup %s of server %s: %w", id, s.Name, err)
	}
	free := sync.OnceFunc(func() { _ = own.Release() })
	defer free()
	keeper, err := s.keeper()
	if err != nil {
		return err
	}
	copier, plan, err := s.passiveCopier(ctx, p)
	if err != nil {
		return err
	}
	bar := s.out.Progress("sync " + id)
	defer bar.Done()
	backup := passive.BackupSync{
		Server: s.Name, Primary: p, Catalog: s.catalog, Copier: copier, Plan: plan,
		TablespaceLimits: s.TablespaceBandwidthLimit, Reuse: s.ReuseBackup, Obsolete: s.obsolete,
		Purge: func(ctx context.Context, id string) error { free(); return keeper.Delete(ctx, id) }, Out: s.out, Progress: bar, Log: s.log, Now: now,
	}
	copied, err := backup.Run(ctx, id)
	if err != nil || copied == nil {
		return err
	}
	free() // checking takes it
	b, err := keeper.CheckBackup(ctx, id)
	switch {
	case errors.Is(err, lock.ErrBusy):
		return nil // another process checks it
	case err != nil:
		return err
	case b.Status == catalog.StatusWaitingForWALs:
		s.out.Info("Backup %s waits for WAL that is not here yet: cron, or 'barman sync-wals %s', gets it", id, s.Name)
	}
	return nil
}

func (s *server) syncWALs(ctx context.Context) error {
	p, err := s.primary()
	if err != nil {
		return err
	}
	l, err := s.lock(ctx, lock.ForServer(lock.SyncWAL, s.Name))
	if err != nil {
		return err
	}
	defer l.Release() //nolint:errcheck // the lock ends with the process at the latest
	for _, dir := range s.layout.Directories() {
		if err := fsx.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	copier, plan, err := s.passiveCopier(ctx, p)
	if err != nil {
		return err
	}
	bar := s.out.Progress("sync WAL of " + s.Name)
	defer bar.Done()
	files := passive.WALSync{
		Server: s.Name, Primary: p, Catalog: s.catalog, Index: s.index(), Copier: copier, Plan: plan, Compression: s.Compression,
		Workers: runtime.NumCPU(), Verify: s.codecs().Verify, Out: s.out, Progress: bar, Log: s.log, Now: now,
	}
	copied, err := files.Run(ctx)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("WAL synchronisation for server %s failed with: %w", s.Name, err)
	}
	if err == nil && copied > 0 {
		s.out.Info("Copied %d WAL files for server %s", copied, s.Name)
	}
	return err
}

// passiveCopier opens the plugin that copies from the primary: the one of backup_method if it copies files from another host,
// otherwise rsync.
func (s *server) passiveCopier(ctx context.Context, p *passive.Primary) (passive.Copier, transfer.Plan, error) {
	plan := transfer.Plan{
		Workers: max(s.ParallelJobs, 1), Remote: p.Command, NetworkCompression: s.NetworkCompression, BandwidthLimit: s.BandwidthLimit,
		Retry:          transfer.Retry{Times: s.BasebackupRetryTimes, Sleep: s.BasebackupRetrySleep},
		StartBatchSize: s.ParallelJobsStartBatchSize, StartBatchPeriod: s.ParallelJobsStartBatchPeriod,
	}
	if !slices.Contains([]string{"", "rsync", "local-rsync", "postgres", "snapshot"}, s.BackupMethod) {
		client, description, err := s.transferPlugin(ctx, s.BackupMethod)
		if err != nil {
			return nil, plan, err
		}
		if description.Mode == transfer.FileCopy {
			return client, plan, nil
		}
	}
	client, _, err := s.transferPlugin(ctx, "rsync")
	return client, plan, err
}

// obsolete asks the retention policy about a list of backups.
func (s *server) obsolete(list *catalog.Backups) (func(id string) bool, error) {
	keeper, err := s.keeper()
	if err != nil {
		return nil, err
	}
	keeps, err := s.catalog.Keeps()
	if err != nil {
		return nil, err
	}
	verdicts, err := keeper.Verdicts(list, keeps)
	if err != nil {
		return nil, err
	}
	return func(id string) bool { return verdicts.Of(id).Label == retention.Obsolete }, nil
}
