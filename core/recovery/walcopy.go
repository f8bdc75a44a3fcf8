package recovery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/transfer"
)

// spoolBytes bounds what is decoded at a time for a remote destination.
const spoolBytes = 1 << 30

// archiveStatus is where PostgreSQL notes which of its segments need no archiving.
const archiveStatus = "archive_status"

// copyWAL puts the plan's WAL files into the WAL directory, decoded. Files are written under their final names: until
// the whole destination is complete nobody reads them, and an interrupted restore writes them again.
func (r *restore) copyWAL(ctx context.Context) error {
	own := !r.plan.Target.PITR()
	files := append(append([]WALFile(nil), r.plan.WAL.Histories...), r.plan.WAL.Files...)
	if r.keepsWAL() {
		if err := r.dropOtherWAL(files); err != nil {
			return err
		}
	}
	dirs := []transfer.FileChange{{Action: transfer.Mkdir, Path: r.plan.WALDirectory, Mode: 0o700}}
	if own {
		dirs = append(dirs, transfer.FileChange{Action: transfer.Mkdir, Path: filepath.Join(r.plan.WALDirectory, archiveStatus), Mode: 0o700})
	}
	if err := r.apply(ctx, dirs...); err != nil {
		return err
	}
	r.Out.Info("Copying required WAL segments.")
	if own {
		r.Out.Info("Generating archive status files")
	}
	if r.options.remote() {
		return r.sendWAL(ctx, files, own)
	}
	return r.decodeAll(ctx, files, r.plan.WALDirectory, own, false)
}

// sendWAL decodes files into a spool on this host and copies it to the destination, batch by batch.
func (r *restore) sendWAL(ctx context.Context, files []WALFile, status bool) error {
	batch := max(int(spoolBytes/r.plan.Backup.SegmentSize), r.options.Workers, 1)
	for len(files) > 0 {
		n := min(batch, len(files))
		if err := r.sendBatch(ctx, files[:n], status); err != nil {
			return err
		}
		files = files[n:]
	}
	return nil
}

func (r *restore) sendBatch(ctx context.Context, files []WALFile, status bool) error {
	spool, remove, err := r.tempDir()
	if err != nil {
		return err
	}
	defer remove()
	if status {
		if err := os.Mkdir(filepath.Join(spool, archiveStatus), 0o700); err != nil {
			return err
		}
	}
	if err := r.decodeAll(ctx, files, spool, status, true); err != nil {
		return err
	}
	item := r.item("wal", spool, r.plan.WALDirectory)
	item.DeleteExtra = false
	_, err = r.copier.Copy(ctx, r.copyPlan(item), r.Progress)
	return err
}

// decodeAll writes the plain content of files to dir with several workers; the first error stops all. With status
// each gets the file that tells PostgreSQL not to archive it again. With link, files that need no decoding become
// symbolic links.
func (r *restore) decodeAll(ctx context.Context, files []WALFile, dir string, status, link bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan WALFile)
	var wg sync.WaitGroup
	for range max(r.options.Workers, 1) {
		wg.Go(func() {
			for f := range queue {
				err := fs.ErrNotExist
				for _, f.Path = range r.places(f) {
					if err = r.placeWAL(ctx, f, dir, status, link); !errors.Is(err, fs.ErrNotExist) {
						break
					}
				}
				if err != nil {
					cancel(fmt.Errorf("WAL file %s: %w", f.Path, err))
				}
			}
		})
	}
	for _, f := range files {
		if ctx.Err() != nil {
			break
		}
		select {
		case queue <- f:
		case <-ctx.Done():
		}
	}
	close(queue)
	wg.Wait()
	return context.Cause(ctx)
}

func (r *restore) placeWAL(ctx context.Context, f WALFile, dir string, status, link bool) error {
	dest := filepath.Join(dir, f.Name)
	format, err := r.WAL.FormatOf(ctx, f.Path)
	if err != nil {
		return err
	}
	if r.isThere(f, format, dest) {
		return r.finishWAL(f, dest, status, true)
	}
	// An interrupted restore may have left it, whole or not.
	if err := os.Remove(dest); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// What lies in the streaming directory may be gone before the link is followed.
	link = link && filepath.Dir(f.Path) != r.Catalog.Layout.Streaming
	switch {
	case format != "":
		err = r.decodeWAL(ctx, f, format, dest)
	case link:
		err = os.Symlink(f.Path, dest)
	default:
		err = fsx.CopyFile(f.Path, dest, fsx.CopyOptions{Context: ctx})
	}
	if err != nil {
		return err
	}
	return r.finishWAL(f, dest, status, format != "" || !link)
}

// decodeWAL gives the decoded file the time of the archived one, as a copy has it: the next delta restore goes by it.
func (r *restore) decodeWAL(ctx context.Context, f WALFile, format, dest string) error {
	archived, err := os.Stat(f.Path)
	if err != nil {
		return err
	}
	if err := r.WAL.Decode(ctx, f.Path, format, dest); err != nil {
		return err
	}
	return os.Chtimes(dest, time.Time{}, archived.ModTime())
}

// finishWAL verifies a WAL file at its destination, and gives it its mode if it is a file of its own.
func (r *restore) finishWAL(f WALFile, dest string, status, own bool) error {
	if err := verifyWAL(dest, f, r.plan.Backup); err != nil {
		return err
	}
	if own {
		// Whatever the modes of the archive are, these files are read by the server's owner only.
		if err := os.Chmod(dest, 0o600); err != nil {
			return err
		}
	}
	if status && !f.Partial {
		// A segment that was partial has still to be archived once it is complete.
		return os.WriteFile(filepath.Join(filepath.Dir(dest), archiveStatus, f.Name+".done"), nil, 0o600)
	}
	return nil
}

// verifyWAL refuses a file that PostgreSQL could not use, now rather than in the middle of recovery.
func verifyWAL(path string, f WALFile, b *catalog.BackupInfo) error {
	name, err := wal.ParseFileName(f.Name)
	if err != nil || name.Kind() != wal.KindSegment {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read
	info, err := file.Stat()
	if err != nil {
		return err
	}
	page := make([]byte, wal.PageHeaderSize)
	n, err := file.ReadAt(page, 0)
	if err != nil && n == 0 {
		return err
	}
	system, err := wal.ParseSystemID(b.SystemID)
	if err != nil {
		// Backups of old versions do not record it; then it is not checked.
		system = 0
	}
	expect := wal.Expect{SystemID: system, Version: b.Version / 10000, SegmentSize: b.SegmentSize}
	_, err = wal.Verify(page[:n], info.Size(), name, expect)
	return err
}
