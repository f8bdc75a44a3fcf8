package recovery

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/barman-go/barman/core/wal"
)

// readStreaming adds what receive-wal has received and archive-wal has not filed yet, above all the segment that is still being
// received: a synchronous commit that PostgreSQL has acknowledged may be nowhere else.
func (a *Archived) readStreaming(ctx context.Context, dir, temp string, from wal.Segment, decoder Decoder) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, err := wal.ParseFileName(e.Name())
		if err != nil {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if tli := name.Timeline(); name.Kind() == wal.KindHistory && a.Files[tli] == "" {
			history, err := readHistory(ctx, tli, path, temp, decoder)
			switch {
			case errors.Is(err, fs.ErrNotExist): // archived in this moment, and listed by the next run
			case err != nil:
				a.Files[tli], a.Damaged[tli] = path, err
			default:
				a.Files[tli], a.Histories[tli] = path, history
			}
			continue
		}
		known := map[wal.Kind]map[wal.Segment]string{wal.KindSegment: a.Segments, wal.KindPartial: a.Partials}[name.Kind()]
		segment, ok := name.Segment()
		if known == nil || !ok || known[segment] != "" || segment.OnTimeline(from.Timeline).Compare(from) < 0 {
			continue
		}
		if holds, err := holdsWAL(path); err != nil {
			return err
		} else if holds {
			known[segment] = path
		}
	}
	return nil
}

// holdsWAL tells whether any WAL has been written to a file: a new partial segment is all zeros.
func holdsWAL(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close() //nolint:errcheck // only read
	page := make([]byte, wal.PageHeaderSize)
	n, err := f.ReadAt(page, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return len(bytes.Trim(page[:n], "\x00")) > 0, nil
}

// places are where a file may be by now that was found at path: while a restore runs, receive-wal completes segments and archive-wal
// files them.
func (r *restore) places(f WALFile) []string {
	places := []string{f.Path}
	if filepath.Dir(f.Path) != r.Catalog.Layout.Streaming {
		return places
	}
	name, err := wal.ParseFileName(f.Name)
	if err != nil {
		return places
	}
	return append(places, filepath.Join(r.Catalog.Layout.Streaming, f.Name),
		filepath.Join(r.Catalog.Layout.WALs, filepath.FromSlash(name.ArchivePath())))
}
