package recovery

import (
	"context"
	"path/filepath"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/sdk/transfer"
)

// restore is one run of a plan.
type restore struct {
	*Restorer
	options *Options
	plan    *Plan
	copier  Copier
	// data is the backup's copy of PGDATA: in the catalog, or where it was unpacked to be copied.
	data string
	// staging is the work area of a tar backup for another host; nil when there is none.
	staging *staging
	// sent are names from archives that the other host has unpacked; nil when there are none.
	sent *sentNames
	// trees watch the directories of a local destination for errors of the disk.
	trees []*fsx.Tree
}

// Run restores a backup. The error is a *PlanError when nothing was written, the error of a hook that stopped the
// restore before anything was written, or a *StepError when the destination is not complete.
func (r *Restorer) Run(ctx context.Context, o Options) (*Result, error) {
	started := r.Now()
	r.archivePending(ctx)
	copier, err := r.OpenCopier(ctx, o.remote())
	if err != nil {
		return nil, err
	}
	var held lease
	defer held.end() //nolint:errcheck // it ends with the process at the latest
	plan, err := r.plan(ctx, &o, copier, &held)
	if plan != nil {
		for _, w := range plan.Warnings {
			r.Out.Warning("%s", w)
		}
	}
	if err != nil {
		return nil, err
	}
	event := hookEvent(plan, &o)
	if err := r.Hooks.Pre(ctx, event); err != nil {
		return nil, err
	}
	run := &restore{Restorer: r, options: &o, plan: plan, copier: copier, data: r.Catalog.Layout.DataPath(plan.Backup.ID)}
	result := &Result{Plan: plan, Started: started}
	if err := run.execute(ctx, result); err != nil {
		return nil, err
	}
	// Nothing is read any more, and a hook may delete backups.
	if err := held.end(); err != nil {
		r.Log.Warn("giving back the lease on a backup", "server", r.Server, "backup", plan.Backup.ID, "error", err)
	}
	r.Hooks.Post(ctx, event)
	result.Elapsed = r.Now().Sub(started)
	return result, nil
}

// archivePending files what has been delivered, so that the plan knows the newest WAL.
func (r *Restorer) archivePending(ctx context.Context) {
	if r.Archive == nil {
		return
	}
	if err := r.Archive(ctx); err != nil {
		r.Out.Warning("WAL that waits to be archived is left out: %v", err)
	}
}

// execute is the restore itself. Its order is what makes it safe: see the package comment.
func (r *restore) execute(ctx context.Context, result *Result) (err error) {
	r.announce()
	defer r.closeTrees()
	defer r.removeStaging()
	lines := r.recoveryLines(result)
	steps := []struct {
		doing string
		do    func(context.Context) error
	}{
		{"preparing the destination", r.markIncomplete},
		{"watching the destination", r.openTrees},
		{"copying base backup", r.copyBase},
		{"linking tablespaces", r.linkTablespaces},
		{"writing the description of the backup", r.describe},
		{"copying WAL files", r.copyNeededWAL},
		{"writing the recovery configuration", func(ctx context.Context) error { return r.configure(ctx, lines) }},
		{"identifying dangerous settings", func(ctx context.Context) error { return r.secure(ctx, result, lines) }},
		{"copying the control file", r.copyControl},
		{"making the restored files durable", r.sync},
		{"completing the data directory", r.complete},
	}
	for _, step := range steps {
		if err := ctx.Err(); err != nil {
			return &StepError{Step: step.doing, Destination: r.plan.Destination, Err: context.Cause(ctx)}
		}
		if err := step.do(ctx); err != nil {
			return &StepError{Step: step.doing, Destination: r.plan.Destination, Err: err}
		}
	}
	return nil
}

// zoneAssumed is Barman's warning about a target time without a zone.
const zoneAssumed = "No time zone has been specified through '--target-time' command-line option. " +
	"Barman assumed the same time zone from the Barman host."

func (r *restore) announce() {
	r.Out.Info("Starting %s restore for server %s using backup %s", r.options.place(), r.plan.Server, r.plan.Backup.ID)
	r.Out.Info("Destination directory: %s", r.plan.Destination)
	if r.options.remote() {
		r.Out.Info("Remote command: %s", r.plan.Remote)
	}
	if r.plan.Resumed {
		r.Out.Info("Continuing the interrupted restore of the same backup")
	}
	if r.plan.Target.ZoneAssumed {
		r.Out.Warning(zoneAssumed)
	}
	if r.plan.Backup.Status == catalog.StatusWaitingForWALs && r.options.GetWAL {
		r.Out.Warning("Backup %s still waits for WAL files; the server needs them to become consistent.", r.plan.Backup.ID)
	}
	if r.plan.Target.PITR() {
		r.Out.Info("%s", r.plan.Target.describe())
	}
	if r.plan.Target.Kind == ToTime {
		r.Out.Info("%s", r.plan.onClocks(r.plan.Target.Time))
	}
}

// recoveryLines are the settings to write; none when PostgreSQL needs no configuration.
func (r *restore) recoveryLines(result *Result) []string {
	if !usesSettings(r.plan.Target, r.options.GetWAL, r.options.StandbyMode) {
		return nil
	}
	if r.options.GetWAL {
		result.GetWALFile = recoveryFile(r.plan.Backup.Version, r.options)
	}
	return recoveryLines(r.plan, r.options, r.Client)
}

// copyNeededWAL copies WAL unless PostgreSQL will ask for it, and leaves the server a WAL directory in any case.
func (r *restore) copyNeededWAL(ctx context.Context) error {
	own := filepath.Join(r.plan.Destination, r.plan.Backup.WALDirectory(), archiveStatus)
	if err := r.apply(ctx, transfer.FileChange{Action: transfer.Mkdir, Path: own, Mode: 0o700}); err != nil {
		return err
	}
	if r.options.GetWAL {
		return nil
	}
	return r.copyWAL(ctx)
}

// configure writes what starts recovery, besides the settings themselves.
func (r *restore) configure(ctx context.Context, lines []string) error {
	if !usesSettings(r.plan.Target, r.options.GetWAL, r.options.StandbyMode) {
		return nil
	}
	r.Out.Info("Generating recovery configuration")
	if r.plan.Backup.Version >= versionSignals {
		return r.apply(ctx, write(filepath.Join(r.plan.Destination, signalFile(r.options.StandbyMode)), ""))
	}
	m := mangled{}
	m.appendLines(lines)
	return r.apply(ctx, write(filepath.Join(r.plan.Destination, recoveryFile(r.plan.Backup.Version, r.options)), m.content))
}

func (r *restore) secure(ctx context.Context, result *Result, lines []string) error {
	r.Out.Info("Identify dangerous settings in destination directory.")
	return r.secureSettings(ctx, result, lines)
}

// openTrees starts to watch the file systems of a local destination, before anything large is written to them: only
// then is an error that the kernel finds later reported here. On a remote host the plugin syncs at the end.
func (r *restore) openTrees(ctx context.Context) error {
	if r.options.remote() {
		return nil
	}
	for _, dir := range r.plan.directories() {
		tree, err := fsx.OpenTree(dir)
		if err != nil {
			return err
		}
		r.trees = append(r.trees, tree)
	}
	return nil
}

func (r *restore) sync(ctx context.Context) error {
	if r.options.remote() {
		var changes []transfer.FileChange
		for _, dir := range r.plan.directories() {
			changes = append(changes, transfer.FileChange{Action: transfer.Sync, Path: dir})
		}
		return r.apply(ctx, changes...)
	}
	for _, tree := range r.trees {
		if err := tree.Sync(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *restore) closeTrees() {
	for _, tree := range r.trees {
		if err := tree.Close(); err != nil {
			r.Log.Warn("closing a directory", "error", err)
		}
	}
}
