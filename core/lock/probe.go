package lock

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Probe tells whether a process holds a lock alone, and which (0 when unknown). A file that does not exist is not held;
// neither is a lock that others only share.
//
// Where /proc/locks shows the holder, the lock is not touched. Otherwise it is taken shared for a moment: probes do
// not disturb each other, and Acquire tries several times before it calls a lock busy.
func Probe(path string) (held bool, pid int, err error) {
	holder, held, err := probe(path)
	return held, holder.PID, err
}

// Find tells whether a lock is held, and by whom; otherwise as Probe.
func Find(dir string, name Name) (holder Holder, held bool, err error) {
	base, err := name.File()
	if err != nil {
		return Holder{}, false, err
	}
	return probe(filepath.Join(dir, base))
}

func probe(path string) (holder Holder, held bool, err error) {
	// Without O_CREATE: asking must not leave files behind. O_NONBLOCK: nor hang on a FIFO.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Holder{}, false, nil
	case errors.Is(err, fs.ErrPermission):
		return Holder{}, false, &PermissionError{Path: path, Err: err}
	case err != nil:
		return Holder{}, false, fmt.Errorf("cannot open lock file: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written through it
	if pid, _ := kernelHolders(f); pid != 0 {
		return describe(f, pid), true, nil
	}
	err = flockCall(f, unix.LOCK_SH|unix.LOCK_NB)
	switch {
	case err == nil:
		return Holder{}, false, flockCall(f, unix.LOCK_UN)
	case errors.Is(err, unix.EWOULDBLOCK):
		return holderOf(f), true, nil
	}
	return Holder{}, false, fmt.Errorf("lock file %s: %w", path, err)
}

// Held is a lock that some process holds.
type Held struct {
	Name   Name
	Path   string
	Holder Holder
}

// List returns the locks of exactly this server that a process holds alone, in the order of Kind and then by backup. A directory
// that does not exist holds none. It goes on after errors and returns them joined.
func List(dir, server string) ([]Held, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot list the lock directory: %w", err)
	}
	var found []Held
	var errs []error
	for _, entry := range entries {
		name, ok := Parse(entry.Name(), server)
		if !ok {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		holder, held, err := probe(path)
		if err != nil {
			errs = append(errs, err)
		} else if held {
			found = append(found, Held{Name: name, Path: path, Holder: holder})
		}
	}
	slices.SortFunc(found, func(a, b Held) int {
		return cmp.Or(cmp.Compare(a.Name.Kind, b.Name.Kind), cmp.Compare(a.Name.BackupID, b.Name.BackupID))
	})
	return found, errors.Join(errs...)
}

// Cleanup removes the lock files in dir that nobody holds and returns their names. Only files called like a lock of
// some server are considered. It goes on after errors and returns them joined.
//
// Acquire notices when its file was removed; Python Barman does not, but removes such files in the same way itself.
func Cleanup(dir string) (removed []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list the lock directory: %w", err)
	}
	var errs []error
	for _, entry := range entries {
		if !entry.Type().IsRegular() || !looksLikeLock(entry.Name()) {
			continue
		}
		gone, err := removeIfFree(filepath.Join(dir, entry.Name()))
		if err != nil {
			errs = append(errs, err)
		} else if gone {
			removed = append(removed, entry.Name())
		}
	}
	return removed, errors.Join(errs...)
}

// looksLikeLock tells whether the file can be the lock of a server, whatever its name: every place where the server's
// name may end is tried.
func looksLikeLock(file string) bool {
	if _, ok := Parse(file, ""); ok {
		return true
	}
	body, ok := cutLockFile(file)
	if !ok {
		return false
	}
	for i := range len(body) {
		if i > 0 && body[i] == '-' {
			if _, ok := parseRest(body[i+1:]); ok {
				return true
			}
		}
	}
	return false
}

func removeIfFree(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return false, &PermissionError{Path: path, Err: err}
	}
	if err != nil {
		return false, fmt.Errorf("cannot open lock file: %w", err)
	}
	defer f.Close() //nolint:errcheck // closing gives the lock back
	err = flockCall(f, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock file %s: %w", path, err)
	}
	if !stillNamed(f, path) {
		return false, nil // a new file has the name; it is not ours to remove
	}
	if err := os.Remove(path); err != nil {
		return false, fmt.Errorf("cannot remove lock file: %w", err)
	}
	return true, nil
}
