package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/barman-go/barman/cmd/internal/walclient"
	"github.com/barman-go/barman/core/fsx"
)

// exitDestination is the exit code for a WAL_DEST that cannot be written, and for a bad WAL_NAME.
const exitDestination = 3

// destination is WAL_DEST and the temporary file beside it. Neither is made durable: PostgreSQL does that with what it keeps,
// and fetches again after a crash.
type destination struct {
	path, temp string
	mode       fs.FileMode
}

// openDestination makes the temporary file. Its errors have exit code 3.
func openDestination(path string) (*destination, error) {
	refuse := func(format string, args ...any) error {
		return &walclient.ExitError{Code: exitDestination, Text: fmt.Sprintf(format, args...)}
	}
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return nil, refuse("WAL_DEST cannot be a directory: %s", path)
	case err == nil && !info.Mode().IsRegular():
		return nil, refuse("WAL_DEST is not a regular file: %s", path) // a rename would replace the device
	}
	// PostgreSQL's umask says who may read its WAL. It can only be read by setting it.
	umask := syscall.Umask(0o077)
	syscall.Umask(umask)
	d := &destination{path: path, mode: 0o666 &^ fs.FileMode(umask)}
	d.sweep()
	f, err := fsx.CreateTemp(path, d.mode)
	if err != nil {
		return nil, refuse("Cannot open WAL_DEST: %s", err)
	}
	d.temp = f.Name()
	return d, f.Close()
}

// sweep removes the temporary files of earlier calls for the same path that were killed. Others in the directory, which is
// PostgreSQL's, are none of our business.
func (d *destination) sweep() {
	dir, err := os.Open(filepath.Dir(d.path))
	if err != nil {
		return
	}
	defer dir.Close() //nolint:errcheck // only read
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		final, _, ok := fsx.ParseTempName(name)
		if ok && final == filepath.Base(d.path) && fsx.OwnerDead(name, nil) {
			_ = os.Remove(filepath.Join(dir.Name(), name))
		}
	}
}

// publish gives the temporary file its final name.
func (d *destination) publish() error {
	// What came from the spool is private.
	if err := os.Chmod(d.temp, d.mode); err != nil {
		return err
	}
	return os.Rename(d.temp, d.path)
}

// discard removes the temporary file; after publish there is none.
func (d *destination) discard() { _ = os.Remove(d.temp) }
