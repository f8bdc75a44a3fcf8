package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/compress"
	"github.com/barman-go/barman/sdk/progress"
)

// youngFile is how long a file that is too short may still be growing: a plain copy into incoming/ is not atomic.
const youngFile = time.Minute

// filing is one file on its way from a source to wals/.
type filing struct {
	candidate
	dest string
	size int64
	time time.Time
	// format is that of the source: what the sender compressed stays as it is.
	format string
	// verdict is what preparing found.
	verdict verdict
	reason  error
	// temp is the encoded file beside dest; empty when the source itself is filed.
	temp string
	// stored is the size of the file in wals/, compression its format.
	stored      int64
	compression string
	// preHooks have run.
	preHooks bool
}

// verdict is what happens to a file.
type verdict int

const (
	// fileIt: it is sound and new.
	fileIt verdict = iota
	// dropIt: wals/ has the same content.
	dropIt
	// rejectDuplicate: wals/ has other content under this name.
	rejectDuplicate
	// rejectInvalid: it is not this server's WAL.
	rejectInvalid
	// leaveIt: it may still be growing.
	leaveIt
)

// run is the state of one Run.
type run struct {
	*Archiver
	encoder *encoder
	mu      sync.Mutex
	swept   map[string]bool
}

// prepareAll prepares files group by group and hands each group on. A group that ends with an error is handed on too,
// so that what was prepared is filed.
func (r *run) prepareAll(ctx context.Context, files []candidate, size int, groups chan<- *group) error {
	for len(files) > 0 {
		n := min(size, len(files))
		g := r.prepareGroup(ctx, files[:n])
		files = files[n:]
		select {
		case groups <- g:
		case <-ctx.Done():
			removeTemps(g.files)
			return context.Cause(ctx)
		}
		if g.err != nil {
			return nil // fileAll returns it after filing
		}
	}
	return nil
}

func (r *run) prepareGroup(ctx context.Context, files []candidate) *group {
	g := &group{files: make([]*filing, len(files))}
	for i, c := range files {
		g.files[i] = &filing{candidate: c, dest: filepath.Join(r.WALs, filepath.FromSlash(c.name.ArchivePath()))}
	}
	if !r.Hooks.Empty() {
		if err := r.preHooks(ctx, g.files[0]); err != nil {
			g.err = err
			g.files = nil
			return g
		}
	}
	eg, egctx := errgroup.WithContext(ctx)
	eg.SetLimit(max(r.Workers, 1))
	failed := make([]error, len(files))
	for i, f := range g.files {
		eg.Go(func() error {
			failed[i] = r.prepare(egctx, f)
			return nil
		})
	}
	_ = eg.Wait()
	for i, err := range failed {
		if err != nil {
			// Order matters to readers of the index: what comes after the first failure waits for the next run.
			if f := g.files[i]; f.preHooks {
				r.Hooks.Post(ctx, Segment{Name: f.name, Path: f.path, Size: f.size, Time: f.time, Compression: f.format, Err: err})
			}
			removeTemps(g.files[i:])
			g.files, g.err = g.files[:i], err
			break
		}
	}
	return g
}

func (r *run) preHooks(ctx context.Context, f *filing) error {
	if err := f.stat(); err != nil {
		return err
	}
	format, err := r.Codecs.FormatOf(ctx, f.path)
	if err != nil {
		return err
	}
	f.preHooks = true
	seg := Segment{Name: f.name, Path: f.path, Size: f.size, Time: f.time, Compression: format}
	if err := r.Hooks.Pre(ctx, seg); err != nil {
		seg.Err = err
		r.Hooks.Post(ctx, seg)
		r.Log.Warn(fmt.Sprintf("Archiving of %s/%s aborted by pre_archive_retry_script. Reason: %v", r.Server, f.name, err))
		return errStopped
	}
	return nil
}

func (f *filing) stat() error {
	info, err := os.Stat(f.path)
	if err != nil {
		return err
	}
	f.size, f.time = info.Size(), info.ModTime()
	return nil
}

// prepare looks at a file and, when it is to be filed, writes what will lie in wals/ under a temporary name.
func (r *run) prepare(ctx context.Context, f *filing) error {
	if err := f.stat(); err != nil {
		return err
	}
	head, _, err := readHead(f.path)
	if err != nil {
		return err
	}
	if f.format, err = r.Codecs.Format(ctx, head); err != nil {
		return err
	}
	if err := r.verify(ctx, f, head); err != nil {
		f.verdict, f.reason = rejectInvalid, err
		if errors.Is(err, wal.ErrWrongSize) && r.Now().Sub(f.time) < youngFile {
			f.verdict = leaveIt
		}
		return nil
	}
	if _, err := os.Lstat(f.dest); err == nil {
		return r.prepareDuplicate(ctx, f)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := r.destination(filepath.Dir(f.dest)); err != nil {
		return err
	}
	f.stored, f.compression = f.size, f.format
	if f.format != "" || r.encoder == nil {
		return r.prepareCopy(ctx, f)
	}
	return r.encode(ctx, f)
}

// verify checks that the file is sound WAL of this server.
func (r *run) verify(ctx context.Context, f *filing, head []byte) error {
	if f.format == "" {
		_, err := wal.Verify(head, f.size, f.name, r.Expect)
		return err
	}
	// Compressed by the sender: it must decode, and to the length of a segment.
	res, err := r.Codecs.test(ctx, f.path, f.format)
	if err != nil {
		return fmt.Errorf("%s does not decode as %s: %w", f.name, f.format, err)
	}
	if f.name.IsWAL() {
		want := r.Expect.SegmentSize
		if got := wal.SegmentSize(res.PlainBytes); got.Validate() != nil || want != 0 && got != want {
			return fmt.Errorf("%s: %w: %d bytes after decoding", f.name, wal.ErrWrongSize, res.PlainBytes)
		}
	}
	return nil
}

func (r *run) prepareDuplicate(ctx context.Context, f *filing) error {
	same, err := r.Codecs.Compare(ctx, f.path, f.dest, filepath.Dir(f.dest))
	if err != nil {
		return fmt.Errorf("compare %s with the archived file: %w", f.path, err)
	}
	f.verdict = rejectDuplicate
	if same {
		f.verdict = dropIt
	}
	return nil
}

// destination makes a directory of wals/ ready, once per run.
func (r *run) destination(dir string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.swept[dir] {
		return nil
	}
	if err := fsx.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// The archive-wal lock is held, so whatever lies there unfinished is from a run that died.
	if _, err := fsx.Sweep(dir, fsx.AnyTemp); err != nil {
		r.Log.Warn("cannot remove temporary files", "dir", dir, "error", err)
	}
	r.swept[dir] = true
	return nil
}

// prepareCopy prepares a file that is stored as it is. On one file system a second name is enough, and costs nothing.
func (r *run) prepareCopy(ctx context.Context, f *filing) error {
	temp := fsx.TempPath(f.dest)
	if err := os.Link(f.path, temp); err != nil {
		if err := fsx.CopyFile(f.path, temp, fsx.CopyOptions{Context: ctx}); err != nil {
			return err
		}
	}
	f.temp = temp
	return nil
}

// encode writes the encoded file, and proves that it can be decoded to what was delivered.
func (r *run) encode(ctx context.Context, f *filing) error {
	temp := fsx.TempPath(f.dest)
	f.temp = temp
	req := compress.FileRequest{Op: f.name.String(), Source: f.path, Destination: temp, Options: r.encoder.options}
	wrote, err := r.encoder.CompressFile(ctx, req)
	if err != nil {
		return fmt.Errorf("compress %s: %w", f.name, err)
	}
	if wrote.PlainBytes != f.size {
		return fmt.Errorf("compress %s: the file had %d bytes, the compressor read %d", f.name, f.size, wrote.PlainBytes)
	}
	if !r.SkipReadBack {
		req.Source, req.Destination = temp, ""
		read, err := r.encoder.TestFile(ctx, req)
		if err != nil {
			return fmt.Errorf("read back %s: %w", f.name, err)
		}
		if read.PlainBytes != wrote.PlainBytes || read.PlainCRC32 != wrote.PlainCRC32 {
			return fmt.Errorf("read back %s: decoding gives other bytes than were encoded (format %s)", f.name, r.encoder.options.Format)
		}
	}
	// The index and get-wal carry the segment's own time, not that of its encoding.
	if err := os.Chtimes(temp, f.time, f.time); err != nil {
		return err
	}
	f.stored, f.compression = wrote.EncodedBytes, r.Codecs.Compression
	return nil
}

func removeTemps(files []*filing) {
	for _, f := range files {
		if f.temp != "" {
			_ = os.Remove(f.temp)
		}
	}
}

// fileAll files the groups as they come.
func (r *run) fileAll(ctx context.Context, groups <-chan *group, sum *Summary, total int) error {
	done := 0
	for g := range groups {
		if err := r.file(ctx, g.files, sum); err != nil {
			removeTemps(g.files)
			return err
		}
		done += len(g.files)
		if r.Progress != nil {
			r.Progress.Progress(progress.Progress{FilesDone: int64(done), FilesTotal: int64(total), Label: "WAL"})
		}
		if g.err != nil {
			return g.err
		}
	}
	return nil
}
