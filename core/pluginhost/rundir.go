package pluginhost

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	// runPrefix starts the names of run directories.
	runPrefix = "barman-run-"
	// maxSocketBase is the longest directory in which a socket's path still fits sun_path: 108 bytes, less the run
	// directory's, go-plugin's own directory's and the socket's names.
	maxSocketBase = 40
)

// runDir is the private directory (0700) of one host: sockets of its plugins and their work directories. The host
// holds a lock on it; when the lock is free its owner is dead, whatever killed it, and the next host removes it. A
// process id would not tell: ids are reused, and containers that share /tmp have the same ones.
type runDir struct {
	path string
	lock *os.File
}

func newRunDir(base string) (*runDir, error) {
	if base == "" {
		base = os.TempDir()
	}
	if len(base) > maxSocketBase {
		base = "/tmp"
	}
	// A sweeper may take the directory for a dead one in the moment before it is locked.
	for range 100 {
		path, err := os.MkdirTemp(base, runPrefix)
		if err != nil {
			return nil, fmt.Errorf("private directory for plugins: %w", err)
		}
		lock, err := lockDir(path)
		if err == nil {
			return &runDir{path: path, lock: lock}, nil
		}
		if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("private directory for plugins: %w", err)
		}
	}
	return nil, fmt.Errorf("private directory for plugins: %s disappears as soon as it is made", base)
}

// lockDir opens and locks a directory, and makes sure that the path still leads to it.
func lockDir(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	held, err := f.Stat()
	if err == nil {
		var there os.FileInfo
		if there, err = os.Lstat(path); err == nil && !os.SameFile(held, there) {
			err = os.ErrNotExist
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func (r *runDir) remove() error {
	err := os.RemoveAll(r.path)
	return errors.Join(err, r.lock.Close())
}

// sweepRunDirs removes the run directories of dead hosts of this user. Failure leaves them for the next host.
func sweepRunDirs(base string) {
	entries, err := os.ReadDir(base)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), runPrefix) {
			continue
		}
		path := filepath.Join(base, e.Name())
		info, err := os.Lstat(path)
		if err != nil {
			continue
		}
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Geteuid() || info.Mode().Perm() != 0o700 {
			continue
		}
		if lock, err := lockDir(path); err == nil {
			_ = os.RemoveAll(path)
			_ = lock.Close()
		}
	}
}
