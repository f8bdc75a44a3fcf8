package backup

import (
	"crypto/rand"
	"errors"
	"os"

	"github.com/barman-go/barman/core/fsx"
)

// reserveSize is room for a catalog entry and the blocks of a directory, in bytes.
const reserveSize = 256 << 10

// reserve is disk space that is kept while data is copied, so that a backup which has filled the disk can still be recorded as
// FAILED. It is a file without a name: when this process dies, the space is free again.
type reserve struct{ file *os.File }

// takeReserve takes space on the file system of the catalog entry.
func takeReserve(infoPath string) (*reserve, error) {
	f, err := fsx.CreateTemp(infoPath, 0o600)
	if err != nil {
		return nil, err
	}
	// Random, because a file system that compresses would give no room to zeros.
	content := make([]byte, reserveSize)
	_, _ = rand.Read(content) // never fails
	_, err = f.Write(content)
	if err = errors.Join(err, os.Remove(f.Name())); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &reserve{f}, nil
}

// release gives the space back.
func (r *reserve) release() { _ = r.file.Close() } // nobody reads what was written
