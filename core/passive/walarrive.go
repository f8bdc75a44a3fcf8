package passive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/transfer"
)

// sortOut finds the files of a batch that are in the archive and not in the index, as a run leaves them that is killed between the two,
// and prepares directories.
func (r *walRun) sortOut(ctx context.Context, batch []arriving) error {
	dirs := map[string]bool{r.stage(): true}
	for i := range batch {
		f := &batch[i]
		dirs[filepath.Dir(f.final)] = true
		_, err := os.Lstat(f.final)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := r.check(ctx, f.final, f); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			r.Log.Warn("a file in the archive that the index does not list is replaced", "server", r.Server, "file", f.final, "error", err)
			continue
		}
		f.here = true
	}
	for dir := range dirs {
		if err := fsx.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// fetch has the plugin copy the files of a batch, all in one stream: the files are small, and each connection costs as much as some of
// them. A plugin that finds the stage empty need not look first what is there already.
func (r *walRun) fetch(ctx context.Context, batch []arriving) error {
	item := transfer.Item{
		Label: "wals", Kind: transfer.Directory, Source: r.source, Destination: r.stage(), Exclude: []string{"*"}, Reuse: transfer.ReuseOff,
	}
	dirs := map[string]bool{}
	missing := 0
	for _, f := range batch {
		if f.here {
			continue
		}
		missing++
		// What a directory holds is looked at only when the directory is wanted. One that the primary has removed since is found out
		// file by file.
		if dir := f.name.HashDir(); dir != "" && !dirs[dir] {
			dirs[dir] = true
			item.Include = append(item.Include, "/"+dir+"/")
		}
		item.Include = append(item.Include, "/"+f.name.ArchivePath())
	}
	if missing == 0 {
		return nil
	}
	plan := r.Plan
	plan.Op, plan.Direction, plan.Workers, plan.Items = "sync-wals-"+r.Server, transfer.Fetch, 1, []transfer.Item{item}
	result, err := r.Copier.Copy(ctx, plan, r.Progress)
	if err != nil {
		return err
	}
	r.Log.Info("copied WAL", "server", r.Server, "files", result.Files, "files_sent", result.FilesCopied, "bytes_sent", result.BytesCopied)
	return nil
}

// publish gives files their places in the archive and records them: contents, names, index, each durable before the next.
func (r *walRun) publish(ctx context.Context, files []arriving) error {
	if len(files) == 0 {
		return nil
	}
	var durable fsx.Batch
	var records []catalog.WALRecord
	for _, f := range files {
		records = append(records, f.WALRecord)
		if f.here {
			durable.File(f.final)
			durable.Dir(filepath.Dir(f.final))
		} else {
			durable.File(f.staged)
		}
	}
	if err := durable.SyncFiles(ctx); err != nil {
		return err
	}
	same, err := fsx.SameFileSystem(r.stage(), r.Catalog.Layout.WALs)
	if err != nil {
		return err
	}
	err = r.Index.Append(ctx, records, func() error {
		for _, f := range files {
			if f.here {
				continue
			}
			if err := place(f, same, &durable); err != nil {
				return err
			}
		}
		return durable.SyncDirs(ctx)
	})
	if err != nil {
		return err
	}
	r.dropMirrored(files)
	r.tidy(files)
	return nil
}

// tidy removes the directories of the stage that files have left empty.
func (r *walRun) tidy(files []arriving) {
	for _, f := range files {
		if dir := filepath.Dir(f.staged); dir != r.stage() {
			_ = os.Remove(dir) // there may be others, or it is gone already
		}
	}
}

// place moves a file to where it belongs. What has its name there is not in the index, and was found to be damaged or another file.
func place(f arriving, same bool, durable *fsx.Batch) error {
	if !same {
		return fsx.Move(f.staged, f.final)
	}
	if err := os.Rename(f.staged, f.final); err != nil {
		return fmt.Errorf("put %s into the archive: %w", f.Name, err)
	}
	durable.Dir(filepath.Dir(f.final))
	return nil
}

// dropMirrored removes what the mirror has of segments that are in the archive now.
func (r *walRun) dropMirrored(files []arriving) {
	for _, f := range files {
		segment, _ := f.name.Segment()
		if !f.name.IsWAL() {
			continue
		}
		for _, name := range []string{segment.String(), wal.PartialName(segment)} {
			if err := os.Remove(filepath.Join(r.Catalog.Layout.Streaming, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				r.Log.Warn("cannot remove a mirrored segment", "server", r.Server, "file", name, "error", err)
			}
		}
	}
}
