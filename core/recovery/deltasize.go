package recovery

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
)

// deltaBytes is what a restore over the content of directories on this host copies at most: files that are missing or look different.
// Those that only have to be compared are not counted, nor that only parts of a file may differ.
func (p *Plan) deltaBytes(ctx context.Context, layout catalog.Layout) (int64, error) {
	var bytes int64
	count := func(source, dest string) error {
		return fsx.Walk(ctx, source, func(path string, entry fs.DirEntry) error {
			if !entry.Type().IsRegular() {
				return nil
			}
			wanted, err := entry.Info()
			if err != nil {
				return err
			}
			found, err := os.Lstat(filepath.Join(dest, strings.TrimPrefix(path, source)))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			if err != nil || found.Size() != wanted.Size() || found.ModTime().Unix() != wanted.ModTime().Unix() {
				bytes += wanted.Size()
			}
			return nil
		})
	}
	if err := count(layout.DataPath(p.Backup.ID), p.Destination); err != nil {
		return 0, err
	}
	for _, t := range p.Tablespaces {
		if err := count(t.Source, t.Location); err != nil {
			return 0, err
		}
	}
	if p.WALDirectory == "" {
		return bytes, nil
	}
	for _, f := range p.WAL.Files {
		if found, err := os.Lstat(filepath.Join(p.WALDirectory, f.Name)); err != nil || !p.untouched(f, found) {
			bytes += int64(p.Backup.SegmentSize)
		}
	}
	return bytes, nil
}
