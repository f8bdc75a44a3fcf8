package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"

	"github.com/barman-go/barman/core/fsx"
)

// LockFunc waits for a lock, takes it and returns the function that releases it.
type LockFunc func(ctx context.Context) (unlock func() error, err error)

// WALIndex is the list of archived WAL files of one server, which Barman calls xlogdb: a text file with one line for
// each, in the order in which they were archived.
//
// Every use takes the server's xlogdb lock, because Barman changes the file in place. Methods may be called from
// several goroutines and processes at the same time; they wait for each other. Never call one from inside another's
// callback.
//
// A file that does not exist is first rebuilt from the archive, as Barman does.
type WALIndex struct {
	layout Layout
	lock   LockFunc
	// identify names the compression of a file that begins with the given bytes; empty for none.
	identify func(head []byte) string
}

// NewWALIndex opens nothing. lock takes the server's xlogdb lock; identify recognises compressed files and may be
// IdentifyFormat.
func NewWALIndex(layout Layout, lock LockFunc, identify func(head []byte) string) *WALIndex {
	return &WALIndex{layout: layout, lock: lock, identify: identify}
}

// locked runs f with the lock held.
func (x *WALIndex) locked(ctx context.Context, f func() error) (err error) {
	unlock, err := x.lock(ctx)
	if err != nil {
		return fmt.Errorf("waiting for the WAL index of server %s: %w", x.layout.Server, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	return f()
}

// open opens the index with the lock held, after rebuilding it if it is missing.
func (x *WALIndex) open(ctx context.Context, flag int) (*os.File, error) {
	path := x.layout.WALIndexPath()
	f, err := os.OpenFile(path, flag, 0)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if _, err := x.rebuild(ctx); err != nil {
		return nil, err
	}
	return os.OpenFile(path, flag, 0)
}

// Read calls f with the sequence of all lines; see ReadWALRecords. The lock is held until f returns, so f should not
// take long.
func (x *WALIndex) Read(ctx context.Context, f func(iter.Seq2[WALLine, error]) error) error {
	return x.locked(ctx, func() error {
		file, err := x.open(ctx, os.O_RDONLY)
		if err != nil {
			return err
		}
		defer file.Close() //nolint:errcheck // only read
		return f(ReadWALRecords(file, file.Name()))
	})
}

// Last returns the record that was archived last, without reading the rest of the index; found is false when it is
// empty. The error is a *WALLineError (with line 0) when the last line cannot be understood.
func (x *WALIndex) Last(ctx context.Context) (record WALRecord, found bool, err error) {
	err = x.locked(ctx, func() error {
		file, err := x.open(ctx, os.O_RDONLY)
		if err != nil {
			return err
		}
		defer file.Close() //nolint:errcheck // only read
		line, _, err := lastLine(file)
		if err != nil || len(line) == 0 {
			return err
		}
		record, err = ParseWALRecord(line)
		if err != nil {
			return &WALLineError{Path: file.Name(), Text: clip(line), Err: err}
		}
		found = true
		return nil
	})
	return record, found, err
}

// Find returns the records of those of the names that the index lists, by name. Lines that cannot be understood are
// passed over.
func (x *WALIndex) Find(ctx context.Context, names ...string) (map[string]WALRecord, error) {
	wanted := make(map[string]bool, len(names))
	for _, name := range names {
		wanted[name] = true
	}
	found := make(map[string]WALRecord)
	err := x.Read(ctx, func(lines iter.Seq2[WALLine, error]) error {
		for line, err := range lines {
			var lineErr *WALLineError
			switch {
			case errors.As(err, &lineErr):
			case err != nil:
				return err
			case wanted[line.Name]:
				found[line.Name] = line.WALRecord
			}
		}
		return nil
	})
	return found, err
}

// maxLine is longer than any line of an index.
const maxLine = 4 << 10

// lastLine returns the last line of a file that is not blank, without its line break, and the offset at which it
// begins.
func lastLine(f *os.File) (line []byte, offset int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	end := info.Size()
	for end > 0 {
		begin := max(0, end-maxLine)
		block := make([]byte, end-begin)
		if _, err := f.ReadAt(block, begin); err != nil && !errors.Is(err, io.EOF) {
			return nil, 0, err
		}
		trimmed := bytes.TrimRight(block, " \t\r\n")
		if len(trimmed) == 0 {
			end = begin
			continue
		}
		i := bytes.LastIndexByte(trimmed, '\n')
		if i < 0 && begin > 0 && int64(len(trimmed)) < end-begin {
			// Blanks at the end hid the beginning of the line; look again from where it ends.
			end = begin + int64(len(trimmed))
			continue
		}
		return trimmed[i+1:], begin + int64(i) + 1, nil
	}
	return nil, 0, nil
}

// Append adds records in the given order, durably, in one write and one fsync. When it returns an error, some of them
// may be in the index.
//
// publish, if not nil, runs first with the lock held: it renames the files into the archive and makes that durable,
// so that no other process sees a file without its line for long. When it fails, nothing is appended.
func (x *WALIndex) Append(ctx context.Context, records []WALRecord, publish func() error) error {
	var lines []byte
	for _, r := range records {
		if err := r.Validate(); err != nil {
			return err
		}
		lines = r.AppendTo(lines)
	}
	return x.locked(ctx, func() error {
		// Before publish: a missing index is rebuilt from the archive, and must not find the new files there.
		f, err := x.open(ctx, os.O_RDWR|os.O_APPEND)
		if err != nil {
			return err
		}
		if publish != nil {
			err = publish()
		}
		if err == nil {
			err = appendLines(f, lines)
		}
		return errors.Join(err, f.Close())
	})
}

func appendLines(f *os.File, lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	if err := mendTail(f); err != nil {
		return err
	}
	if _, err := f.Write(lines); err != nil {
		return err
	}
	return fsx.Sync(f)
}

// mendTail prepares an index whose last line has no line break, which a crash in the middle of an append leaves.
// Appending to it as it is would make one line of two, which no version can read. A line that is complete gets its
// line break; one that is cut off goes, because its append was never confirmed.
func mendTail(f *os.File) error {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	var tail [1]byte
	if _, err := f.ReadAt(tail[:], info.Size()-1); err != nil {
		return err
	}
	if tail[0] == '\n' {
		return nil
	}
	line, offset, err := lastLine(f)
	if err != nil {
		return err
	}
	if isCompleteLine(line) {
		_, err = f.WriteString("\n")
		return err
	}
	return f.Truncate(offset)
}

// isCompleteLine tells whether a line without line break has all its fields, the last one being a word that is the
// beginning of no other.
func isCompleteLine(line []byte) bool {
	if len(bytes.Fields(line)) != 5 {
		return false
	}
	_, err := ParseWALRecord(line)
	return err == nil && (bytes.HasSuffix(line, []byte("\tNone")) || bytes.HasSuffix(line, []byte("\tgpg")))
}

// Rewrite replaces the index by those of its lines that keep accepts, byte for byte, and returns the others. Lines
// that cannot be understood are dropped and returned as errors; only an archive's files that are listed are ever
// removed, so nothing happens to the file that such a line may have meant.
//
// The new index is complete and durable before it takes the name: a crash leaves the old one or the new one. Nothing
// is written when every line stays. The caller removes files of dropped records after this returned, never before: a
// file that is not listed does no harm, a listed one that is missing does.
func (x *WALIndex) Rewrite(ctx context.Context, keep func(WALLine) bool) (
	dropped []WALRecord, bad []*WALLineError, err error,
) {
	err = x.locked(ctx, func() error {
		f, err := x.open(ctx, os.O_RDONLY)
		if err != nil {
			return err
		}
		defer f.Close() //nolint:errcheck // only read
		var kept bytes.Buffer
		for line, err := range ReadWALRecords(f, f.Name()) {
			var lineErr *WALLineError
			switch {
			case errors.As(err, &lineErr):
				bad = append(bad, lineErr)
			case err != nil:
				return err
			case keep(line):
				kept.Write(bytes.TrimRight(line.Raw, "\r\n"))
				kept.WriteByte('\n')
			default:
				dropped = append(dropped, line.WALRecord)
			}
		}
		if len(dropped) == 0 && len(bad) == 0 {
			return nil
		}
		return x.replace(kept.Bytes())
	})
	if err != nil {
		return nil, nil, err
	}
	return dropped, bad, nil
}

// replace gives the index a new content, with the lock held. Owner and mode of an index that exists stay.
func (x *WALIndex) replace(content []byte) error {
	path := x.layout.WALIndexPath()
	mode := fileMode
	info, err := os.Stat(path)
	switch {
	case err == nil:
		mode = info.Mode().Perm()
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	temp, err := fsx.CreateTemp(path, mode)
	if err != nil {
		return err
	}
	_, err = temp.Write(content)
	if err == nil && info != nil {
		err = keepOwner(temp, info)
	}
	if err := errors.Join(err, temp.Close()); err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return fsx.Publish(temp.Name(), path)
}
