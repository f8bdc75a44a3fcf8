package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/compress"
)

// youngFile is how long a file that is too short may still be growing: a plain copy into incoming/ is not atomic.
const youngFile = time.Minute

// prepare looks at a file and, when it is to be filed, writes what will lie in wals/ under a temporary name. The error is
// of a kind that would meet other files as well, such as a full disk; what is wrong with this file is in its verdict.
func (r *run) prepare(ctx context.Context, f *filing) error {
	err := r.judge(ctx, f)
	if err == nil && f.verdict.isNew() {
		err = r.encode(ctx, f)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, errNoDecoder):
		f.leave(err)
		return nil
	}
	switch sourceErr := readThrough(f.path); {
	case errors.Is(sourceErr, fs.ErrNotExist):
		f.verdict = vanished
	case sourceErr != nil:
		f.leave(sourceErr)
	default:
		if destErr := readThrough(f.dest); destErr == nil || errors.Is(destErr, fs.ErrNotExist) {
			return err
		}
		// Which of the two is right cannot be said; the files after it do not wait for that.
		f.leave(fmt.Errorf("the archived file of this name cannot be read: %w", err))
	}
	return nil
}

// readThrough tells whether a file can be read at all.
func readThrough(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // read only
	_, err = io.Copy(io.Discard, f)
	return err
}

// judge finds the verdict.
func (r *run) judge(ctx context.Context, f *filing) error {
	if err := f.look(ctx, r.Codecs); err != nil {
		return err
	}
	if err := r.makeDir(filepath.Dir(f.dest)); err != nil {
		return err
	}
	// Files that are decoded only to be looked at lie in wals/ itself, which every run sweeps: a power loss may bring back what was removed.
	err := r.Codecs.Verify(ctx, f.path, f.name, r.Expect, r.WALs)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case isVerdict(err):
		f.verdict, f.reason = rejectInvalid, err
		if r.mayGrow(f, err) {
			f.verdict = leaveGrowing
		}
		return r.judgeArchived(ctx, f)
	case err != nil:
		return err
	case f.size == 0 && r.isYoung(f):
		// Labels and history files have no size of their own; none is empty.
		f.verdict, f.reason = leaveGrowing, errors.New("it is empty")
		return r.judgeArchived(ctx, f)
	}
	found, err := r.Codecs.CompareArchived(ctx, f.name, f.path, f.dest, r.WALs)
	if err != nil {
		return fmt.Errorf("compare %s with the archived file: %w", f.path, err)
	}
	switch found {
	case SameContent:
		f.verdict, f.archived = dropIt, true
	case OtherContent:
		f.verdict, f.archived = rejectDuplicate, true
		f.reason = fmt.Errorf("%s is already present in server %s with other content", f.name, r.Server)
	case ArchivedDamaged:
		f.verdict = replaceIt
	}
	return nil
}

// judgeArchived looks at the file of wals/ that has the name of one that is not sound. A power loss may cut the source of a file that is
// archived already, and not recorded: that file is worth its line, whatever becomes of the source.
func (r *run) judgeArchived(ctx context.Context, f *filing) error {
	if _, err := os.Stat(f.dest); err != nil {
		return nil //nolint:nilerr // there is none, or nothing can be said of it
	}
	f.archived = r.Codecs.Verify(ctx, f.dest, f.name, r.Expect, r.WALs) == nil
	return context.Cause(ctx)
}

// mayGrow tells whether a file that failed verification may pass it when whoever writes it has finished.
func (r *run) mayGrow(f *filing, err error) bool {
	if !r.isYoung(f) {
		return false
	}
	if f.format != "" {
		return true // cut off compressed data looks like damage
	}
	var found *wal.VerifyError
	if !errors.As(err, &found) {
		return false
	}
	return f.size < wal.PageHeaderSize || errors.Is(err, wal.ErrWrongSize) && f.size < int64(found.Header.SegmentSize)
}

func (r *run) isYoung(f *filing) bool {
	// A time far in the future says that a clock was wrong, and nothing about the age.
	return r.Now().Sub(f.time).Abs() < youngFile
}

// makeDir makes a directory of wals/ ready, once per run.
func (r *run) makeDir(dir string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ready[dir] {
		return nil
	}
	if err := fsx.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if dir != filepath.Clean(r.WALs) {
		// Only archive-wal makes temporary files below wals/, and its lock is held: whatever lies there unfinished is
		// from a run that died.
		if _, err := fsx.Sweep(dir, fsx.AnyTemp); err != nil {
			r.Log.Warn("cannot remove temporary files", "dir", dir, "error", err)
		}
	}
	r.ready[dir] = true
	return nil
}

// encode writes what will lie in wals/.
func (r *run) encode(ctx context.Context, f *filing) error {
	f.temp = fsx.TempPath(f.dest)
	if f.format == "" && r.encoder != nil {
		return r.compress(ctx, f)
	}
	f.stored, f.compression = f.size, f.format
	// On one file system a second name is enough, and costs nothing.
	if os.Link(f.path, f.temp) == nil {
		f.linked = true
		return nil
	}
	return fsx.CopyFile(f.path, f.temp, fsx.CopyOptions{Context: ctx})
}

// compress writes the encoded file, and proves that it can be decoded to what was delivered.
func (r *run) compress(ctx context.Context, f *filing) error {
	req := compress.FileRequest{Op: f.name.String(), Source: f.path, Destination: f.temp, Options: r.encoder.options}
	wrote, err := r.encoder.CompressFile(ctx, req)
	if err != nil {
		return fmt.Errorf("compress %s: %w", f.name, err)
	}
	if wrote.PlainBytes != f.size {
		return fmt.Errorf("compress %s: the file had %d bytes, the compressor read %d", f.name, f.size, wrote.PlainBytes)
	}
	if !r.SkipReadBack {
		req.Source, req.Destination = f.temp, ""
		read, err := r.encoder.TestFile(ctx, req)
		if err != nil {
			return fmt.Errorf("read back %s: %w", f.name, err)
		}
		if read.PlainBytes != wrote.PlainBytes || read.PlainCRC32 != wrote.PlainCRC32 {
			return fmt.Errorf("read back %s: decoding gives other bytes than were encoded (compression %s): "+
				"nothing is archived until the compressor is repaired", f.name, r.Codecs.Compression)
		}
	}
	// The file carries the segment's own time, not that of its encoding, and can be read by whom the segment could.
	if err := os.Chmod(f.temp, f.mode); err != nil {
		return err
	}
	if err := os.Chtimes(f.temp, f.time, f.time); err != nil {
		return err
	}
	f.stored, f.compression = wrote.EncodedBytes, r.Codecs.Compression
	return nil
}
