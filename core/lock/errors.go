package lock

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrBusy is in the chain of the error of an Acquire that found the lock held by another process.
var ErrBusy = errors.New("lock is held by another process")

// Holder is what can be found out about the process that holds a lock. Fields are zero when unknown.
type Holder struct {
	PID int
	// Command is the command line, its arguments joined by blanks.
	Command string
	// Since is when it took the lock.
	Since time.Time
}

// String is a part of a message: `process 4711 ("barman backup main", since 2025-01-31 02:00:00)`.
func (h Holder) String() string {
	if h.PID == 0 {
		return "an unknown process"
	}
	var details []string
	if h.Command != "" {
		details = append(details, fmt.Sprintf("%q", h.Command))
	}
	if !h.Since.IsZero() {
		details = append(details, "since "+h.Since.Local().Format(time.DateTime))
	}
	if len(details) == 0 {
		return fmt.Sprintf("process %d", h.PID)
	}
	return fmt.Sprintf("process %d (%s)", h.PID, strings.Join(details, ", "))
}

// BusyError is a lock that another process holds. It matches ErrBusy.
type BusyError struct {
	// Path is the lock file of Name.
	Path   string
	Name   Name
	Holder Holder
}

// Error names the file and its holder.
func (e *BusyError) Error() string {
	return fmt.Sprintf("lock file %s is held by %s", e.Path, e.Holder)
}

// Unwrap gives ErrBusy.
func (e *BusyError) Unwrap() error { return ErrBusy }

// By says who holds the lock because of which an Acquire failed, for messages; empty when it failed for another reason:
//
//	process 4711 ("barman backup main", since 2025-01-31 02:00:00)
func By(err error) string {
	var busy *BusyError
	if !errors.As(err, &busy) {
		return ""
	}
	return busy.Holder.String()
}

// PermissionError is a lock file or directory that this user may not use. Its chain holds the system's error, which
// matches fs.ErrPermission.
type PermissionError struct {
	Path string
	Err  error
}

// Error says what to do.
func (e *PermissionError) Error() string {
	return fmt.Sprintf("cannot open lock file %s: %v: run as the user that owns barman_lock_directory, "+
		"or correct the owner of the file", e.Path, e.Err)
}

// Unwrap gives the system's error.
func (e *PermissionError) Unwrap() error { return e.Err }
