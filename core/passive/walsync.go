package passive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/progress"
	"github.com/barman-go/barman/sdk/transfer"
)

// WALSync copies archived WAL from the primary. The caller holds the server's sync-wal lock.
type WALSync struct {
	Server  string
	Primary *Primary
	Catalog *catalog.Catalog
	Index   *catalog.WALIndex
	Copier  Copier
	// Plan is what every copy has in common.
	Plan transfer.Plan
	// Compression is the option of that name.
	Compression string
	// Workers is how many files are looked into at the same time.
	Workers int
	// Verify looks into a WAL file, compressed or not, and is called by several workers; *archive.Codecs has it. Temporary files go to dir.
	Verify   func(ctx context.Context, path string, name wal.FileName, expect wal.Expect, dir string) error
	Out      report.Messenger
	Progress progress.Reporter
	Log      hclog.Logger
	Now      func() time.Time
}

// A batch is copied, checked, made durable and recorded together: what is lost of the work when the run ends in the middle.
const (
	batchFiles = 256
	batchBytes = 1 << 30
)

// stageName is where files arrive. It is not below wals/, where Python's rebuild-xlogdb would take them for archived.
const stageName = ".sync-wals"

func (s *WALSync) stage() string { return filepath.Join(s.Catalog.Layout.Backup, stageName) }

// Run copies the WAL files that primary.info lists and that are not here, except those before the oldest backup here. Then it moves the
// mark of sync-wals.info. A file that cannot be copied keeps the mark where it is, and no other file.
func (s *WALSync) Run(ctx context.Context) (copied int, err error) {
	doc, err := s.Primary.Stored(nil)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%w; run 'barman sync-info --primary %s'", ErrNotAsked, s.Server)
	}
	if err != nil {
		return 0, err
	}
	if doc.Config.WALs == "" {
		return 0, errors.New("the primary does not tell its wals_directory")
	}
	list, err := s.Catalog.List()
	if err != nil {
		return 0, err
	}
	r := &walRun{WALSync: s, source: doc.Config.WALs}
	if !r.look(list) {
		s.Out.Warning("No base backup for server %s", s.Server)
		return 0, nil
	}
	if there := doc.Config.Compression; !catalog.SameFormat(there, s.Compression) {
		s.Log.Warn("compression differs; files are kept as they are", "server", s.Server, "primary", there, "here", s.Compression)
	}
	if r.known, err = s.Index.Names(ctx); err != nil {
		return 0, err
	}
	// What a killed run has put into the index it may not have synced.
	if err := s.Index.Sync(ctx); err != nil {
		return 0, err
	}
	if err := r.all(ctx); err != nil {
		return r.copied, err
	}
	return r.copied, s.finished(doc.Last)
}

// finished records how far this node is.
func (s *WALSync) finished(mark catalog.WALMark) error {
	if err := os.RemoveAll(s.stage()); err != nil {
		return err
	}
	if err := s.Primary.setMark(mark); err != nil {
		return err
	}
	return s.Primary.changeState(func(st *state) {
		if st.Whole {
			st.Complete = s.Now()
		}
	})
}

// walRun is one run.
type walRun struct {
	*WALSync
	// source is the archive of the primary.
	source string
	// known are the names in the index here.
	known *catalog.WALNames
	// first is the place in the log from which on WAL is wanted.
	first  wal.Segment
	expect wal.Expect

	batch    []arriving
	bytes    int64
	copied   int
	problems []error
}

// arriving is a file of a batch.
type arriving struct {
	catalog.WALRecord
	name wal.FileName
	// staged is where it arrives, final where it belongs.
	staged, final string
	// here tells that it is in its place already, and only the index does not know.
	here bool
}

// look finds out from the backups here which WAL is wanted; false when there is no backup.
func (r *walRun) look(list *catalog.Backups) bool {
	found := false
	systems, versions := map[string]bool{}, map[int]bool{}
	for _, b := range list.With(catalog.NeedsWAL...) {
		if b.BeginWAL == (wal.Segment{}) {
			continue
		}
		if s := b.BeginWAL.OnTimeline(0); !found || s.Compare(r.first) < 0 {
			r.first = s
		}
		found = true
		systems[b.SystemID], versions[b.Version/10000] = true, true
		r.expect.SegmentSize, r.expect.Version = b.SegmentSize, b.Version/10000
		// Backups of old versions do not tell it; then it is not checked.
		r.expect.SystemID, _ = wal.ParseSystemID(b.SystemID)
	}
	if len(systems) > 1 || len(versions) > 1 {
		// A server name that was used for two clusters: the primary has accepted that.
		r.expect = wal.Expect{}
	}
	return found
}

// wants tells whether a file is of use for the backups here. It goes by the place in the log and not by the name, in which the timeline
// comes first: a segment of an old timeline may be needed, although its name comes before those of the oldest backup.
func (r *walRun) wants(name wal.FileName) bool {
	segment, ok := name.Segment()
	return !ok || segment.OnTimeline(0).Compare(r.first) >= 0
}

// all goes through the list.
func (r *walRun) all(ctx context.Context) error {
	_, err := r.Primary.Stored(func(record catalog.WALRecord) error {
		name, err := wal.ParseFileName(record.Name)
		if err != nil {
			return err
		}
		if !r.wants(name) || !r.known.Add(name) {
			return nil
		}
		r.add(record, name)
		if len(r.batch) < batchFiles && r.bytes < batchBytes {
			return nil
		}
		return r.flush(ctx)
	})
	if err == nil {
		err = r.flush(ctx)
	}
	return errors.Join(append(r.problems, err)...)
}

func (r *walRun) add(record catalog.WALRecord, name wal.FileName) {
	r.batch = append(r.batch, arriving{
		WALRecord: record, name: name, staged: filepath.Join(r.stage(), filepath.FromSlash(name.ArchivePath())), final: r.Catalog.Layout.WALPath(name),
	})
	r.bytes += record.Size
}

// problem notes what is wrong with one file, which is left out. The next run tries again.
func (r *walRun) problem(name string, err error) {
	r.Log.Error("cannot copy a WAL file", "server", r.Server, "file", name, "error", err)
	const told = 5
	if len(r.problems) < told {
		r.problems = append(r.problems, fmt.Errorf("WAL file %s: %w", name, err))
	}
}

// flush copies the files of the batch, checks them and puts them into the archive.
func (r *walRun) flush(ctx context.Context) error {
	batch := r.batch
	r.batch, r.bytes = nil, 0
	if len(batch) == 0 {
		return nil
	}
	if err := r.sortOut(ctx, batch); err != nil {
		return err
	}
	if err := r.fetch(ctx, batch); err != nil {
		return err
	}
	sound, err := r.inspect(ctx, batch)
	if err != nil {
		return err
	}
	if err := r.publish(ctx, sound); err != nil {
		return err
	}
	r.copied += len(sound)
	return nil
}

// inspect returns the files of a batch that have arrived and are sound. Looking into compressed files takes longer than copying them.
func (r *walRun) inspect(ctx context.Context, batch []arriving) (sound []arriving, err error) {
	verdicts := make([]error, len(batch))
	var group errgroup.Group
	group.SetLimit(max(r.Workers, 1))
	for i := range batch {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			f := &batch[i]
			path := f.staged
			if f.here {
				path = f.final
			}
			verdicts[i] = r.check(ctx, path, f)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for i, f := range batch {
		err := verdicts[i]
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, fs.ErrNotExist):
			r.problem(f.Name, errors.New("the primary lists it and does not have it; retention may have removed it since"))
		case err != nil:
			r.problem(f.Name, err)
		default:
			sound = append(sound, f)
		}
	}
	return sound, nil
}

// check holds a file against its line in the primary's index, and looks into it.
func (r *walRun) check(ctx context.Context, path string, f *arriving) error {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	case info.Size() != f.Size:
		return fmt.Errorf("it has %d bytes, and %d by the primary's index", info.Size(), f.Size)
	case f.Encryption != "":
		return nil // nobody can look inside
	}
	return r.Verify(ctx, path, f.name, r.expect, r.stage())
}
