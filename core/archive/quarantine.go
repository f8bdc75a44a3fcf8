package archive

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
)

// Why a file is in the errors directory, as its name ends there; `barman check` counts them.
const (
	kindDuplicate = "duplicate"
	kindUnknown   = "unknown"
)

// AlarmPrefix begins a line of the log, of level ERROR, about WAL that is not what it should be. Somebody has to look:
// monitoring can wait for the word. docs/differences.md promises it.
const AlarmPrefix = "WAL alarm: "

func alarm(log hclog.Logger, format string, args ...any) {
	log.Error(AlarmPrefix + fmt.Sprintf(format, args...))
}

// quarantine moves a file into the errors directory, durably, as NAME.YYYYMMDDTHHMMSSZ.KIND, and returns its new path. A
// number is added when the name is taken: nothing in errors/ is ever overwritten.
//
// A duplicate that is there already is not kept twice: PostgreSQL sends a refused segment again and again.
func quarantine(path, name, errorsDir, kind string, now time.Time) (string, error) {
	if err := fsx.MkdirAll(errorsDir, 0o755); err != nil {
		return "", err
	}
	if kind == kindDuplicate {
		kept, err := keptAlready(path, name, errorsDir)
		if err != nil {
			return "", err
		}
		if kept != "" {
			return kept, fsx.Remove(path)
		}
	}
	stamp := now.UTC().Format("20060102T150405Z")
	for n := 0; ; n++ {
		base := fmt.Sprintf("%s.%s.%s", name, stamp, kind)
		if n > 0 {
			base = fmt.Sprintf("%s.%s-%d.%s", name, stamp, n, kind)
		}
		kept := filepath.Join(errorsDir, base)
		// In one step: put-wal and archive-wal may put the same name aside at the same time.
		if err := moveAside(path, kept); !errors.Is(err, fs.ErrExist) {
			return kept, err
		}
	}
}

// keptAlready finds a duplicate of the same name and content in the errors directory; empty when there is none.
func keptAlready(path, name, errorsDir string) (string, error) {
	entries, err := os.ReadDir(errorsDir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), name+".")
		if !ok || !strings.HasSuffix(rest, "."+kindDuplicate) || !e.Type().IsRegular() {
			continue
		}
		kept := filepath.Join(errorsDir, e.Name())
		same, err := fsx.EqualFiles(path, kept)
		if err != nil || same {
			return kept, err
		}
	}
	return "", nil
}

// moveAside moves files and directories within a file system, and regular files across, to a name that must be free.
func moveAside(path, kept string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode().IsRegular() {
		return fsx.MoveNew(path, kept)
	}
	return fsx.RenameNew(path, kept)
}

// readHead returns the first bytes of a file, enough for a page header and for any format's magic.
func readHead(path string) (head []byte, info fs.FileInfo, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close() //nolint:errcheck // read only
	if info, err = f.Stat(); err != nil {
		return nil, nil, err
	}
	if head, err = readFirst(f); err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", path, err)
	}
	return head, info, nil
}

// readFirst reads what readHead returns.
func readFirst(r io.Reader) ([]byte, error) {
	head := make([]byte, max(wal.PageHeaderSize, 64))
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return head[:n], nil
}
