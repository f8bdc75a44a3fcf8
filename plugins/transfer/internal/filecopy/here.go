package filecopy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/transfer"
)

const (
	// hereChunk is how much is copied between two looks at the context, and handed to the disk at a time.
	hereChunk = 8 << 20
	// hereBlock is how much of two files is compared at a time, and written when it differs.
	hereBlock = 128 << 10
)

// copiesHere tells whether this process copies an item's files itself. rsync passes every byte from one of its processes to
// another and sums it up; between two directories of one host the kernel copies without either. rsync keeps what it does
// better: earlier backups to share files with, and bandwidth.
func (s *session) copiesHere(item *itemState) bool {
	return s.plan.Direction == transfer.Local && !item.reuses() && bandwidth(&s.plan, &item.Item, 1) == 0
}

// copyHere copies the files of a job, as rsync --inplace would, and writes only the blocks that differ where there is a file
// already.
func (s *session) copyHere(ctx context.Context, j *job, p *part) (runStats, error) {
	l := &localCopy{
		from: filepath.Clean(j.item.Source), to: filepath.Clean(j.item.Destination), force: j.item.DeleteExtra, compare: j.checksum,
		progress: p,
	}
	names := bufio.NewReaderSize(j.list.reader(j.units), 64<<10)
	for {
		name, err := names.ReadString(0)
		if errors.Is(err, io.EOF) {
			return l.stats, nil
		}
		if err == nil {
			err = l.file(ctx, strings.TrimSuffix(name, "\x00"))
		}
		if ctx.Err() != nil {
			return l.stats, context.Cause(ctx)
		}
		if err != nil {
			return l.stats, failedHere(j.item, err)
		}
	}
}

// copyFileHere copies an item that is a file. Like rsync it takes a destination that is a directory for the place of the file.
func (s *session) copyFileHere(ctx context.Context, item *itemState, p *part) (runStats, error) {
	from, to := filepath.Clean(item.Source), filepath.Clean(item.Destination)
	if info, err := os.Stat(to); err == nil && info.IsDir() {
		to = filepath.Join(to, filepath.Base(from))
	}
	l := &localCopy{force: item.DeleteExtra, compare: true, progress: p}
	err := l.copy(ctx, from, to)
	if errors.Is(err, errVanished) {
		err = errors.Join(errNoRoot, err)
	}
	if ctx.Err() != nil {
		return l.stats, context.Cause(ctx)
	}
	if err != nil {
		return l.stats, failedHere(item, err)
	}
	l.stats.bytes = l.seen
	return l.stats, nil
}

// failedHere is the diagnostic of a file that could not be copied. Trying again does not help: only this host takes part.
func failedHere(item *itemState, err error) error {
	d := diag.Diagnostic{
		Severity: diag.Error, Summary: fmt.Sprintf("failed to copy %s", item.Label), Detail: err.Error(), Code: diag.CodeToolFailed,
	}
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		d.Summary, d.Code = fmt.Sprintf("no space left to copy %s", item.Label), diag.CodeNoSpace
	case errors.Is(err, errNoRoot):
		d.Summary, d.Code = fmt.Sprintf("source of %s does not exist: %s", item.Label, filepath.Clean(item.Source)), diag.CodeNotFound
	}
	return d
}

// errNoRoot tells that a source is gone as a whole.
var errNoRoot = errors.New("the source is gone")

// localCopy copies files of one tree to another one on this host. It is used by one goroutine.
type localCopy struct {
	from, to string
	// force lets a directory that stands where a file comes give way.
	force bool
	// compare distrusts files that look unchanged.
	compare  bool
	progress *part
	stats    runStats
	// seen are the bytes of the files that are done.
	seen           int64
	source, target []byte
}

// file copies one file of the tree. One that has vanished is no error, as long as the source itself is there.
func (l *localCopy) file(ctx context.Context, name string) error {
	if !filepath.IsLocal(name) {
		return fmt.Errorf("%q leads out of %s", name, l.from)
	}
	err := l.copy(ctx, l.from+"/"+name, l.to+"/"+name)
	if errors.Is(err, errVanished) {
		if _, err := os.Stat(l.from); err != nil {
			return errors.Join(errNoRoot, err)
		}
		return nil
	}
	return err
}

// errVanished tells that a file was not there when it was to be copied.
var errVanished = errors.New("the file has vanished")

// copy copies a file with its mode and time.
func (l *localCopy) copy(ctx context.Context, from, to string) (err error) {
	// A pipe may have taken the place of the file: opening must not wait for its writer.
	in, err := os.OpenFile(from, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return errors.Join(errVanished, err)
	}
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
	// Before the content: whatever changes it from now on changes the time, too, and the next comparison finds that.
	info, err := in.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	out, earlier, err := l.open(to, info)
	if err != nil {
		return err
	}
	if out != nil {
		err = l.content(ctx, out, earlier, in, info)
		if err = errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
	l.stats.files++
	l.seen += info.Size()
	l.progress.set(l.stats.files, l.seen)
	return nil
}

// open returns the file to write to, and what was in it; neither is there when nothing has to be written.
func (l *localCopy) open(path string, source fs.FileInfo) (out *os.File, earlier fs.FileInfo, err error) {
	earlier, err = os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, nil, err
	case earlier.Mode().IsRegular() && !shared(earlier):
		if !l.compare && earlier.Size() == source.Size() && earlier.ModTime().Unix() == source.ModTime().Unix() {
			if earlier.Mode().Perm() != source.Mode().Perm() {
				err = os.Chmod(path, source.Mode().Perm())
			}
			return nil, nil, err
		}
		out, err = os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0)
		if errors.Is(err, fs.ErrPermission) && os.Chmod(path, 0o600) == nil {
			out, err = os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0)
		}
		return out, earlier, err
	case earlier.IsDir() && l.force:
		err = os.RemoveAll(path)
	case !earlier.IsDir():
		err = os.Remove(path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	const create = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	out, err = os.OpenFile(path, create, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		// Its directory was not there when the tree was made.
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, nil, err
		}
		out, err = os.OpenFile(path, create, 0o600)
	}
	return out, nil, err
}

// shared tells whether a file has another name, which is none of ours: it must not change there.
func shared(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink > 1
}

// content makes out what in is. The time comes last, so that a copy that was cut short never looks whole.
func (l *localCopy) content(ctx context.Context, out *os.File, earlier fs.FileInfo, in *os.File, info fs.FileInfo) error {
	written := l.stats.bytesCopied
	var err error
	if earlier == nil {
		err = l.fill(ctx, out, in, info.Size())
	} else {
		err = l.patch(ctx, out, earlier.Size(), in, info.Size())
	}
	if err != nil {
		return err
	}
	if l.stats.bytesCopied > written || earlier == nil || earlier.Size() != info.Size() {
		l.stats.filesCopied++
	}
	if err := out.Chmod(info.Mode().Perm()); err != nil {
		return err
	}
	// The zero time leaves the access time alone.
	return os.Chtimes(out.Name(), time.Time{}, info.ModTime())
}

// fill copies into a new file. What the source grows by meanwhile is not copied, what it shrinks by is missing: PostgreSQL's
// WAL makes up for both.
func (l *localCopy) fill(ctx context.Context, out, in *os.File, size int64) error {
	for done := int64(0); done < size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.CopyN(out, in, min(size-done, hereChunk)) // the kernel copies (copy_file_range), or shares blocks
		l.wrote(out, done, n)
		done += n
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// patch writes the blocks of a file that differ.
func (l *localCopy) patch(ctx context.Context, out *os.File, has int64, in *os.File, size int64) error {
	if l.source == nil {
		l.source, l.target = make([]byte, hereBlock), make([]byte, hereBlock)
	}
	done := int64(0)
	for done < size {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(in, l.source[:min(size-done, hereBlock)])
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !ended {
			return err
		}
		m, err := out.ReadAt(l.target[:n], done)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if !bytes.Equal(l.source[:n], l.target[:m]) {
			if _, err := out.WriteAt(l.source[:n], done); err != nil {
				return err
			}
			l.wrote(out, done, int64(n))
		}
		done += int64(n)
		if ended {
			break
		}
	}
	if has > done {
		return out.Truncate(done)
	}
	return nil
}

// wrote counts bytes, and lets the disk begin with them at once: whoever makes the tree durable at the end then waits for little.
// It is a hint, and errors of the disk are not lost by it: they are told to whoever syncs.
func (l *localCopy) wrote(out *os.File, offset, n int64) {
	if n == 0 {
		return
	}
	l.stats.bytesCopied += n
	_ = unix.SyncFileRange(int(out.Fd()), offset, n, unix.SYNC_FILE_RANGE_WRITE)
}
