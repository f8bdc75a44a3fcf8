package archive

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
)

// quarantine moves a file into the errors directory, durably, as NAME.YYYYMMDDTHHMMSSZ.KIND, and returns its new path. A
// number is added when the name is taken: nothing in errors/ is ever overwritten.
func quarantine(path, name, errorsDir, kind string, now time.Time) (string, error) {
	if err := fsx.MkdirAll(errorsDir, 0o755); err != nil {
		return "", err
	}
	stamp := now.UTC().Format("20060102T150405Z")
	for n := 0; ; n++ {
		base := fmt.Sprintf("%s.%s.%s", name, stamp, kind)
		if n > 0 {
			base = fmt.Sprintf("%s.%s-%d.%s", name, stamp, n, kind)
		}
		kept := filepath.Join(errorsDir, base)
		if _, err := os.Lstat(kept); err == nil {
			continue
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		return kept, moveAside(path, kept)
	}
}

// moveAside moves files and directories within a file system, and regular files across.
func moveAside(path, kept string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode().IsRegular() {
		return fsx.Move(path, kept)
	}
	return fsx.Rename(path, kept)
}

// readHead returns the first bytes of a file, enough for a page header and for any format's magic, and its size.
func readHead(path string) (head []byte, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close() //nolint:errcheck // read only
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	head = make([]byte, max(wal.PageHeaderSize, 64))
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, 0, fmt.Errorf("read %s: %w", path, err)
	}
	return head[:n], info.Size(), nil
}
