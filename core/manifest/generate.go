package manifest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/sdk/progress"
)

// Options of Generate and Verify.
type Options struct {
	// Workers is how many files are read at a time.
	Workers int
	// Progress may be nil; Total is what it is told as the number of bytes, 0 if unknown.
	Progress progress.Reporter
	Total    int64
}

// Generate writes the manifests of a backup that has none: that of its data directory, and one of its tablespaces if it has any.
// The error matches fs.ErrExist when the data directory has a manifest, whoever wrote it. A file that changes while it is read is an
// error, and so is a backup of tar archives (ErrArchives); after an error there is no manifest. Two calls at the same time do no harm: one of them fails.
func Generate(ctx context.Context, tree Tree, o Options) error {
	// Before everything is read for nothing. Publishing looks again.
	if _, err := os.Lstat(tree.ManifestPath()); err == nil {
		return &fs.PathError{Op: "create", Path: tree.ManifestPath(), Err: fs.ErrExist}
	}
	if err := tree.checkFormat(); err != nil {
		return err
	}
	// What a run that was killed has left.
	if _, err := fsx.Sweep(tree.Backup, fsx.OwnerDead); err != nil {
		return err
	}
	m := newMeter(o.Progress, o.Total)
	if len(tree.Tablespaces) > 0 {
		// First, so that a backup with a manifest has both. One that is here without the other is of a run that was killed.
		err := tree.generate(ctx, o.Workers, m, tree.TablespacesPath(), true, func(ctx context.Context, yield func(found) error) error {
			for _, oid := range tree.oids() {
				if err := tree.walkTablespace(ctx, oid, yield); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return tree.generate(ctx, o.Workers, m, tree.ManifestPath(), false, tree.walkData)
}

// generate writes one manifest of all files that produce yields.
func (t Tree) generate(
	ctx context.Context, workers int, m *meter, final string, replace bool,
	produce func(context.Context, func(found) error) error,
) error {
	w, err := create(t.TablespacesPath())
	if err != nil {
		return err
	}
	err = ordered(ctx, workers, produce,
		func(ctx context.Context) func(found) (File, error) {
			d := newDigester(ctx, m)
			return func(f found) (File, error) { return t.describe(d, f) }
		},
		func(_ found, f File) error { return w.add(f) })
	if err != nil {
		return errors.Join(err, w.discard())
	}
	return w.finish(final, replace)
}

// describe makes the entry of a file.
func (t Tree) describe(d *digester, on found) (File, error) {
	path := t.locate(on.name)
	f, info, err := open(path)
	if err != nil {
		return File{}, err
	}
	defer f.Close() //nolint:errcheck // read only
	sum, size, err := d.sum(f, sha256Algorithm)
	if err != nil {
		return File{}, err
	}
	if size != info.Size() {
		return File{}, fmt.Errorf("%s changes while it is read: it had %d bytes, %d were read", path, info.Size(), size)
	}
	return File{Path: on.name, Size: size, Modified: info.ModTime(), Algorithm: sha256Algorithm, Checksum: sum}, nil
}
