package lock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// busyTries and busyPause let a lock that somebody only probes (which Python Barman does by taking it for a
	// moment) become free before it is reported as busy.
	busyTries = 4
	busyPause = 15 * time.Millisecond
)

// Lock is a lock that this process holds. Its methods may be called by several goroutines.
type Lock struct {
	name Name
	mu   sync.Mutex
	file *os.File
}

// Acquire takes a lock. With wait it blocks until the lock is free or ctx ends; without, a lock that is held is a
// *BusyError. Callers usually pass name.Waits(). A file or directory that may not be used is a *PermissionError; a
// missing directory matches fs.ErrNotExist.
//
// Two Acquires inside one process exclude each other like those of two processes.
func Acquire(ctx context.Context, dir string, name Name, wait bool) (*Lock, error) {
	return take(ctx, dir, name, unix.LOCK_EX, wait)
}

// Share is Acquire for those who only read what the lock protects: any number of them hold it at the same time, and
// whoever wants it alone finds it busy. Python Barman never shares a lock, but its flock respects those who do.
func Share(ctx context.Context, dir string, name Name, wait bool) (*Lock, error) {
	return take(ctx, dir, name, unix.LOCK_SH, wait)
}

// take takes a lock in the mode unix.LOCK_EX or unix.LOCK_SH.
func take(ctx context.Context, dir string, name Name, mode int, wait bool) (*Lock, error) {
	base, err := name.File()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, base)
	for {
		f, err := open(path)
		if err != nil {
			return nil, err
		}
		if err := flock(ctx, f, mode, wait); err != nil {
			if !errors.Is(err, ErrBusy) {
				return nil, fmt.Errorf("lock file %s: %w", path, err)
			}
			busy := &BusyError{Path: path, Name: name, Holder: holderOf(f)}
			f.Close() //nolint:errcheck // nothing was written through it
			return nil, busy
		}
		// Between open and flock somebody may have removed the file, and a third process made and locked a new one.
		if !stillNamed(f, path) {
			f.Close() //nolint:errcheck // nobody else can find this file any more
			if err := ctx.Err(); err != nil {
				return nil, fmt.Errorf("lock file %s: %w", path, err)
			}
			continue
		}
		writePID(f)
		return &Lock{name: name, file: f}, nil
	}
}

// open opens or creates a lock file. O_CLOEXEC, which os.OpenFile sets, keeps the lock out of child processes.
func open(path string) (*os.File, error) {
	// O_NOFOLLOW: in a directory that others can write, a link could make us truncate somebody's file.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if errors.Is(err, fs.ErrPermission) {
		return nil, &PermissionError{Path: path, Err: err}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open lock file: %w", err)
	}
	return f, nil
}

// flock locks f. It closes f only when it fails with an error other than ErrBusy.
func flock(ctx context.Context, f *os.File, mode int, wait bool) error {
	for try := 1; ; try++ {
		err := flockCall(f, mode|unix.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return errors.Join(err, f.Close())
		}
		if wait {
			return flockBlocking(ctx, f, mode)
		}
		if try == busyTries {
			return ErrBusy
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), f.Close())
		case <-time.After(busyPause):
		}
	}
}

// flockBlocking queues in the kernel, where waiters are served as fairly as Python's. The call cannot be cancelled:
// when ctx ends first, a goroutine stays behind that gives the lock back the moment it gets it.
func flockBlocking(ctx context.Context, f *os.File, mode int) error {
	done := make(chan error, 1)
	go func() { done <- flockCall(f, mode) }()
	select {
	case err := <-done:
		if err != nil {
			return errors.Join(err, f.Close())
		}
		return nil
	case <-ctx.Done():
		go func() {
			<-done        //nolint:errcheck // nobody waits for this lock any more
			_ = f.Close() // closing is giving the lock back
		}()
		return context.Cause(ctx)
	}
}

func flockCall(f *os.File, how int) error {
	for {
		if err := unix.Flock(int(f.Fd()), how); err != unix.EINTR {
			return err
		}
	}
}

// stillNamed tells whether path names the open file.
func stillNamed(f *os.File, path string) bool {
	opened, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(path)
	return err == nil && os.SameFile(opened, named)
}

// writePID says who holds the lock; of those who share it, who came last. It is information for people and for Python's process list, so a failure, most
// likely a full disk, must not stop an operation that may be about to free space; an empty file is better than a
// wrong number.
func writePID(f *os.File) {
	text := strconv.Itoa(os.Getpid()) + "\n"
	// Written first and cut afterwards, so that a reader never finds the file empty.
	if _, err := f.WriteAt([]byte(text), 0); err != nil {
		f.Truncate(0) //nolint:errcheck // see above
		return
	}
	f.Truncate(int64(len(text))) //nolint:errcheck // see above
}

// Name is what was locked.
func (l *Lock) Name() Name { return l.name }

// Release gives the lock back; the file stays. A second call does nothing.
func (l *Lock) Release() error { return l.release(false) }

// Remove gives the lock back and removes the file, for a lock whose subject does not exist any more, such as a
// deleted backup. After Release it does nothing.
func (l *Lock) Remove() error { return l.release(true) }

func (l *Lock) release(remove bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	var errs []error
	if remove {
		// While the lock is held, so that nobody else can be the owner of the name; those who wait for this file will
		// notice.
		if err := os.Remove(l.file.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	// Unlock before close: a process being started at this moment may still share the open file until it executes its
	// program.
	errs = append(errs, flockCall(l.file, unix.LOCK_UN), l.file.Close())
	l.file = nil
	return errors.Join(errs...)
}
