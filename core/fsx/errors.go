package fsx

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// ErrNoSpace is in the chain of every error that a full file system or an exhausted quota caused.
var ErrNoSpace = errors.New("no space left")

// ErrSync is in the chain of every error of an fsync. What was written before may be lost, whatever later calls say.
var ErrSync = errors.New("cannot make it durable")

// NoSpaceError is a full file system (ENOSPC) or an exhausted quota (EDQUOT). It matches ErrNoSpace and the system's
// error.
type NoSpaceError struct {
	Op, Path string
	// Free is what is left for this user on the file system of Path, in bytes; −1 when unknown. It is positive when a
	// quota or the number of files is the limit, or when somebody freed space in the meantime.
	Free int64
	Err  error
}

// Error says where and what to do.
func (e *NoSpaceError) Error() string {
	left := ""
	if e.Free >= 0 {
		left = fmt.Sprintf(" (%d bytes left)", e.Free)
	}
	return fmt.Sprintf("%s %s: %v%s: free space or extend the file system, then try again", e.Op, e.Path, e.Err, left)
}

// Unwrap gives ErrNoSpace and the system's error.
func (e *NoSpaceError) Unwrap() []error { return []error{ErrNoSpace, e.Err} }

// syncError is an error of fsync or syncfs; err names operation and path.
type syncError struct{ err error }

func (e *syncError) Error() string {
	return e.err.Error() + ": " + ErrSync.Error() + ": check the disk, and treat what was written as lost"
}

func (e *syncError) Unwrap() []error { return []error{ErrSync, e.err} }

// wrap gives err an operation and a path unless it carries them already, and tells a full disk apart.
func wrap(op, path string, err error) error {
	if err == nil {
		return nil
	}
	if _, done := errors.AsType[*NoSpaceError](err); done || errors.Is(err, ErrSync) {
		return err
	}
	cause := err
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		op, path, cause = pathErr.Op, pathErr.Path, pathErr.Err
	} else if linkErr, ok := errors.AsType[*os.LinkError](err); ok {
		op, path, cause = linkErr.Op, linkErr.New, linkErr.Err
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		free := int64(-1)
		if n, freeErr := FreeBytes(path); freeErr == nil {
			free = n
		}
		return &NoSpaceError{Op: op, Path: path, Free: free, Err: cause}
	}
	if cause != err { //nolint:errorlint // the question is whether it was wrapped
		return err // it names operation and path already
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}

// retry calls fn again while a signal interrupts it. Functions of the os package do this themselves.
func retry(fn func() error) error {
	for {
		if err := fn(); err != unix.EINTR { //nolint:errorlint // system calls return bare error numbers
			return err
		}
	}
}

// Wrap gives the error of a system call that a caller made itself the form of this package's: an operation and a path, and a
// *NoSpaceError for a full disk. It returns nil for nil.
func Wrap(op, path string, err error) error { return wrap(op, path, err) }
