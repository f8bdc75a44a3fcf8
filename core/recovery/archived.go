package recovery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/barman-go/barman/core/wal"
)

// Archived is what the WAL archive of a server holds. The directory is the truth, not the index, which may be behind.
type Archived struct {
	// Segments and Partials are the paths of complete and of partial segments.
	Segments, Partials map[wal.Segment]string
	// Files are the paths of all history files, Histories their content; of a damaged one Damaged says why.
	Files     map[wal.TimelineID]string
	Histories map[wal.TimelineID]wal.History
	Damaged   map[wal.TimelineID]error
}

// readArchive lists the archive in dir from a place in the log on, for all timelines. temp is a directory for decoded
// history files.
func readArchive(ctx context.Context, dir, temp string, from wal.Segment, decoder Decoder) (*Archived, error) {
	a := &Archived{
		Segments: map[wal.Segment]string{}, Partials: map[wal.Segment]string{},
		Files: map[wal.TimelineID]string{}, Histories: map[wal.TimelineID]wal.History{}, Damaged: map[wal.TimelineID]error{},
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if e.IsDir() {
			if log, ok := logOf(e.Name()); ok && log >= from.Log {
				if err := a.readDir(filepath.Join(dir, e.Name())); err != nil {
					return nil, err
				}
			}
			continue
		}
		name, err := wal.ParseFileName(e.Name())
		if err != nil || name.Kind() != wal.KindHistory {
			continue
		}
		tli, path := name.Timeline(), filepath.Join(dir, e.Name())
		a.Files[tli] = path
		if a.Histories[tli], err = readHistory(ctx, tli, path, temp, decoder); err != nil {
			a.Damaged[tli] = err
			delete(a.Histories, tli)
		}
	}
	return a, nil
}

// logOf reads the name of a directory of the archive: timeline and log, eight digits each.
func logOf(name string) (uint32, bool) {
	if len(name) != 16 {
		return 0, false
	}
	n, err := strconv.ParseUint(name, 16, 64)
	return uint32(n), err == nil
}

func (a *Archived) readDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, err := wal.ParseFileName(e.Name())
		if err != nil {
			continue
		}
		segment, _ := name.Segment()
		switch name.Kind() {
		case wal.KindSegment:
			a.Segments[segment] = filepath.Join(dir, e.Name())
		case wal.KindPartial:
			a.Partials[segment] = filepath.Join(dir, e.Name())
		}
	}
	return nil
}

func readHistory(ctx context.Context, tli wal.TimelineID, path, temp string, decoder Decoder) (wal.History, error) {
	plain, remove, err := plainFile(ctx, path, temp, decoder)
	if err != nil {
		return wal.History{}, err
	}
	defer remove()
	content, err := os.ReadFile(plain)
	if err != nil {
		return wal.History{}, err
	}
	return wal.ParseHistory(tli, bytes.NewReader(content))
}

// plainFile returns a path of the plain content of an archived file: the file itself, or a temporary one in temp,
// which the caller removes with the returned function.
func plainFile(ctx context.Context, path, temp string, decoder Decoder) (plain string, remove func(), err error) {
	format, err := decoder.FormatOf(ctx, path)
	if err != nil {
		return "", nil, err
	}
	if format == "" {
		return path, func() {}, nil
	}
	dir, err := os.MkdirTemp(temp, "wal-")
	if err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	plain = filepath.Join(dir, filepath.Base(path))
	if err := decoder.Decode(ctx, path, format, plain); err != nil {
		remove()
		return "", nil, fmt.Errorf("decode %s: %w", path, err)
	}
	return plain, remove, nil
}

// newest is the highest timeline of the archive, at least tli.
func (a *Archived) newest(tli wal.TimelineID) wal.TimelineID {
	for id := range a.Files {
		tli = max(tli, id)
	}
	return tli
}

// probed is the timeline that PostgreSQL finds for "latest": it asks for the history files of one timeline after the
// other until one is missing.
func (a *Archived) probed(tli wal.TimelineID) wal.TimelineID {
	for a.Files[tli+1] != "" {
		tli++
	}
	return tli
}
