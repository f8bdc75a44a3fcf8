package archive

import (
	"fmt"
	"syscall"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/report"
)

// The free space that is reserved when nobody says how much: a little, and on a small disk less.
const (
	defaultReserve = 256 << 20
	defaultShare   = 20
)

// NoSpaceError means that WAL cannot be accepted without using space that is reserved. It is an fsx.ErrNoSpace.
type NoSpaceError struct {
	// Dir is where the WAL was to go.
	Dir string
	// Free is what the disk has, Need what the WAL takes, and Reserve what has to stay, in bytes.
	Free, Need, Reserve int64
}

func (e *NoSpaceError) Error() string {
	return fmt.Sprintf("not enough space in %s: %s are free, %s are needed, and %s are reserved (wal_free_space_reserve)",
		e.Dir, report.Size(e.Free), report.Size(e.Need), report.Size(e.Reserve))
}

// Unwrap gives what a full disk says.
func (e *NoSpaceError) Unwrap() []error { return []error{fsx.ErrNoSpace, syscall.ENOSPC} }

// CheckSpace tells whether a directory's disk can take need more bytes of WAL and keep its reserve. The error is a
// *NoSpaceError when it cannot. reserve is the option wal_free_space_reserve, in bytes; nil when it is not set.
//
// Whoever accepts WAL asks before: while there is a reserve, what was accepted can be archived, backups can be deleted, and the
// catalog can be written, which is the way out. Archiving what was accepted does not ask, because it gives space back.
func CheckSpace(dir string, need int64, reserve *int64) error {
	space, err := fsx.SpaceOf(dir)
	if err != nil {
		return err
	}
	keep := min(int64(defaultReserve), space.Total/defaultShare)
	if reserve != nil {
		keep = *reserve
	}
	if keep > 0 && space.Free-need < keep {
		return &NoSpaceError{Dir: dir, Free: space.Free, Need: need, Reserve: keep}
	}
	return nil
}
