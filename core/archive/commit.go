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

// file brings prepared files into the archive. The order of the steps is what keeps acknowledged WAL safe:
//
//  1. contents of the new files on stable storage        a name in wals/ never stands for a file that is not whole
//     and the names of their sources                     the next run finds a file in wals/ that has no line by its source
//  2. final names, and their directories                 the files survive a crash
//  3. index entries                                      retention and recovery know them
//  4. sources removed, and their directory               only now is the archive the only copy
func (r *run) file(ctx context.Context, files []*filing) error {
	if len(files) == 0 {
		return nil
	}
	var batch fsx.Batch
	for _, f := range files {
		switch {
		case f.verdict.isNew():
			batch.File(f.temp)
			// Whoever delivered it may not have synced the name. With the files, for one wait.
			batch.File(filepath.Dir(f.path))
		case f.archived:
			// An earlier run may have died before its fsync; the source is removed on the strength of that file.
			batch.File(f.dest)
			batch.Dir(filepath.Dir(f.dest))
		}
	}
	if err := batch.SyncFiles(ctx); err != nil {
		return errors.Join(err, redirty(files))
	}
	if err := r.forgetDamaged(ctx, files); err != nil {
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
	if err := batch.SyncDirs(ctx); err != nil {
		return err
	}
	for _, f := range files {
		if err := r.settle(f, &batch); err != nil {
			return err
		}
	}
	return batch.SyncDirs(ctx)
}

// redirty is for after a failed fsync: the next run will link the same files again, or find them in the archive, and must not take the fsync
// that it makes for a success if the kernel has given up the pages.
func redirty(files []*filing) error {
	var errs []error
	for _, f := range files {
		switch {
		case f.linked:
			errs = append(errs, fsx.Redirty(f.path))
		case f.archived:
			errs = append(errs, fsx.Redirty(f.dest))
		}
	}
	return errors.Join(errs...)
}

// publish gives the new files their names, durably. Nobody else files WAL of this server while the lock is held; a file
// that appeared all the same is not replaced, and the next run compares the two.
func (r *run) publish(ctx context.Context, files []*filing, batch *fsx.Batch) error {
	for _, f := range files {
		if !f.verdict.isNew() {
			continue
		}
		if f.verdict == replaceIt {
			kept, err := quarantine(f.dest, f.name.String(), r.Errors, kindDuplicate, r.Now())
			if err != nil {
				return err
			}
			alarm(r.Log, "%s of server %s was damaged in the archive and is replaced; the damaged file is kept as %s", f.name, r.Server, kept)
			r.Out.Warning("%s of server %s was damaged in the archive; it was moved to %s and is replaced by the sound file "+
				"that arrived", f.name, r.Server, kept)
		}
		if err := fsx.RenameNoReplace(f.temp, f.dest); err != nil {
			return fmt.Errorf("file %s: %w", f.name, err)
		}
		f.temp = ""
		batch.Dir(filepath.Dir(f.dest))
	}
	return batch.SyncDirs(ctx)
}

// forgetDamaged takes the lines of damaged files out of the index; the files that replace them get lines of their own. A run that stops in
// between is made good by the next one, for the source is still there.
func (r *run) forgetDamaged(ctx context.Context, files []*filing) error {
	damaged := map[string]bool{}
	for _, f := range files {
		if f.verdict == replaceIt {
			damaged[f.name.String()] = true
		}
	}
	if len(damaged) == 0 {
		return nil
	}
	_, _, err := r.Index.Rewrite(ctx, func(line *catalog.WALLine) bool { return !damaged[line.Name] })
	return err
}

// records are the lines that the files add to the index. A file that was there already gets one if a crash kept it out.
func (r *run) records(ctx context.Context, files []*filing) ([]catalog.WALRecord, error) {
	var archived []string
	for _, f := range files {
		if f.archived {
			archived = append(archived, f.name.String())
		}
	}
	var known map[string]catalog.WALRecord
	if len(archived) > 0 {
		var err error
		if known, err = r.Index.Find(ctx, archived...); err != nil {
			return nil, err
		}
		// The sources are removed on the strength of these lines.
		if err := r.Index.Sync(ctx); err != nil {
			return nil, err
		}
	}
	var records []catalog.WALRecord
	for _, f := range files {
		_, isKnown := known[f.name.String()]
		switch {
		case f.verdict.isNew():
			records = append(records, catalog.WALRecord{
				Name: f.name.String(), Size: f.stored, ModTime: catalog.Seconds(f.time), Compression: f.compression,
			})
		case f.archived && !isKnown:
			record, err := r.Index.Describe(f.dest)
			if err != nil {
				return nil, err
			}
			records = append(records, record)
		}
	}
	return records, nil
}

// settle is the end of a file in its source, with one line for people. The archive holds it already if it is to.
func (r *run) settle(f *filing, batch *fsx.Batch) error {
	switch f.verdict {
	case vanished:
		r.Log.Info("gone before it was archived", "wal", f.name.String())
		return nil
	case leaveGrowing:
		r.sum.Left++
		r.Log.Info("left for the next run: it may still be growing",
			"wal", f.name.String(), "size", f.size, "reason", f.reason)
		return nil
	}
	r.Out.Info("\t%s", f.name)
	switch f.verdict {
	case leaveUnknown:
		r.sum.Left++
		r.Out.Error("%s cannot be archived and stays in %s: %s", f.name, r.src.Dir, f.reason)
		return nil
	case rejectDuplicate, rejectInvalid:
		return r.reject(f)
	case dropIt:
		r.sum.Identical++
		r.Log.Debug("already archived with the same content", "wal", f.name.String())
	case replaceIt:
		r.sum.Archived++
		r.sum.Replaced++
	case fileIt:
		r.sum.Archived++
	}
	if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	batch.Dir(filepath.Dir(f.path))
	return nil
}

// reject keeps a file that must not be archived where somebody will look at it.
func (r *run) reject(f *filing) error {
	kind := kindDuplicate
	if f.verdict == rejectInvalid {
		kind = kindUnknown
	}
	kept, err := quarantine(f.path, f.name.String(), r.Errors, kind, r.Now())
	if err != nil {
		return err
	}
	r.sum.Rejected++
	if f.verdict == rejectDuplicate {
		r.Out.Info("\tError: %s is already present in server %s. File moved to errors directory.", f.name, r.Server)
	}
	alarm(r.Log, "%s of server %s was not archived: %s; it is kept as %s", f.name, r.Server, f.reason, kept)
	r.Out.Error("%s. The file was not archived and was moved to %s", f.reason, kept)
	return nil
}
