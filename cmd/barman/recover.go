package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/shlex"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/barman-go/barman/core/hook"
	"github.com/barman-go/barman/core/recovery"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/core/wal"
	sdkhook "github.com/barman-go/barman/sdk/hook"
	"github.com/barman-go/barman/sdk/transfer"
)

type recoverFlags struct {
	recovery.Options
	remote                      string
	getWAL, delta, compress     bool
	plan                        bool
	jobs, size, period, bwlimit int
	retryTimes, retrySleep      int
	stagingLocation             string
}

func newRecoverCommand(a *app) *cobra.Command {
	var f recoverFlags
	cmd := &cobra.Command{
		Use:     "recover [options] SERVER BACKUP_ID DESTINATION",
		Aliases: []string{"restore"},
		Short:   "Restore a backup, to any point in time",
		Long: `Restore a backup into DESTINATION, here or on another host, so that PostgreSQL recovers from it to a target when it
is started. BACKUP_ID may be "auto": the best backup for the target.

Everything that can be known is checked before a byte is copied: whether the target can be reached, whether all WAL
is there, whether the destination is empty, writable and large enough. With --plan that is all: the same checks are made,
what would be done is printed, and the exit code is 1 when the restore could not start.`,
		Example: `  barman recover main latest /var/lib/postgresql/15/main
  barman recover --plan --target-time '2026-01-10 10:00:00+00' main auto /srv/pg
  barman recover --target-time '2026-01-10 10:00:00+00' main auto /srv/pg
  barman recover --target-name before_release --target-action promote main latest /srv/pg
  barman recover --remote-ssh-command 'ssh postgres@db2' --tablespace hot:/fast/hot main latest /srv/pg`,
		Args: usage(cobra.ExactArgs(3)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !oneOf(f.TargetAction, "", "pause", "shutdown", "promote") {
				return usageError{fmt.Errorf("'%s' is not a valid recovery target action", f.TargetAction)}
			}
			if !validTimeline(f.TargetTimeline) {
				return usageError{fmt.Errorf("'%s' is not a valid recovery target timeline", f.TargetTimeline)}
			}
			if err := checkNotEmpty(cmd.Flags()); err != nil {
				return err
			}
			s, err := a.oneServer(args[0], onlyEnabled)
			if s == nil {
				return err
			}
			o, err := f.options(cmd, s, args[1], args[2])
			if err != nil {
				return err
			}
			if f.plan {
				return s.planRecovery(cmd.Context(), o)
			}
			return s.recover(cmd.Context(), o)
		},
	}
	f.register(cmd.Flags())
	completeBackups(a, cmd)
	return cmd
}

func (f *recoverFlags) register(fl *pflag.FlagSet) {
	fl.BoolVar(&f.plan, "plan", false, "make all checks and print what would be done; restore nothing")
	fl.StringVar(&f.TargetTime, "target-time", "", "recover up to `TIME`, as in \"2026-01-10 10:00:00+00\"")
	fl.StringVar(&f.TargetXID, "target-xid", "", "recover up to transaction `XID`")
	fl.StringVar(&f.TargetLSN, "target-lsn", "", "recover up to `LSN`")
	fl.StringVar(&f.TargetName, "target-name", "", "recover up to the restore point `NAME`")
	fl.BoolVar(&f.TargetImmediate, "target-immediate", false, "recover until the backup is consistent")
	fl.StringVar(&f.TargetTimeline, "target-tli", "", "recover along timeline `TLI`: a number, current or latest")
	fl.BoolVar(&f.Exclusive, "exclusive", false, "stop just before the target")
	fl.StringVar(&f.TargetAction, "target-action", "", "the `ACTION` of PostgreSQL at the target: pause, shutdown or promote")
	fl.BoolVar(&f.StandbyMode, "standby-mode", false, "make a standby")
	fl.StringArrayVar(&f.Tablespaces, "tablespace", nil, "move a tablespace: `NAME:LOCATION`; may be repeated")
	fl.StringVar(&f.remote, "remote-ssh-command", "", "restore on another host, reached with `COMMAND`")
	fl.StringVar(&f.StagingWALDirectory, "staging-wal-directory", "", "put the WAL of a point-in-time recovery into `DIR`")
	onOff(fl, &f.getWAL, "get-wal", "let PostgreSQL fetch WAL from here while it recovers", "copy the WAL")
	onOff(fl, &f.delta, "delta-restore", "allow a destination that is not empty, and copy only what differs", "want an empty destination")
	onOff(fl, &f.compress, "network-compression", "compress the copy to another host", "do not compress the copy")
	fl.StringVar(&f.ConfFilename, "recovery-conf-filename", "", "write recovery settings to `FILE` (default: postgresql.auto.conf)")
	fl.IntVar(&f.OptionPort, "recovery-option-port", 0, "ssh `PORT` in the restore_command of a remote --get-wal")
	fl.StringVar(&f.StagingPath, "staging-path", "", "work area for compressed and incremental backups: an absolute `PATH`")
	fl.Var(choice{&f.stagingLocation, []string{"local", "remote"}}, "staging-location", "`HOST` of the work area: local or remote")
	fl.StringVar(&f.RecoveryStagingPath, "recovery-staging-path", "", "deprecated, use --staging-path `PATH`")
	fl.StringVar(&f.LocalStagingPath, "local-staging-path", "", "deprecated, use --staging-path `PATH`")
	fl.Var(choice{&f.CombineMode, []string{"copy", "link", "clone", "copy-file-range"}}, "combine-mode",
		"how files of incremental backups are copied: `MODE` copy, link, clone or copy-file-range")
	for _, option := range []struct{ name, help string }{
		{"snapshot-recovery-instance", "the `INSTANCE` to which the disks of a snapshot backup are attached"},
		{"snapshot-recovery-zone", "deprecated, use --gcp-zone `ZONE`"},
		{"gcp-zone", "the `ZONE` of that instance, on GCP"},
		{"azure-resource-group", "the resource `GROUP` of that instance, on Azure"},
		{"aws-region", "the `REGION` of that instance, on AWS"},
	} {
		fl.Var(snapshotArgument{&f.Options, option.name}, option.name, option.help)
	}
	addCopyFlags(fl, &f.retryTimes, &f.retrySleep, &f.jobs, &f.size, &f.period, &f.bwlimit)
}

// snapshotArgument is an option of snapshot backups.
type snapshotArgument struct {
	options *recovery.Options
	name    string
}

func (snapshotArgument) String() string { return "" }
func (snapshotArgument) Type() string   { return "string" }
func (a snapshotArgument) Set(text string) error {
	if a.name == "snapshot-recovery-instance" {
		a.options.SnapshotInstance = text
	}
	a.options.SnapshotArguments = append(a.options.SnapshotArguments, "--"+a.name)
	return nil
}

func validTimeline(text string) bool {
	_, err := wal.ParseTimelineID(text)
	return err == nil || oneOf(text, "", recovery.TimelineCurrent, recovery.TimelineLatest)
}

// neverEmpty are options that decide where to and up to what is restored. An empty value is a script's variable that was not set, and
// not the wish to restore here, and everything.
var neverEmpty = []string{"target-time", "target-xid", "target-lsn", "target-name", "target-tli", "remote-ssh-command"}

func checkNotEmpty(fl *pflag.FlagSet) error {
	for _, name := range neverEmpty {
		if flag := fl.Lookup(name); flag.Changed && strings.TrimSpace(flag.Value.String()) == "" {
			return usageError{fmt.Errorf("the value of --%s is empty", name)}
		}
	}
	return nil
}

// options lays the command line over the server's configuration.
func (f *recoverFlags) options(cmd *cobra.Command, s *server, id, destination string) (recovery.Options, error) {
	o := f.Options
	o.Backup = id
	o.GetWAL, o.Delta = s.RecoveryOptions.Has("get-wal"), s.RecoveryOptions.Has("delta-restore")
	// The option is about the network; only who asks for it on the command line is told when there is none.
	o.NetworkCompression = s.NetworkCompression && f.remote != ""
	o.BandwidthLimit, o.Workers = s.BandwidthLimit, s.ParallelJobs
	o.CombineMode = cmp.Or(o.CombineMode, s.CombineMode)
	o.Retry = transfer.Retry{Times: s.BasebackupRetryTimes, Sleep: s.BasebackupRetrySleep}
	o.StartBatchSize, o.StartBatchPeriod = s.ParallelJobsStartBatchSize, s.ParallelJobsStartBatchPeriod
	o.RemoteCommand = f.remote
	for _, c := range []struct {
		name  string
		apply func()
	}{
		{"get-wal", func() { o.GetWAL = f.getWAL }},
		{"delta-restore", func() { o.Delta = f.delta }},
		{"network-compression", func() { o.NetworkCompression = f.compress }},
		{"jobs", func() { o.Workers = f.jobs }},
		{"jobs-start-batch-size", func() { o.StartBatchSize = f.size }},
		{"jobs-start-batch-period", func() { o.StartBatchPeriod = seconds(f.period) }},
		{"bwlimit", func() { o.BandwidthLimit = f.bwlimit }},
		{"retry-times", func() { o.Retry.Times = f.retryTimes }},
		{"retry-sleep", func() { o.Retry.Sleep = seconds(f.retrySleep) }},
	} {
		if changed(cmd.Flags(), c.name) {
			c.apply()
		}
	}
	o.StagingLocation, o.LocationTyped = s.StagingLocation, cmd.Flags().Changed("staging-location")
	if o.LocationTyped {
		o.StagingLocation = f.stagingLocation
	}
	for _, p := range []struct {
		value      *string
		configured string
	}{{&o.StagingPath, s.StagingPath}, {&o.RecoveryStagingPath, s.RecoveryStagingPath}, {&o.LocalStagingPath, s.LocalStagingPath}} {
		if *p.value == "" {
			*p.value = p.configured
		}
	}
	var err error
	if o.Remote, err = shlex.Split(f.remote); err != nil {
		return o, usageError{fmt.Errorf("--remote-ssh-command: %w", err)}
	}
	o.Destination = destination
	if len(o.Remote) == 0 {
		o.Destination, err = filepath.Abs(destination)
	}
	return o, err
}

// restorer restores backups of the server; whoever restores adds hooks and a reporter of progress.
func (s *server) restorer(o recovery.Options) *recovery.Restorer {
	r := &recovery.Restorer{
		Server: s.Name, Catalog: s.catalog, LockDir: s.LockDirectory, WAL: s.codecs(), Client: s.walClient(o),
		OpenCopier: func(ctx context.Context, remote bool) (recovery.Copier, error) {
			method := "local-rsync"
			if remote {
				method = "rsync"
			}
			return s.plugins().Transfer(ctx, method, s.use("transfer", method, nil))
		},
		PathPrefix: append(slices.Clone(s.PathPrefix), s.cfg.Global.PathPrefix...),
		Out:        s.out, Log: s.log, Now: now, Zone: time.Local,
	}
	for _, other := range s.cfg.Servers {
		if other.Name != s.Name {
			r.OtherCatalogs = append(r.OtherCatalogs, layoutOf(other))
		}
	}
	if !s.Passive() {
		r.Archive = func(ctx context.Context) error { return backupWAL{s: s}.Archive(ctx) }
	}
	return r
}

// planRecovery prints what a restore would do. What is wrong with it is part of the plan.
func (s *server) planRecovery(ctx context.Context, o recovery.Options) error {
	bar := s.out.Progress("recover " + s.Name)
	defer bar.Done()
	r := s.restorer(o)
	r.Progress = bar
	plan, err := r.Plan(ctx, o)
	bar.Done()
	if plan == nil {
		return err
	}
	s.out.Result(plan)
	if err != nil {
		s.out.SetExit(report.ExitError)
	}
	return nil
}

func (s *server) recover(ctx context.Context, o recovery.Options) error {
	hooks, err := s.hooks()
	if err != nil {
		return err
	}
	bar := s.out.Progress("recover " + s.Name)
	defer bar.Done()
	r := s.restorer(o)
	r.Hooks, r.Progress = recoveryHooks{hooks}, bar
	result, err := r.Run(ctx, o)
	bar.Done()
	if result == nil {
		return err
	}
	if s.out.JSON() {
		// The console layout holds them already.
		warnings, infos := result.Notices()
		for _, text := range warnings {
			s.out.Warning("%s", text)
		}
		for _, text := range infos {
			s.out.Info("%s", text)
		}
	}
	s.out.Result(result)
	return err
}

// walClient says how the restored server fetches WAL from here.
func (s *server) walClient(o recovery.Options) recovery.WALClient {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	c := recovery.WALClient{Program: programForOthers(), User: s.cfg.Global.BarmanUser, Host: host, Jobs: o.Workers}
	if s.flags.config != "" {
		if path, err := filepath.Abs(s.flags.config); err == nil {
			c.ConfigFile = path
		}
	}
	return c
}

// recoveryHooks are the hooks around a recovery.
type recoveryHooks struct{ hookSet }

func (h recoveryHooks) event(ev recovery.HookEvent) hook.Event {
	options := map[string]any{}
	if ev.OptionsJSON != "" {
		if err := json.Unmarshal([]byte(ev.OptionsJSON), &options); err != nil {
			h.s.log.Warn("hooks cannot be told the options of the recovery", "server", h.s.Name, "error", err)
		}
	}
	return hook.RecoveryEvent(hook.Recovery{
		Backup: h.describe(ev.Backup), Destination: ev.Destination, Tablespaces: ev.Tablespaces,
		RemoteCommand: ev.RemoteCommand, Options: options,
	})
}

func (h recoveryHooks) Pre(ctx context.Context, ev recovery.HookEvent) error {
	if !h.Has(sdkhook.EventRecovery) {
		return nil
	}
	return h.Set.Pre(ctx, h.event(ev))
}

func (h recoveryHooks) Post(ctx context.Context, ev recovery.HookEvent) {
	if h.Has(sdkhook.EventRecovery) {
		h.Set.Post(ctx, h.event(ev))
	}
}
