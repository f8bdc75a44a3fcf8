package backup

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/manifest"
	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/sdk/progress"
	"github.com/barman-go/barman/sdk/transfer"
)

// Run takes a backup and returns its catalog entry. When the error is not nil the entry, if there is one, is FAILED and
// the reason was reported.
func (r *Runner) Run(ctx context.Context) (*catalog.BackupInfo, error) {
	s, err := r.begin()
	if err != nil {
		return nil, err
	}
	err = s.take(ctx)
	s.reserve.release()
	if r.Parent != "" {
		// Whatever became of it, as in Barman: a tool that goes by the parent's list finds all that depends on it.
		if err := r.Catalog.AddChild(r.Parent, s.info.ID); err != nil {
			r.Out.Warning("backup %s cannot be noted in its parent %s: %s", s.info.ID, r.Parent, err)
		}
	}
	if err != nil {
		s.fail(ctx, err)
	} else if r.Wait {
		s.wait(ctx)
	}
	r.Hooks.Post(afterwards(ctx), s.info)
	if err == nil && r.Manifest && r.Mode == transfer.FileCopy {
		s.writeManifest(ctx)
	}
	return s.info, err
}

// afterwards is the context of the hooks that follow a backup: they run whatever became of it, also when the user has interrupted it. An
// interruption while they run ends them.
func afterwards(ctx context.Context) context.Context {
	if ctx.Err() != nil {
		return context.WithoutCancel(ctx)
	}
	return ctx
}

// begin makes the directories and the catalog entry.
func (r *Runner) begin() (*session, error) {
	for _, dir := range append(r.Catalog.Layout.Directories(), r.Catalog.Layout.Meta()) {
		if err := fsx.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("failed to create %s directory: %w", dir, err)
		}
	}
	backups, err := r.Catalog.List()
	if err != nil {
		return nil, err
	}
	id, err := r.Catalog.NewID(r.Now())
	if err != nil {
		return nil, err
	}
	s := &session{Runner: r, info: catalog.NewBackupInfo(id, r.Server, r.mode())}
	s.info.BackupName, s.info.ParentID = r.Name, r.Parent
	if r.Parent != "" && backups.Get(r.Parent) == nil {
		return nil, fmt.Errorf("failed to start backup: backup %s, which it is to be based on, has been deleted", r.Parent)
	}
	s.previous = backups.Previous(id, catalog.Usable...)
	// Before there is an entry: one that could not be changed any more would stay EMPTY.
	if s.reserve, err = takeReserve(r.Catalog.Layout.InfoPath(id)); err != nil {
		return nil, fmt.Errorf("failed to start backup: %w", err)
	}
	if err := r.Catalog.Save(s.info); err != nil {
		s.reserve.release()
		return nil, err
	}
	r.Out.Info("Starting backup using %s method for server %s in %s", s.info.Mode, r.Server, r.Catalog.Layout.BackupPath(id))
	return s, nil
}

// mode is one of those that Barman knows: other programs refuse a catalog with an unknown one.
func (r *Runner) mode() catalog.Mode {
	if r.Mode == transfer.SelfContained {
		return catalog.ModePostgres
	}
	if r.Exclusive {
		return catalog.ModeRsyncExclusive
	}
	return catalog.ModeRsyncConcurrent
}

// take does everything between the entry and WAITING_FOR_WALS.
func (s *session) take(ctx context.Context) error {
	if err := s.Hooks.Pre(ctx, s.info); err != nil {
		return failed(actionStart, err)
	}
	if err := s.connect(ctx); err != nil {
		return failed(actionIssue, err)
	}
	defer s.conn.Close()
	if err := s.collectFacts(ctx); err != nil {
		return failed(actionIssue, err)
	}
	if err := s.checkSpace(); err != nil {
		return failed(actionStart, err)
	}
	if err := s.openTree(); err != nil {
		return failed(actionCopy, err)
	}
	defer s.tree.Close() //nolint:errcheck // only synced, never written
	var err error
	switch s.Mode {
	case transfer.FileCopy:
		err = s.copyBackup(ctx)
	case transfer.SelfContained:
		err = s.takeBackup(ctx)
	default:
		err = failed(actionStart, fmt.Errorf("transfer plugin %s can neither copy files nor take backups", s.Method))
	}
	if err != nil {
		return err
	}
	s.restorePoint(ctx)
	if err := s.finalise(ctx); err != nil {
		return failed(actionFinalise, err)
	}
	s.Out.Info("Backup end at LSN: %s (%s, %08X)", s.info.EndLSN, s.info.EndWAL, s.info.EndOffset.N)
	s.Out.Info("Backup completed (start time: %s, elapsed time: %s)",
		report.NaiveTimestamp(s.copyStart), report.Duration(s.Now().Sub(s.copyStart)))
	return nil
}

// openTree makes the backup's directory, and opens it before anybody writes into it.
func (s *session) openTree() (err error) {
	dir := s.Catalog.Layout.BackupPath(s.info.ID)
	if err := fsx.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		return err
	}
	s.tree, err = fsx.OpenTree(dir)
	return err
}

func (s *session) connect(ctx context.Context) (err error) {
	s.conn, err = postgres.Connect(ctx, s.Conninfo, "barman")
	return err
}

// collectFacts notes what describes the server at the start of the backup.
func (s *session) collectFacts(ctx context.Context) error {
	f, err := s.conn.Facts(ctx, postgres.FactsOptions{ClusterSize: true})
	if err != nil {
		return err
	}
	b := s.info
	b.PGData, b.ConfigFile, b.HBAFile, b.IdentFile = f.DataDirectory, f.ConfigFile, f.HBAFile, f.IdentFile
	if b.PGData == "" {
		return fmt.Errorf("%w: the role may not read data_directory; grant it pg_read_all_settings", postgres.ErrPrivileges)
	}
	b.IncludedFiles = f.IncludedFiles
	b.Version, b.SegmentSize, b.SystemID = f.Version.Num, f.SegmentSize, f.SystemID.String()
	b.DataChecksums, b.SummarizeWAL = f.DataChecksums(), f.SummarizeWAL()
	if f.ClusterSize != nil {
		b.ClusterSize = catalog.Int(*f.ClusterSize)
	}
	for _, t := range f.Tablespaces {
		b.Tablespaces = append(b.Tablespaces, catalog.Tablespace{Name: t.Name, OID: t.OID, Location: t.Location})
	}
	if s.Primary != nil && !f.InRecovery {
		s.Out.Warning("'primary_conninfo' is set but 'conninfo' does not point to a standby server. Ignoring 'primary_conninfo'.")
		s.Primary = nil
	}
	identity := catalog.Identity{SystemID: b.SystemID, Version: fmt.Sprint(f.Version.Major())}
	return s.checkIdentity(identity)
}

// checkIdentity ties the catalog to the cluster of its first backup.
func (s *session) checkIdentity(now catalog.Identity) error {
	known, found, err := s.Catalog.Identity()
	if err != nil {
		return err
	}
	if !found {
		_, err := s.Catalog.WriteIdentity(now)
		return err
	}
	if known.SystemID != now.SystemID {
		return fmt.Errorf("the server's system identifier is %s, and the catalog belongs to %s (%s): is conninfo right? "+
			"For a new cluster use a new server name", now.SystemID, known.SystemID, s.Catalog.Layout.IdentityPath())
	}
	return nil
}

// started records the start of the backup.
func (s *session) started() error {
	b := s.info
	if err := b.SetStatus(catalog.StatusStarted); err != nil {
		return err
	}
	if err := s.Catalog.Save(b); err != nil {
		return err
	}
	where := ""
	if b.BeginWAL.Timeline != 0 {
		where = fmt.Sprintf(" (%s, %08X)", b.BeginWAL, b.BeginOffset.N)
	}
	s.Out.Info("Backup start at LSN: %s%s", b.BeginLSN, where)
	if s.previous == nil {
		s.Out.Info("This is the first backup for server %s", s.Server)
	}
	return nil
}

// restorePoint leaves a name in the WAL by which a recovery can find the end of this backup. Nothing depends on it.
func (s *session) restorePoint(ctx context.Context) {
	_, err := s.conn.CreateRestorePoint(ctx, "barman_"+s.info.ID)
	if err != nil && !errors.Is(err, postgres.ErrInRecovery) {
		s.Log.Warn("cannot create a restore point", "server", s.Server, "error", err)
	}
}

// finalise makes the copy durable and measures it. WAITING_FOR_WALS is recorded last: it promises both.
func (s *session) finalise(ctx context.Context) error {
	layout := s.Catalog.Layout
	dir := layout.BackupPath(s.info.ID)
	if err := s.tree.Sync(ctx); err != nil {
		return err
	}
	if err := fsx.SyncDir(layout.Base); err != nil {
		return err
	}
	size, err := fsx.TreeSize(ctx, dir)
	if err != nil {
		return err
	}
	s.info.Size, s.info.DeduplicatedSize = catalog.Int(size.Bytes), catalog.Int(size.Deduplicated)
	if s.Reuse == transfer.ReuseLink {
		ratio := 0.0
		if size.Bytes > 0 {
			ratio = 1 - float64(size.Deduplicated)/float64(size.Bytes)
		}
		s.Out.Info("Backup size: %s. Actual size on disk: %s (-%s deduplication ratio).",
			report.Size(size.Bytes), report.Size(size.Deduplicated), report.Percent(ratio))
	} else {
		s.Out.Info("Backup size: %s", report.Size(size.Bytes))
	}
	if err := s.info.SetStatus(catalog.StatusWaitingForWALs); err != nil {
		return err
	}
	return s.Catalog.Save(s.info)
}

// estimated fills in a total that the plugin does not know from the size of the cluster.
func (s *session) estimated() progress.Reporter {
	return progress.Func(func(p progress.Progress) {
		if p.BytesTotal == 0 {
			p.BytesTotal = s.info.ClusterSize.N
		}
		s.Progress.Progress(p)
	})
}

// writeManifest lists the files of a backup that is complete. The backup is good whether or not it has a manifest.
func (s *session) writeManifest(ctx context.Context) {
	err := manifest.Generate(ctx, manifest.TreeOf(s.Catalog.Layout, s.info), manifest.Options{
		Workers: runtime.NumCPU(), Progress: s.Progress, Total: s.info.Size.N,
	})
	if err != nil {
		s.Out.Error("backup %s is complete, but has no manifest: %s", s.info.ID, err)
		return
	}
	s.Out.Info("Backup manifest for backup '%s' successfully generated for server %s", s.info.ID, s.Server)
}

// fail records and reports the end of a backup that did not succeed. It must work when ctx has ended.
func (s *session) fail(ctx context.Context, err error) {
	action, reason := actionStart, err
	var f *failure
	if errors.As(err, &f) {
		action, reason = f.action, f.err
	}
	if cause := context.Cause(ctx); cause != nil {
		// The tool's complaint about its end says less than why it was ended.
		reason = cause
	}
	first, _, _ := strings.Cut(reason.Error(), "\n")
	if ferr := s.info.Fail(fmt.Sprintf("failure %s (%s)", action, first)); ferr == nil {
		if serr := s.Catalog.Save(s.info); serr != nil {
			s.Out.Error("cannot record the failure of backup %s: %s", s.info.ID, serr)
		}
	}
	s.Out.Error("Backup failed %s.\nDETAILS: %s", action, reason)
}

// waitInterval is the pause between two looks at the archive.
const waitInterval = 100 * time.Millisecond

// wait archives what comes in until the last segment of the backup is there.
func (s *session) wait(ctx context.Context) {
	name := s.info.EndWAL.String()
	limit := ""
	if s.WaitTimeout > 0 {
		limit = fmt.Sprintf(" (max: %d seconds)", int(s.WaitTimeout.Seconds()))
	}
	s.Out.Info("Waiting for the WAL file %s from server '%s'%s", name, s.Server, limit)
	waiting := ctx
	if s.WaitTimeout > 0 {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeout(ctx, s.WaitTimeout)
		defer cancel()
	}
	err := s.waitFor(waiting, name)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		s.Out.Info("Got CTRL-C. Continuing without waiting for '%s' to be archived", name)
	case errors.Is(err, context.DeadlineExceeded):
		s.Out.Error("The WAL file %s has not been received in %d seconds", name, int(s.WaitTimeout.Seconds()))
	default:
		s.Out.Error("%s", err)
	}
	// The backup is good whether or not its last segment came while we waited.
	checked, err := s.WAL.Check(context.WithoutCancel(ctx), s.info.ID)
	if err != nil {
		s.Out.Error("%s", err)
		return
	}
	s.info = checked
}

func (s *session) waitFor(ctx context.Context, name string) error {
	tick := time.NewTicker(waitInterval)
	defer tick.Stop()
	for {
		if err := s.WAL.Archive(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		if found, err := s.WAL.Contains(name); err != nil || found {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
