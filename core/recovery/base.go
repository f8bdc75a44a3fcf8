package recovery

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/sdk/transfer"
)

// excluded are parts of PGDATA that must not be restored: the log and the WAL of the original, its process, and files
// that start or steer a recovery of another kind than the one asked for. tablespace_map would make PostgreSQL replace
// the links.
var excluded = []string{
	"/pg_log/*", "/log/*", "/pg_xlog/*", "/pg_wal/*", "/postmaster.pid", "/recovery.conf", "/recovery.signal", "/standby.signal",
	"/tablespace_map", "/" + InfoFile, "/" + controlFile,
}

// markIncomplete makes the destination, writes the marker and takes pg_control away, so that from here to the end
// nobody can start PostgreSQL on it.
func (r *restore) markIncomplete(ctx context.Context) error {
	marker, err := json.Marshal(Marker{
		Server: r.plan.Server, Backup: r.plan.Backup.ID, Directories: r.plan.directories(), Note: markerNote,
	})
	if err != nil {
		return err
	}
	changes := []transfer.FileChange{{Action: transfer.Mkdir, Path: r.plan.Destination, Mode: 0o700}}
	for _, dir := range r.plan.directories()[1:] {
		changes = append(changes, transfer.FileChange{Action: transfer.Mkdir, Path: dir, Mode: 0o700})
	}
	changes = append(changes,
		write(filepath.Join(r.plan.Destination, IncompleteFile), string(marker)+"\n"),
		transfer.FileChange{Action: transfer.Remove, Path: filepath.Join(r.plan.Destination, controlFile)})
	return r.apply(ctx, changes...)
}

// copyBase brings everything but pg_control to its place.
func (r *restore) copyBase(ctx context.Context) error {
	r.Out.Info("Copying the base backup.")
	switch {
	case r.plan.Way == CopyFiles:
		return r.copyFiles(ctx)
	case r.plan.combines():
		return r.combineBase(ctx)
	}
	return r.unpackBase(ctx)
}

// copyFiles copies the backup's files but pg_control.
func (r *restore) copyFiles(ctx context.Context) error {
	if !r.plan.Horizon.IsZero() {
		r.Out.Info("Using safe horizon time for smart rsync copy: %s", catalog.FormatTime(r.plan.Horizon))
	}
	var items []transfer.Item
	protected := []string{"/pg_tblspc/*", "/" + IncompleteFile}
	for _, t := range r.plan.Tablespaces {
		source := t.Source
		if r.staging != nil {
			source = r.staging.tablespace(t.OID)
		}
		items = append(items, r.item(t.Name, source, t.Location))
		if rel, err := filepath.Rel(r.plan.Destination, t.Location); err == nil && inside(t.Location, r.plan.Destination) {
			protected = append(protected, "/"+rel)
		}
	}
	data := r.item("pgdata", r.data, r.plan.Destination)
	data.Exclude = excluded
	if r.keepsWAL() {
		// dropOtherWAL removes what does not belong there.
		dir := strings.TrimPrefix(r.plan.WALDirectory, r.plan.Destination)
		data.Exclude = slices.DeleteFunc(slices.Clone(excluded), func(pattern string) bool { return pattern == dir+"/*" })
		protected = append(protected, dir+"/*", dir)
	}
	data.ExcludeAndProtect = protected
	_, err := r.copier.Copy(ctx, r.copyPlan(append(items, data)...), r.Progress)
	return err
}

func (r *restore) item(label, source, destination string) transfer.Item {
	return transfer.Item{
		Label: label, Kind: transfer.Directory, Source: source, Destination: destination, Reuse: transfer.ReuseOff,
		SafeHorizon: r.plan.Horizon, DeleteExtra: r.plan.Delta || r.plan.Resumed,
	}
}

func (r *restore) copyPlan(items ...transfer.Item) transfer.Plan {
	o := r.options
	return transfer.Plan{
		Op: "restore-" + r.plan.Backup.ID, Direction: o.direction(), Items: items, Workers: max(o.Workers, 1), Remote: o.Remote,
		NetworkCompression: o.NetworkCompression, BandwidthLimit: o.BandwidthLimit, Retry: o.Retry,
		StartBatchSize: o.StartBatchSize, StartBatchPeriod: o.StartBatchPeriod,
	}
}

// linkTablespaces makes the links of pg_tblspc point to the new locations.
func (r *restore) linkTablespaces(ctx context.Context) error {
	dir := filepath.Join(r.plan.Destination, "pg_tblspc")
	changes := []transfer.FileChange{{Action: transfer.Mkdir, Path: dir, Mode: 0o700}}
	for _, t := range r.plan.Tablespaces {
		changes = append(changes, transfer.FileChange{
			Action: transfer.Symlink, Path: tablespaceLink(r.plan.Destination, t.OID), Target: t.Location,
		})
		r.Out.Info("\t%d, %s, %s", t.OID, t.Name, t.Location)
	}
	return r.apply(ctx, changes...)
}

// describe leaves the backup's description in the destination, and takes the manifest out of the way of tools that
// would hold the running server against it.
func (r *restore) describe(ctx context.Context) error {
	info, err := catalog.EncodeInfo(r.plan.Backup)
	if err != nil {
		return err
	}
	if r.plan.Way == UnpackHere || r.plan.Way == UnpackThere {
		if err := r.copyManifest(ctx); err != nil {
			return fmt.Errorf("%s: %w", manifestFile, err)
		}
	}
	changes := []transfer.FileChange{write(filepath.Join(r.plan.Destination, InfoFile), string(info))}
	manifest := filepath.Join(r.plan.Destination, manifestFile)
	found, err := r.copier.Stat(ctx, r.options.Remote, []string{manifest})
	if err != nil {
		return err
	}
	if found[0].Exists {
		changes = append(changes, transfer.FileChange{
			Action: transfer.Rename, Path: manifest, Target: manifest + "." + r.plan.Backup.ID,
		})
	}
	return r.apply(ctx, changes...)
}

// copyControl brings pg_control beside its place. From archives, and where a chain was combined, it has come there already.
func (r *restore) copyControl(ctx context.Context) error {
	if r.plan.inPlace() || r.plan.Way == UnpackThere {
		return nil
	}
	item := r.item("pg_control", filepath.Join(r.data, controlFile), filepath.Join(r.plan.Destination, pendingControl))
	item.Kind, item.DeleteExtra = transfer.File, false
	if _, err := r.copier.Copy(ctx, r.copyPlan(item), r.Progress); err != nil {
		return fmt.Errorf("%s: %w", controlFile, err)
	}
	return nil
}

// complete gives pg_control its name, which makes the data directory one, and takes the marker away. Both are durable with
// the call, one after the other.
func (r *restore) complete(ctx context.Context) error {
	return r.apply(ctx,
		transfer.FileChange{
			Action: transfer.Rename, Path: filepath.Join(r.plan.Destination, pendingControl), Target: filepath.Join(r.plan.Destination, controlFile),
		},
		transfer.FileChange{Action: transfer.Remove, Path: filepath.Join(r.plan.Destination, IncompleteFile)})
}

func (r *restore) apply(ctx context.Context, changes ...transfer.FileChange) error {
	_, err := r.copier.ApplyFiles(ctx, r.options.Remote, changes)
	return err
}
