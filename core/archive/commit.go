package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
)

// file brings a prepared group into the archive. The order of the steps is what keeps acknowledged WAL safe:
//
//  1. contents of the new files on stable storage        a name in wals/ never stands for a file that is not whole
//  2. final names, and their directories                 the files survive a crash
//  3. index entries                                      retention and recovery know them
//  4. sources removed, and their directory               only now is the archive the only copy
func (r *run) file(ctx context.Context, files []*filing, sum *Summary) error {
	var batch fsx.Batch
	for _, f := range files {
		switch f.verdict {
		case fileIt:
			batch.File(f.temp)
		case dropIt:
			// An earlier run may have died before its fsync; this source is removed on the strength of that file.
			batch.File(f.dest)
			batch.Dir(filepath.Dir(f.dest))
		}
	}
	if err := batch.SyncFiles(ctx); err != nil {
		return err
	}
	records, err := r.records(ctx, files)
	if err != nil {
		return err
	}
	if len(records) > 0 {
		err := r.Index.Append(ctx, records, func() error { return r.publish(ctx, files, &batch) })
		if err != nil {
			return err
		}
	}
	// What is dropped relies on a file that an earlier run published, perhaps without living to see it durable.
	if err := batch.SyncDirs(ctx); err != nil {
		return err
	}
	return r.removeSources(ctx, files, &batch, sum)
}

// publish gives the new files their names, durably. Nobody else files WAL of this server while the lock is held; a file
// that appeared all the same is not replaced, and the next run compares the two.
func (r *run) publish(ctx context.Context, files []*filing, batch *fsx.Batch) error {
	for _, f := range files {
		if f.verdict != fileIt {
			continue
		}
		if err := fsx.RenameNoReplace(f.temp, f.dest); err != nil {
			return fmt.Errorf("file %s: %w", f.name, err)
		}
		f.temp = ""
		batch.Dir(filepath.Dir(f.dest))
	}
	return batch.SyncDirs(ctx)
}

// records are the lines that the group adds to the index. A file that was there already gets one if a crash kept it out.
func (r *run) records(ctx context.Context, files []*filing) ([]catalog.WALRecord, error) {
	var records []catalog.WALRecord
	for _, f := range files {
		switch f.verdict {
		case fileIt:
			records = append(records, catalog.WALRecord{
				Name: f.name.String(), Size: f.stored, ModTime: catalog.Seconds(f.time), Compression: f.compression,
			})
		case dropIt:
			known, err := r.Index.Find(ctx, f.name.String())
			if err != nil {
				return nil, err
			}
			if len(known) > 0 {
				continue
			}
			record, err := r.Index.Describe(f.dest)
			if err != nil {
				return nil, err
			}
			records = append(records, record)
		}
	}
	return records, nil
}

func (r *run) removeSources(ctx context.Context, files []*filing, batch *fsx.Batch, sum *Summary) error {
	for _, f := range files {
		if err := r.removeSource(f, batch, sum); err != nil {
			return err
		}
	}
	if err := batch.SyncDirs(ctx); err != nil {
		return err
	}
	for _, f := range files {
		if !f.preHooks {
			continue
		}
		seg := Segment{Name: f.name, Path: f.dest, Size: f.stored, Time: f.time, Compression: f.compression, Err: f.reason}
		if f.verdict != fileIt {
			seg.Path, seg.Size, seg.Compression = f.path, f.size, f.format
		}
		r.Hooks.Post(ctx, seg)
	}
	return nil
}

func (r *run) removeSource(f *filing, batch *fsx.Batch, sum *Summary) error {
	switch f.verdict {
	case leaveIt:
		r.Log.Info("left for the next run: the file may still be growing", "wal", f.name.String(), "size", f.size)
		return nil
	case rejectDuplicate, rejectInvalid:
		return r.reject(f, sum)
	case dropIt:
		sum.Identical++
		r.Log.Debug("already archived with the same content", "wal", f.name.String())
	case fileIt:
		sum.Archived++
		r.Out.Info("\t%s", f.name)
	}
	if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	batch.Dir(filepath.Dir(f.path))
	return nil
}

// reject keeps a file that must not be archived where somebody will look at it.
func (r *run) reject(f *filing, sum *Summary) error {
	kind := "duplicate"
	if f.verdict == rejectInvalid {
		kind = "unknown"
	}
	kept, err := quarantine(f.path, f.name.String(), r.Errors, kind, r.Now())
	if err != nil {
		return err
	}
	sum.Rejected++
	if f.verdict == rejectDuplicate {
		f.reason = errors.New("already present with other content")
		r.Out.Info("\tError: %s is already present in server %s. File moved to errors directory.", f.name, r.Server)
	} else {
		r.Out.Error("%s. The file was not archived and was moved to %s", f.reason, kept)
	}
	r.Log.Error("WAL file rejected", "wal", f.name.String(), "reason", f.reason, "kept", kept)
	return nil
}
