package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
)

// store makes all files durable and gives them their final names.
func (p *Putter) store(ctx context.Context, files []*received) error {
	var batch fsx.Batch
	for _, f := range files {
		batch.File(f.temp)
	}
	// The content must be durable before the name exists: after a crash a name in incoming/ is taken for a whole file.
	if err := batch.SyncFiles(ctx); err != nil {
		return err
	}
	refused := false
	for _, f := range files {
		err := p.place(ctx, f, &batch)
		if errors.Is(err, ErrRefused) {
			refused = true
		} else if err != nil {
			return err
		}
	}
	// Also when nothing was renamed: an earlier run may have been stopped between its rename and this fsync.
	batch.Dir(p.Incoming)
	if err := batch.Commit(ctx); err != nil {
		return errors.Join(err, redirtyExisting(files))
	}
	if refused {
		return ErrRefused
	}
	return nil
}

// redirtyExisting is for after a failed fsync: the sender will try again, and what it is told then must be true.
func redirtyExisting(files []*received) error {
	var errs []error
	for _, f := range files {
		if f.existing != "" {
			errs = append(errs, fsx.Redirty(f.existing))
		}
	}
	return errors.Join(errs...)
}

// place gives a file its final name, or finds that there is a file of that name already.
func (p *Putter) place(ctx context.Context, f *received, batch *fsx.Batch) error {
	final := filepath.Join(p.Incoming, f.name.String())
	archived := filepath.Join(p.WALs, filepath.FromSlash(f.name.ArchivePath()))
	for {
		found, err := p.compareArchived(ctx, f, archived)
		if err != nil {
			return fmt.Errorf("compare %s with the archived file: %w", f.name, err)
		}
		existing := archived
		if found == NotArchived || found == ArchivedDamaged {
			// archive-wal examines a damaged one again, and replaces it.
			err := fsx.RenameNoReplace(f.temp, final)
			if err == nil {
				f.placed = true
				return nil
			}
			if !errors.Is(err, fs.ErrExist) {
				return err
			}
			same, err := p.Codecs.samePlain(ctx, f.temp, final, p.Incoming)
			if errors.Is(err, fs.ErrNotExist) {
				continue // archive-wal has filed it in the meantime
			}
			if err != nil {
				return err
			}
			existing, found = final, OtherContent
			if same {
				found = SameContent
			}
		}
		if found == SameContent {
			p.Log.Debug("already received", "wal", f.name.String())
			// Success means durable, and whoever wrote that file may not have come so far.
			f.existing = existing
			batch.File(existing)
			batch.Dir(filepath.Dir(existing))
			return nil
		}
		return p.keepOther(f)
	}
}

// compareArchived leaves partial segments to archive-wal, which keeps those that differ in errors/. A receiver and a promoted standby both have
// one of the same name, and only the WAL at its start is the same: a standby that is refused would never archive anything again.
func (p *Putter) compareArchived(ctx context.Context, f *received, archived string) (Comparison, error) {
	if f.name.Kind() == wal.KindPartial {
		return NotArchived, nil
	}
	return p.Codecs.CompareArchived(ctx, f.name, f.temp, archived, p.Incoming)
}

// keepOther puts a file aside that differs from the one that Barman has.
func (p *Putter) keepOther(f *received) error {
	kept, err := quarantine(f.temp, f.name.String(), p.Errors, kindDuplicate, p.Now())
	if err != nil {
		return err
	}
	f.placed = true
	alarm(p.Log, "%s arrived at server %s again with other content, and was refused; it is kept as %s", f.name, p.Server, kept)
	return p.refuse("Duplicate Files Detected with Mismatched Checksums. File %s already exists on server %s with other content; "+
		"the new one was kept as %s", f.name, p.Server, kept)
}
