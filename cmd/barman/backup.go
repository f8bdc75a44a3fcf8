package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/barman-go/barman/cmd/internal/argparse"
	"github.com/barman-go/barman/core/backup"
	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/check"
	"github.com/barman-go/barman/core/lock"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/transfer"
)

type backupFlags struct {
	immediate              bool
	reuse                  string
	retryTimes, retrySleep int
	jobs                   int
	batchSize, batchPeriod int
	bwlimit                int
	wait                   bool
	waitTimeout            int
	keepalive              int
	name                   string
	checkTimeout           int
	incremental            string
	servers                int
	manifest               bool
}

func newBackupCommand(a *app) *cobra.Command {
	var f backupFlags
	cmd := &cobra.Command{
		Use:   "backup [options] SERVER…",
		Short: "Take a base backup",
		Long: `Take a base backup of one or several servers, with the backup_method of each.

The server stays in use. The backup is DONE once the WAL that was written meanwhile is archived; --wait waits for that.

Several servers are backed up one after the other, in the order of their names. With --jobs-servers some of them are backed
up at the same time; then each message begins with the name of its server.

With --incremental only the blocks are copied that have changed since another backup was taken, which stays necessary to restore
this one. That takes PostgreSQL 17 with summarize_wal, and backup_method = "postgres".`,
		Example: `  barman backup main
  barman backup --wait --wait-timeout 600 main
  barman backup --jobs 4 --reuse-backup=link --name weekly main
  barman backup all
  barman backup --jobs-servers 3 all
  barman backup --incremental latest main`,
		Args: usage(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.name != "" || cmd.Flags().Changed("name") {
				if err := catalog.ValidateName(f.name); err != nil {
					return usageError{err}
				}
			}
			servers, err := a.servers(args, normalDirect)
			if err != nil {
				return err
			}
			for _, s := range servers {
				f.override(cmd, s)
			}
			return a.takeBackups(cmd.Context(), servers, &f)
		},
	}
	f.register(cmd.Flags())
	completeServers(a, cmd)
	return cmd
}

func (f *backupFlags) register(fl *pflag.FlagSet) {
	onOff(fl, &f.immediate, "immediate-checkpoint", "make the initial checkpoint at full speed", "spread the initial checkpoint over time")
	fl.StringVar(&f.incremental, "incremental", "", "copy only the blocks that have changed since `BACKUP_ID` (PostgreSQL 17)")
	reuse := fl.VarPF(choice{&f.reuse, []string{"copy", "link", "off"}}, "reuse-backup", "",
		"share unchanged files with the previous backup: `MODE` link, copy or off")
	reuse.NoOptDefVal = "link"
	reuse.Annotations = map[string][]string{argparse.OptionalValue: {}}
	addCopyFlags(fl, &f.retryTimes, &f.retrySleep, &f.jobs, &f.batchSize, &f.batchPeriod, &f.bwlimit)
	positive(fl, &f.servers, "jobs-servers", "", "back up `N` servers at the same time")
	fl.BoolVarP(&f.wait, "wait", "w", false, "wait until the WAL of the backup is archived")
	nonNegative(fl, &f.waitTimeout, "wait-timeout", "wait at most `SECONDS`; 0 is for ever")
	nonNegative(fl, &f.keepalive, "keepalive-interval", "probe the PostgreSQL session every `SECONDS`; 0 never")
	fl.StringVar(&f.name, "name", "", "a friendly `NAME`, usable wherever a backup id is")
	onOff(fl, &f.manifest, "manifest", "write a backup_manifest after an rsync backup", "do not write a backup_manifest")
	nonNegative(fl, &f.checkTimeout, "check-timeout", "give the checks before the backup at most `SECONDS`; 0 is no limit")
}

// override lays the command line over the server's options.
func (f *backupFlags) override(cmd *cobra.Command, s *server) {
	set := func(name string, apply func()) {
		if changed(cmd.Flags(), name) {
			apply()
		}
	}
	set("immediate-checkpoint", func() { s.ImmediateCheckpoint = f.immediate })
	set("reuse-backup", func() { s.ReuseBackup = f.reuse })
	set("retry-times", func() { s.BasebackupRetryTimes = f.retryTimes })
	set("retry-sleep", func() { s.BasebackupRetrySleep = seconds(f.retrySleep) })
	set("jobs", func() { s.ParallelJobs = f.jobs })
	set("jobs-start-batch-size", func() { s.ParallelJobsStartBatchSize = f.batchSize })
	set("jobs-start-batch-period", func() { s.ParallelJobsStartBatchPeriod = seconds(f.batchPeriod) })
	set("bwlimit", func() { s.BandwidthLimit = f.bwlimit })
	set("keepalive-interval", func() { s.KeepaliveInterval = seconds(f.keepalive) })
	set("manifest", func() { s.AutogenerateManifest = f.manifest })
	set("check-timeout", func() { s.CheckTimeout = seconds(f.checkTimeout) })
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// takeBackup checks, locks, takes the backup, and does what follows one. The result is nil unless the backup has succeeded.
func (s *server) takeBackup(ctx context.Context, f *backupFlags) (*catalog.BackupInfo, error) {
	parent := ""
	if f.incremental != "" {
		var err error
		if parent, err = s.incrementalParent(ctx, f.incremental); err != nil {
			return nil, err
		}
	}
	if failed := s.checks(ctx, s.CheckTimeout).Blocking(); len(failed) > 0 {
		for _, row := range failed {
			s.log.Error("check failed", "server", s.Name, "check", row.Label, "hint", row.Hint)
		}
		s.out.Error("Impossible to start the backup. Check the log for more details, or run 'barman check %s'", s.Name)
		s.explain(failed)
		return nil, errReported
	}
	taken, err := s.runBackup(ctx, f, parent)
	if taken == nil {
		return nil, err
	}
	// The lock is free again: what follows concerns WAL, and takes its own locks. It happens after a failure as well.
	after, afterErr := s.afterBackup(context.WithoutCancel(ctx), taken, err)
	if err != nil {
		return nil, errReported // by the backup itself
	}
	return after, afterErr
}

// explain names the checks that keep a backup from starting, below the server as `barman check` does, so that nobody has to look into the
// log for them. It is one message: of several servers, and in JSON, it shows which one it is about.
func (s *server) explain(failed []check.Row) {
	lines := []string{"Server " + s.Name + ":"}
	for _, row := range failed {
		line := "\t" + row.Label + ": FAILED"
		if row.Hint != "" {
			line += " (" + row.Hint + ")"
		}
		lines = append(lines, line)
	}
	s.out.Info("%s", strings.Join(lines, "\n"))
}

// runBackup takes a backup, an incremental one when parent is not empty.
func (s *server) runBackup(ctx context.Context, f *backupFlags, parent string) (*catalog.BackupInfo, error) {
	l, err := s.lock(ctx, lock.ForServer(lock.Backup, s.Name))
	if errors.Is(err, lock.ErrBusy) {
		return nil, fmt.Errorf("Another backup process is running (%s)", lock.By(err))
	}
	if err != nil {
		return nil, err
	}
	defer l.Release() //nolint:errcheck // the lock ends with the process at the latest
	options, err := s.backupOptions(f)
	if err != nil {
		return nil, err
	}
	options.Parent = parent
	plugin, description, err := s.transferPlugin(ctx, s.BackupMethod)
	if err != nil {
		return nil, err
	}
	hooks, err := s.hooks()
	if err != nil {
		return nil, err
	}
	keeper, err := s.keeper()
	if err != nil {
		return nil, err
	}
	// What a killed process has left is none of this backup's business, but nobody else may look at it sooner.
	if err := keeper.ReapHolding(); err != nil {
		s.out.Warning("cannot mark interrupted backups of server %s as FAILED: %s", s.Name, err)
	}
	bar := s.out.Progress("backup " + s.Name)
	defer bar.Done()
	runner := &backup.Runner{
		Options: options, Catalog: s.catalog, Transfer: plugin, Mode: description.Mode, Hooks: hooks.backup(),
		WAL: backupWAL{s, keeper}, Out: s.out, Progress: bar, Log: s.log, Now: now,
	}
	return runner.Run(ctx)
}

func (s *server) backupOptions(f *backupFlags) (backup.Options, error) {
	o := backup.Options{
		Server: s.Name, Method: s.BackupMethod, Name: f.name, StreamingName: s.StreamingBackupName,
		PrimaryCheckpointTimeout: s.PrimaryCheckpointTimeout, ImmediateCheckpoint: s.ImmediateCheckpoint,
		Exclusive: s.BackupOptions.Has("exclusive_backup"),
		Keepalive: s.KeepaliveInterval, Reuse: reuseMode(s.ReuseBackup), Workers: s.ParallelJobs,
		BandwidthLimit: s.BandwidthLimit, TablespaceBandwidthLimit: s.TablespaceBandwidthLimit,
		NetworkCompression: s.NetworkCompression,
		Retry:              transfer.Retry{Times: s.BasebackupRetryTimes, Sleep: s.BasebackupRetrySleep},
		StartBatchSize:     s.ParallelJobsStartBatchSize, StartBatchPeriod: s.ParallelJobsStartBatchPeriod,
		ExternalConfiguration: s.BackupOptions.Has("external_configuration"),
		Wait:                  f.wait, WaitTimeout: seconds(f.waitTimeout), Manifest: s.AutogenerateManifest,
	}
	var err error
	if o.Conninfo, err = s.conninfo(s.ConnInfo); err != nil {
		return o, err
	}
	if o.Streaming, err = s.conninfo(s.StreamingConnInfo); err != nil {
		return o, err
	}
	if s.PrimaryConnInfo != "" {
		primary, err := s.conninfo(s.PrimaryConnInfo)
		if err != nil {
			return o, err
		}
		o.Primary = &primary
	}
	if o.Remote, err = s.sshCommand(); err != nil {
		return o, err
	}
	o.Compression = s.baseCompression()
	return o, nil
}

// baseCompression is that of base backups; nil for none.
func (s *server) baseCompression() *transfer.Compression {
	if s.BackupCompression == "" {
		return nil
	}
	return &transfer.Compression{
		Algorithm: s.BackupCompression, Format: s.BackupCompressionFormat, Level: s.BackupCompressionLevel,
		Workers: s.BackupCompressionWorkers, Location: s.BackupCompressionLocation,
	}
}

func reuseMode(text string) transfer.Reuse {
	switch text {
	case "link":
		return transfer.ReuseLink
	case "copy":
		return transfer.ReuseCopy
	}
	return transfer.ReuseOff
}

// afterBackup archives what has come, checks the backup, and removes WAL that no backup can use. It returns the backup as it is
// then, nil for one that has failed.
func (s *server) afterBackup(ctx context.Context, b *catalog.BackupInfo, failed error) (*catalog.BackupInfo, error) {
	if err := s.archiveWAL(ctx, false, nil); err != nil && !errors.Is(err, lock.ErrBusy) {
		return nil, err
	}
	if failed != nil {
		return nil, nil
	}
	keeper, err := s.keeper()
	if err != nil {
		return nil, err
	}
	if b.Status == catalog.StatusWaitingForWALs {
		if checked, err := keeper.CheckBackup(ctx, b.ID); err == nil {
			b = checked
		} else if !errors.Is(err, lock.ErrBusy) {
			return nil, err
		}
	}
	if !s.WORMMode {
		if err := keeper.PurgeBeforeFirst(ctx, b.ID); err != nil {
			return nil, err
		}
	}
	if b.Status == catalog.StatusWaitingForWALs {
		s.out.Warning("IMPORTANT: this backup is classified as WAITING_FOR_WALS, meaning that Barman has not received yet all " +
			"the required WAL files for the backup consistency.\nThis is a common behaviour in concurrent backup scenarios, and " +
			"Barman automatically set the backup as DONE once all the required WAL files have been archived.\n" +
			"Hint: execute the backup command with '--wait'")
	}
	return b, nil
}

// backupWAL is what a backup needs of the WAL archive.
type backupWAL struct {
	s      *server
	keeper interface {
		CheckBackup(ctx context.Context, id string) (*catalog.BackupInfo, error)
	}
}

func (w backupWAL) Archive(ctx context.Context) error {
	err := w.s.archiveWAL(ctx, false, nil)
	if errors.Is(err, lock.ErrBusy) {
		return nil // another process is at it
	}
	return err
}

func (w backupWAL) Check(ctx context.Context, id string) (*catalog.BackupInfo, error) {
	return w.keeper.CheckBackup(ctx, id)
}

func (w backupWAL) Contains(name string) (bool, error) {
	seg, err := wal.ParseSegment(name)
	if err != nil {
		return false, err
	}
	return fileExists(w.s.layout.SegmentPath(seg))
}
