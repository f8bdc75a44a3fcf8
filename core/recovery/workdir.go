package recovery

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// workDir is a private directory on this host that a restore uses and removes. It is locked while it is in use, so that
// the next restore can tell those that killed ones have left.
type workDir struct {
	dir  string
	lock *os.File
}

// workLock is the lock file in a work directory.
const workLock = ".lock"

// newWorkDir makes a work directory below path, called name, the process id and something random; and it removes those of
// that name that nobody uses.
func newWorkDir(path, name string) (_ *workDir, err error) {
	sweepWorkDirs(path, name)
	// Private, because /tmp belongs to everybody. It gets the name that is swept only once it is locked.
	dir, err := os.MkdirTemp(path, ".barman-")
	if err != nil {
		return nil, err
	}
	w := &workDir{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.remove())
		}
	}()
	if w.lock, err = os.OpenFile(filepath.Join(dir, workLock), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, err
	}
	if err := unix.Flock(int(w.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, fmt.Errorf("lock %s: %w", w.lock.Name(), err)
	}
	if err := os.Mkdir(w.data(), 0o700); err != nil {
		return nil, err
	}
	final := filepath.Join(path, name+strconv.Itoa(os.Getpid())+strings.TrimPrefix(filepath.Base(dir), ".barman"))
	if err := os.Rename(dir, final); err != nil {
		return nil, err
	}
	w.dir = final
	return w, nil
}

// data is an empty directory in it at first.
func (w *workDir) data() string { return filepath.Join(w.dir, "data") }

// remove removes everything.
func (w *workDir) remove() error {
	err := os.RemoveAll(w.dir)
	if w.lock != nil {
		err = errors.Join(err, w.lock.Close())
	}
	return err
}

// sweepWorkDirs removes what restores of this user that were killed have left: nobody holds the lock of theirs. Whatever
// cannot be removed is left alone.
func sweepWorkDirs(path, name string) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), name) {
			continue
		}
		dir := filepath.Join(path, e.Name())
		lock, err := os.OpenFile(filepath.Join(dir, workLock), os.O_RDWR|unix.O_NOFOLLOW, 0)
		if err != nil {
			continue
		}
		if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.RemoveAll(dir)
		}
		_ = lock.Close()
	}
}
