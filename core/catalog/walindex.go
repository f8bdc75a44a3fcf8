package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/barman-go/barman/core/fsx"
)

// LockFunc waits for a lock, takes it and returns the function that releases it.
type LockFunc func(ctx context.Context) (unlock func() error, err error)

// WALIndex is the list of archived WAL files of one server, which Barman calls xlogdb: a text file with one line for
// each, in the order in which they were archived.
//
// Every use takes the server's xlogdb lock, because Barman changes the file in place; Read holds it only for moments.
// Methods may be called from several goroutines and processes at the same time; they wait for each other. Never call one
// from inside another's callback.
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

// Sync makes the lines that the index has durable, and its name: a process that was killed may have written them, and synced neither.
func (x *WALIndex) Sync(ctx context.Context) error {
	return x.locked(ctx, func() error {
		if err := x.redirtyAfter(fsx.SyncFile(x.layout.WALIndexPath())); err != nil {
			return err
		}
		return fsx.SyncDir(x.layout.XlogDB)
	})
}

// redirtyAfter gives back an error. After that of an fsync the lines are written once more: the kernel may have given up some that an earlier
// process wrote, and the next fsync would succeed without them.
func (x *WALIndex) redirtyAfter(err error) error {
	if errors.Is(err, fsx.ErrSync) {
		err = errors.Join(err, fsx.Redirty(x.layout.WALIndexPath()))
	}
	return err
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
		size, err := file.Seek(0, io.SeekEnd)
		if err != nil {
			return err
		}
		line, _, err := lastLine(file, size)
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
//
// It looks from the end, and no further than needed: what is asked for is usually what came last.
func (x *WALIndex) Find(ctx context.Context, names ...string) (map[string]WALRecord, error) {
	wanted := make(map[string]bool, len(names))
	for _, name := range names {
		wanted[name] = true
	}
	found := make(map[string]WALRecord)
	err := x.locked(ctx, func() error {
		file, err := x.open(ctx, os.O_RDONLY)
		if err != nil {
			return err
		}
		defer file.Close() //nolint:errcheck // only read
		return backwards(file, func(part []byte) bool {
			for line, err := range ReadWALLines(part, file.Name()).All() {
				// Of several lines the last one counts, and those of this part come before those of the parts seen.
				if err == nil && wanted[line.Name] {
					found[line.Name] = line.WALRecord
				}
			}
			for name := range found {
				delete(wanted, name)
			}
			return len(wanted) > 0
		})
	})
	return found, err
}

// maxLine is longer than any line of an index that a program has written.
const maxLine = 4 << 10

// lastLine returns the last line before end that is not blank, without its line break, and the offset at which it
// begins.
func lastLine(f io.ReaderAt, end int64) (line string, offset int64, err error) {
	reach := int64(maxLine)
	for end > 0 {
		begin := max(0, end-reach)
		block := make([]byte, end-begin)
		if _, err := f.ReadAt(block, begin); err != nil && !errors.Is(err, io.EOF) {
			return "", 0, err
		}
		trimmed := bytes.TrimRight(block, " \t\r\n")
		if len(trimmed) == 0 {
			end = begin
			continue
		}
		i := bytes.LastIndexByte(trimmed, '\n')
		if i < 0 && begin > 0 {
			// The line begins before: blanks at its end hid that, or it is damage without a line break, which must not be
			// taken for a line from its middle on. Look again from where it ends, and further.
			end = begin + int64(len(trimmed))
			reach *= 2
			continue
		}
		return string(trimmed[i+1:]), begin + int64(i) + 1, nil
	}
	return "", 0, nil
}
