package fsx

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Stale decides whether a file is a leftover that nobody will finish. name is its base name.
type Stale func(name string, info fs.FileInfo) bool

// OwnerDead is a Stale: a temporary file of this package whose process does not exist any more. A process that got
// the number later, after a reboot or a wrap-around, counts as alive; hold a lock that the owner must hold, and use
// AnyTemp, to be rid of such files too.
func OwnerDead(name string, _ fs.FileInfo) bool {
	_, pid, ok := ParseTempName(name)
	if !ok {
		return false
	}
	// Signal 0 only asks. EPERM means that it lives and belongs to somebody else.
	return errors.Is(unix.Kill(pid, 0), unix.ESRCH)
}

// AnyTemp is a Stale: every temporary file of this package not made by the running process. Only for callers that
// hold the lock under which such files are made.
func AnyTemp(name string, _ fs.FileInfo) bool {
	_, pid, ok := ParseTempName(name)
	return ok && pid != os.Getpid()
}

// OlderThan is a Stale: files whose name fits pattern (path.Match) and that were last changed before cutoff. It is
// meant for leftovers of other programs, such as the "*.tmp" of Python Barman.
func OlderThan(cutoff time.Time, pattern string) Stale {
	return func(name string, info fs.FileInfo) bool {
		fits, err := filepath.Match(pattern, name)
		return err == nil && fits && info.ModTime().Before(cutoff)
	}
}

// Sweep removes the regular files directly in dir that any of the given rules calls stale, and returns their names in
// order. It goes on after errors and returns them joined. A directory that does not exist has nothing to sweep.
func Sweep(dir string, rules ...Stale) (removed []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap("list", dir, err)
	}
	var errs []error
	for _, entry := range entries {
		if !entry.Type().IsRegular() {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			continue // it vanished: its owner was alive after all
		}
		if !anyStale(rules, entry.Name(), info) {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		switch err := os.Remove(path); {
		case err == nil:
			removed = append(removed, entry.Name())
		case !errors.Is(err, fs.ErrNotExist):
			errs = append(errs, wrap("remove", path, err))
		}
	}
	// No fsync: a leftover that a crash brings back is swept again.
	return removed, errors.Join(errs...)
}

func anyStale(rules []Stale, name string, info fs.FileInfo) bool {
	for _, stale := range rules {
		if stale(name, info) {
			return true
		}
	}
	return false
}
