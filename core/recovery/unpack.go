package recovery

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/barman-go/barman/sdk/progress"
	"github.com/barman-go/barman/sdk/transfer"
)

// pendingControl is what pg_control is called until everything, itself included, is durable.
const pendingControl = controlFile + ".barman-restore"

// unpackedExclude are excluded, but for pg_control, and the links, which are made anew.
var unpackedExclude = append(slices.DeleteFunc(slices.Clone(excluded), func(p string) bool { return p == "/"+controlFile }),
	"/pg_tblspc/*", "/"+IncompleteFile)

// unpackBase fills the destination from archives.
func (r *restore) unpackBase(ctx context.Context) error {
	if err := r.emptyResumed(ctx); err != nil {
		return err
	}
	switch r.plan.Way {
	case UnpackThere:
		return r.sendArchives(ctx)
	case UnpackStaged:
		return r.unpackStaged(ctx)
	default:
		return r.unpackAll(ctx, func(a Archive) string { return a.Directory }, map[string]string{controlFile: pendingControl})
	}
}

// emptyResumed removes what an interrupted restore has unpacked: nobody knows which of it is whole, and what is unpacked
// does not replace what should not be there.
func (r *restore) emptyResumed(ctx context.Context) error {
	if !r.plan.Resumed || r.plan.Way == UnpackStaged || r.plan.Way == CombineStaged {
		return nil
	}
	empty, remove, err := r.tempDir()
	if err != nil {
		return err
	}
	defer remove()
	var items []transfer.Item
	var dirs []transfer.FileChange
	for i, dir := range r.plan.directories() {
		item := transfer.Item{
			Label: "remains", Kind: transfer.Directory, Source: empty, Destination: dir, Reuse: transfer.ReuseOff, DeleteExtra: true, Phase: i,
		}
		if dir == r.plan.Destination {
			item.ExcludeAndProtect = []string{"/" + IncompleteFile}
		}
		items = append(items, item)
		// One that lies in the destination has gone with the rest.
		dirs = append(dirs, transfer.FileChange{Action: transfer.Mkdir, Path: dir, Mode: 0o700})
	}
	// Innermost first: a directory must be there to be emptied.
	slices.Reverse(items)
	for i := range items {
		items[i].Phase = i
	}
	if _, err := r.copier.Copy(ctx, r.copyPlan(items...), progress.Discard); err != nil {
		return err
	}
	return r.apply(ctx, dirs...)
}

// unpackStaged unpacks the archives on this host and copies the files to the other one, like those of any backup.
func (r *restore) unpackStaged(ctx context.Context) (err error) {
	stage, err := newStaging(r.plan.StagingPath)
	if err != nil {
		return fmt.Errorf("staging path: %w", err)
	}
	// The last step needs it once more; it goes when the restore ends, however that is.
	r.staging = stage
	r.Out.Info("Unpacking the archives in %s", stage.dir)
	r.data = stage.data()
	for _, t := range r.plan.Tablespaces {
		if err := os.Mkdir(stage.tablespace(t.OID), 0o700); err != nil {
			return err
		}
	}
	into := func(a Archive) string {
		if a.base() {
			return stage.data()
		}
		return stage.tablespace(a.OID)
	}
	if err := r.unpackAll(ctx, into, nil); err != nil {
		return err
	}
	if manifest := r.manifest(); manifest != "" {
		// Links are followed when it is copied.
		if err := os.Symlink(manifest, filepath.Join(stage.data(), manifestFile)); err != nil {
			return err
		}
	}
	return r.copyFiles(ctx)
}

// removeStaging removes the work area, if there is one.
func (r *restore) removeStaging() {
	if r.staging == nil {
		return
	}
	if err := r.staging.remove(); err != nil {
		r.Out.Warning("The staging directory %s cannot be removed: %s", r.staging.dir, err)
	}
}

// unpackAll unpacks the archives side by side, the largest first.
func (r *restore) unpackAll(ctx context.Context, into func(Archive) string, rename map[string]string) error {
	meter := &unpackMeter{rep: r.Progress, total: r.plan.contents.total(), label: "unpacking"}
	limit := newPace(0)
	if r.plan.Way == UnpackHere {
		// On its way through the staging path it is the copy that is limited.
		limit = newPace(r.options.BandwidthLimit)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(r.options.Workers, 1))
	for _, a := range slices.SortedFunc(slices.Values(r.plan.Archives), func(a, b Archive) int { return cmp.Compare(b.Bytes, a.Bytes) }) {
		group.Go(func() error {
			var got content
			u := untar{exclude: func(string) bool { return false }, written: func(bytes, files int64) {
				got.bytes += bytes
				got.files += files
				meter.add(bytes, files)
			}}
			if a.base() {
				u.exclude = func(name string) bool { return matches(unpackedExclude, name) }
				u.rename, u.need = rename, []string{"backup_label", controlFile}
			}
			err := r.readArchive(ctx, a, func(src io.Reader) error {
				return u.unpack(ctx, limit.reader(ctx, src), into(a))
			})
			if want, known := r.plan.contents[a.OID]; err == nil && known && got != want {
				err = fmt.Errorf("the archive has %d files with %d bytes, and the backup's manifest lists %d with %d",
					got.files, got.bytes, want.files, want.bytes)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", a.Path, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// readArchive gives the plain content of an archive to read, to its end.
func (r *restore) readArchive(ctx context.Context, a Archive, read func(io.Reader) error) error {
	if codec := r.plan.format.codec; codec != "" {
		return r.WAL.Stream(ctx, a.Path, codec, r.TempDir, func(src io.Reader) error {
			return read(bufio.NewReaderSize(src, pipeRead))
		})
	}
	f, err := os.Open(a.Path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	return read(bufio.NewReaderSize(f, pipeRead))
}

// pipeRead is how much is read at a time where tar asks for little, in bytes.
const pipeRead = 256 << 10

// manifestFile is what pg_basebackup leaves beside its archives.
const manifestFile = "backup_manifest"

// manifest is the path of the backup's manifest in the catalog; empty when there is none.
func (r *restore) manifest() string {
	path := filepath.Join(r.Catalog.Layout.DataPath(r.plan.Backup.ID), manifestFile)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// copyManifest puts the manifest, which is not in the archives, beside what was unpacked.
func (r *restore) copyManifest(ctx context.Context) error {
	path := r.manifest()
	if path == "" {
		return nil
	}
	item := transfer.Item{
		Label: "manifest", Kind: transfer.File, Source: path, Destination: filepath.Join(r.plan.Destination, manifestFile), Reuse: transfer.ReuseOff,
	}
	_, err := r.copier.Copy(ctx, r.copyPlan(item), progress.Discard)
	return err
}

// unpackMeter adds up what the workers do. A total of 0 is not known.
type unpackMeter struct {
	rep   progress.Reporter
	total content
	label string

	mu   sync.Mutex
	done progress.Progress
}

func (m *unpackMeter) add(bytes, files int64) {
	m.mu.Lock()
	m.done.BytesDone += bytes
	m.done.FilesDone += files
	m.done.BytesTotal, m.done.FilesTotal, m.done.Label = m.total.bytes, m.total.files, m.label
	done := m.done
	m.mu.Unlock()
	m.rep.Progress(done)
}
