package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
)

// Rebuilt says what a rebuild found.
type Rebuilt struct {
	Segments, BackupLabels, Histories int
	// Skipped are files and directories that are not in the index, with the reason.
	Skipped []string
}

// Rebuild writes the index anew from what lies in the archive. Like Barman it lists segments and backup labels in the
// archive's directories and history files in its root; partial segments, temporary files and everything else are left
// out.
//
// What is recorded then can differ from what was: the compression is the one recognised (gzip, where pigz was
// configured), and the size is that of the file.
func (x *WALIndex) Rebuild(ctx context.Context) (Rebuilt, error) {
	var result Rebuilt
	err := x.locked(ctx, func() (err error) {
		result, err = x.rebuild(ctx)
		return err
	})
	return result, err
}

// rebuild does it with the lock held.
func (x *WALIndex) rebuild(ctx context.Context) (Rebuilt, error) {
	var result Rebuilt
	_, err := os.Stat(x.layout.WALIndexPath())
	isNew := errors.Is(err, fs.ErrNotExist)
	if err != nil && !isNew {
		return result, err
	}
	entries, err := os.ReadDir(x.layout.WALs)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return result, err
	}
	var content []byte
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return result, err
		}
		if entry.IsDir() {
			content, err = x.scanDir(entry.Name(), content, &result)
		} else {
			content, err = x.scanFile("", entry, content, &result)
		}
		if err != nil {
			return result, err
		}
	}
	if err := fsx.MkdirAll(x.layout.XlogDB, dirMode); err != nil {
		return result, err
	}
	write := func(w *os.File) error {
		_, err := w.Write(content)
		return err
	}
	if err := x.replace(write); err != nil {
		return result, fmt.Errorf("rebuilding the WAL index of server %s: %w", x.layout.Server, err)
	}
	if isNew {
		// The list of versions before 3.13. The new one is durable, so nothing needs it any more.
		legacy := x.layout.LegacyWALIndexPath()
		if found, err := exists(legacy); found || err != nil {
			return result, errors.Join(err, fsx.Remove(legacy))
		}
	}
	return result, nil
}

func (x *WALIndex) scanDir(dir string, content []byte, result *Rebuilt) ([]byte, error) {
	entries, err := os.ReadDir(filepath.Join(x.layout.WALs, dir))
	if err != nil {
		return content, err
	}
	for _, entry := range entries {
		content, err = x.scanFile(dir, entry, content, result)
		if err != nil {
			return content, err
		}
	}
	return content, nil
}

// scanFile appends the line of one file below wals/; dir is "" for its root.
func (x *WALIndex) scanFile(dir string, entry fs.DirEntry, content []byte, result *Rebuilt) ([]byte, error) {
	relative := filepath.Join(dir, entry.Name())
	skip := func(reason string) ([]byte, error) {
		result.Skipped = append(result.Skipped, relative+": "+reason)
		return content, nil
	}
	if dir == "" && x.isOwnFile(entry.Name()) {
		return content, nil
	}
	name, err := wal.ParseFileName(entry.Name())
	switch {
	case err != nil:
		return skip("not a WAL file")
	case !entry.Type().IsRegular():
		return skip("not a regular file")
	case name.Kind() == wal.KindPartial:
		return skip("a partial segment is not part of the index")
	case (name.Kind() == wal.KindHistory) != (dir == ""):
		return skip("not where the archive keeps such files")
	}
	record, err := x.Describe(filepath.Join(x.layout.WALs, relative))
	if errors.Is(err, fs.ErrNotExist) {
		return content, nil // removed since the listing
	}
	if err != nil {
		return content, err
	}
	switch name.Kind() {
	case wal.KindSegment:
		result.Segments++
	case wal.KindBackup:
		result.BackupLabels++
	case wal.KindHistory:
		result.Histories++
	}
	return record.AppendTo(content), nil
}

// isOwnFile tells whether a file in the root of wals/ belongs to the index itself or to the passive node's
// bookkeeping.
func (x *WALIndex) isOwnFile(name string) bool {
	final, _, isTemp := fsx.ParseTempName(name)
	return strings.HasPrefix(name, x.layout.walIndexName()) ||
		isTemp && final == x.layout.walIndexName() ||
		name == filepath.Base(x.layout.LegacyWALIndexPath()) ||
		name == filepath.Base(x.layout.SyncWALsInfoPath())
}

// Describe makes the record of a file in the archive: its size, its time, and the formats that its first bytes show.
// What is inside an encrypted file cannot be seen, so its compression is empty.
func (x *WALIndex) Describe(path string) (WALRecord, error) {
	f, err := os.Open(path)
	if err != nil {
		return WALRecord{}, err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return WALRecord{}, err
	}
	head := make([]byte, 4<<10)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return WALRecord{}, err
	}
	record := WALRecord{Name: filepath.Base(path), Size: info.Size(), ModTime: Seconds(info.ModTime())}
	if IsPGPEncrypted(head[:n]) {
		record.Encryption = "gpg"
	} else {
		record.Compression = x.identify(head[:n])
	}
	return record, nil
}
