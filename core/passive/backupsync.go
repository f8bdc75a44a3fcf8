package passive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/sdk/progress"
	"github.com/barman-go/barman/sdk/transfer"
)

// Copier is a transfer plugin that copies files; *transfer.Client is one.
type Copier interface {
	Copy(ctx context.Context, plan transfer.Plan, rep progress.Reporter) (transfer.CopyResult, error)
	Stat(ctx context.Context, remote []string, paths []string) ([]transfer.PathInfo, error)
}

// BackupSync copies backups from the primary, one at a time. The caller holds the backup's sync lock, and its own lock against deletes.
type BackupSync struct {
	Server  string
	Primary *Primary
	Catalog *catalog.Catalog
	Copier  Copier
	// Plan is what every copy has in common: workers, limits, retries, the command that reaches the primary.
	Plan transfer.Plan
	// TablespaceLimits are bandwidths in kB/s, by the names of tablespaces, that take the place of the plan's.
	TablespaceLimits map[string]int
	// Reuse is what the configuration says about sharing files with other backups; empty means: as the primary does.
	Reuse string
	// Obsolete tells what the local policy says about backups once those of the primary are here, too.
	Obsolete func(list *catalog.Backups) (obsolete func(id string) bool, err error)
	// Purge removes what is here of a backup.
	Purge    func(ctx context.Context, id string) error
	Out      report.Messenger
	Progress progress.Reporter
	Log      hclog.Logger
	Now      func() time.Time
}

// ErrNotAsked means that the primary was never asked for what it has.
var ErrNotAsked = errors.New("the primary node was not asked yet")

// Run does what Decide says about one backup. When it returns nil, the backup is copied as far as it can be: see the result's status. The
// result is nil when nothing was copied.
func (s *BackupSync) Run(ctx context.Context, id string) (*catalog.BackupInfo, error) {
	doc, err := s.Primary.Stored(nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; run 'barman sync-info --primary %s'", ErrNotAsked, s.Server)
	}
	if err != nil {
		return nil, err
	}
	list, err := s.Catalog.List()
	if err != nil {
		return nil, err
	}
	obsolete, err := s.Obsolete(WithRemote(s.Server, list, doc))
	if err != nil {
		return nil, err
	}
	var remote *catalog.BackupInfo
	if b := doc.Backup(id); b != nil {
		if b.Err != nil {
			return nil, fmt.Errorf("what the primary says about backup %s of server %s cannot be understood: %w", id, s.Server, b.Err)
		}
		remote = b.Info
	}
	local := list.Get(id)
	switch Decide(remote, local, obsolete(id)) {
	case Absent:
		return nil, fmt.Errorf("Backup %s is absent on %s server", id, s.Server)
	case Purge:
		s.Out.Warning("Backup %s is absent on %s server and is incomplete locally, purging local backup", id, s.Server)
		return nil, s.Purge(ctx, id)
	case LocalOnly:
		s.Out.Info("Backup %s is absent on %s server, but present locally (local copy only)", id, s.Server)
		return nil, nil
	case Synced:
		s.Out.Info("Backup %s is already synced with %s server", id, s.Server)
		return nil, nil
	case Obsolete:
		s.Out.Info("Remote backup %s/%s is obsolete for local retention policies.", s.Server, id)
		return nil, nil
	case Conflict:
		return nil, s.conflict(remote, local)
	}
	if err := s.parentIsHere(remote, list, doc); err != nil {
		return nil, err
	}
	return s.copyBackup(ctx, remote, list, doc)
}

func (s *BackupSync) conflict(remote, local *catalog.BackupInfo) error {
	why := difference(remote, local)
	if !local.Status.In(catalog.Usable...) {
		why = fmt.Sprintf("its status here is %s", local.Status)
	}
	return fmt.Errorf("backup %s of server %s is another one here than on the primary: %s. Both are kept; delete the one here to copy the other",
		local.ID, s.Server, why)
}

// parentIsHere refuses an incremental backup that could not be restored.
func (s *BackupSync) parentIsHere(b *catalog.BackupInfo, list *catalog.Backups, doc *Document) error {
	parent := list.Get(b.ParentID)
	switch {
	case b.ParentID == "", parent != nil && parent.Status.In(catalog.Usable...):
		return nil
	case doc.Backup(b.ParentID) == nil:
		return fmt.Errorf("backup %s of server %s cannot be restored without backup %s, which neither node has", b.ID, s.Server, b.ParentID)
	}
	return fmt.Errorf("backup %s of server %s cannot be restored without backup %s: run 'barman sync-backup %s %s' first",
		b.ID, s.Server, b.ParentID, s.Server, b.ParentID)
}

// WithRemote are the local backups and, as if they were here, those of the primary.
func WithRemote(server string, list *catalog.Backups, doc *Document) *catalog.Backups {
	all := map[string]*catalog.BackupInfo{}
	for _, b := range list.All {
		all[b.ID] = b
	}
	for _, b := range doc.Backups {
		if b.Info != nil && (all[b.ID] == nil || !all[b.ID].Status.In(catalog.Usable...)) {
			all[b.ID] = b.Info
		}
	}
	var infos []*catalog.BackupInfo
	for _, b := range all {
		infos = append(infos, b)
	}
	return catalog.NewBackups(server, infos...)
}

// copyBackup copies a backup, from its entry in the catalog to WAITING_FOR_WALS. What a run before has left is used.
func (s *BackupSync) copyBackup(ctx context.Context, remote *catalog.BackupInfo, list *catalog.Backups, doc *Document) (*catalog.BackupInfo, error) {
	b := *remote
	b.ServerName, b.Status, b.Error = s.Server, catalog.StatusSyncing, ""
	// Other programs look up every child in the catalog.
	b.ChildrenIDs = slices.DeleteFunc(slices.Clone(b.ChildrenIDs), func(id string) bool { return list.Get(id) == nil })
	if err := s.Catalog.Save(&b); err != nil {
		return nil, err
	}
	s.Out.Info("Starting copy of backup %s for server %s", b.ID, s.Server)
	start := s.Now()
	err := s.fill(ctx, &b, list, doc)
	if err == nil {
		err = s.complete(&b)
	}
	if err != nil {
		return nil, s.fail(ctx, &b, err)
	}
	s.Out.Info("Copied backup %s for server %s (elapsed time: %s)", b.ID, s.Server, report.Duration(s.Now().Sub(start)))
	return &b, nil
}

// fill copies the files, compares what is here with what is there, and makes it durable.
func (s *BackupSync) fill(ctx context.Context, b *catalog.BackupInfo, list *catalog.Backups, doc *Document) error {
	if doc.Config.Base == "" {
		return errors.New("the primary does not tell its basebackups_directory")
	}
	dir := s.Catalog.Layout.BackupPath(b.ID)
	if err := fsx.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// Before anybody writes: see fsx.Tree.
	tree, err := fsx.OpenTree(dir)
	if err != nil {
		return err
	}
	defer tree.Close() //nolint:errcheck // only synced, never written
	source := filepath.Join(doc.Config.Base, b.ID)
	plan := s.Plan
	plan.Op, plan.Direction, plan.Items = "sync-"+b.ID, transfer.Fetch, s.items(b, list, source, dir)
	result, err := s.Copier.Copy(ctx, plan, s.Progress)
	if err != nil {
		return err
	}
	if err := s.linkTablespaces(ctx, b, source); err != nil {
		return err
	}
	size, err := fsx.TreeSize(ctx, dir)
	if err != nil {
		return err
	}
	if size.Files != result.Files || size.Bytes != result.Bytes {
		return fmt.Errorf("%d files of %d bytes were to be copied, and %d files of %d bytes are here", result.Files, result.Bytes, size.Files, size.Bytes)
	}
	if b.Size.Valid && b.Size.N != size.Bytes {
		return fmt.Errorf("the backup has %d bytes here, and %d by the primary's catalog: did it change, or is it damaged there?", size.Bytes, b.Size.N)
	}
	if err := tree.Sync(ctx); err != nil {
		return err
	}
	s.Log.Info("copied", "server", s.Server, "backup", b.ID, "files", result.Files, "bytes", result.Bytes,
		"files_sent", result.FilesCopied, "bytes_sent", result.BytesCopied)
	return fsx.SyncDir(s.Catalog.Layout.Base)
}

// linkTablespaces makes the links of pg_tblspc that the primary has, to the tablespaces here.
func (s *BackupSync) linkTablespaces(ctx context.Context, b *catalog.BackupInfo, source string) error {
	var paths []string
	for _, t := range b.Tablespaces {
		paths = append(paths, filepath.Join(source, "data", "pg_tblspc", strconv.FormatUint(uint64(t.OID), 10)))
	}
	if len(paths) == 0 {
		return nil
	}
	found, err := s.Copier.Stat(ctx, s.Plan.Remote, paths)
	if err != nil {
		return err
	}
	layout := s.Catalog.Layout
	for i, t := range b.Tablespaces {
		if !found[i].Exists || found[i].Type != "symlink" {
			continue
		}
		link, target := filepath.Join(layout.DataPath(b.ID), "pg_tblspc", filepath.Base(paths[i])), layout.TablespacePath(b.ID, t.OID)
		if now, err := os.Readlink(link); err == nil && now == target {
			continue
		}
		if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Symlink(target, link); err != nil {
			return err
		}
	}
	return nil
}

// complete records that all files are here, and makes the backup known to its parent.
func (s *BackupSync) complete(b *catalog.BackupInfo) error {
	if err := b.SetStatus(catalog.StatusWaitingForWALs); err != nil {
		return err
	}
	if err := s.Catalog.Save(b); err != nil {
		return err
	}
	if b.ParentID == "" {
		return nil
	}
	err := s.Catalog.AddChild(b.ParentID, b.ID)
	if errors.Is(err, catalog.ErrNoBackup) {
		return nil // deleted meanwhile
	}
	return err
}

// fail records why the copy ended. What has arrived stays, for the next run.
func (s *BackupSync) fail(ctx context.Context, b *catalog.BackupInfo, reason error) error {
	text := fmt.Sprintf("failure syncing server %s backup %s: %s", s.Server, b.ID, reason)
	if ctx.Err() != nil {
		text = fmt.Sprintf("failure syncing server %s backup %s: interrupted", s.Server, b.ID)
	}
	err := b.Fail(text)
	if err == nil {
		err = s.Catalog.Save(b)
	}
	if err != nil {
		s.Log.Error("cannot record a failure", "server", s.Server, "backup", b.ID, "error", err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errors.New(text)
}
