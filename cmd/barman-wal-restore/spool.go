package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
)

const (
	// maxAge is how long a file may wait. The archive may change under it: after a recovery that was given up, the same name may
	// stand for other content.
	maxAge = time.Hour
	// maxWait is how long a request waits for the prefetcher that is fetching the same file.
	maxWait = 30 * time.Second
	// poll is the pause between two looks at the spool.
	poll = 5 * time.Millisecond
)

// spool is the directory in which files wait that were fetched ahead. A nil spool is empty. Several processes may use it.
type spool struct{ dir string }

// openSpool returns the spool of a destination, or nil when there is none and --parallel does not ask for one.
func openSpool(o *options) (*spool, error) {
	key, err := spoolKey(o)
	if err != nil {
		return nil, err
	}
	dir, err := privateDir(o.spoolDir, key, o.parallel > 0)
	if errors.Is(err, fs.ErrNotExist) && o.parallel == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &spool{dir}, nil
}

func (s *spool) path(name string) string { return filepath.Join(s.dir, name) }

// entry is a file that waits.
type entry struct {
	name wal.FileName
	sum  uint32
	path string
}

// entries are the files that wait. Those that have waited too long are removed.
func (s *spool) entries() []entry {
	names, err := os.ReadDir(s.dir)
	if err != nil {
		return nil
	}
	var all []entry
	for _, e := range names {
		text, sum, _ := strings.Cut(e.Name(), ".")
		name, err := wal.ParseFileName(text)
		crc, errSum := strconv.ParseUint(sum, 16, 32)
		if err != nil || errSum != nil {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue
		}
		path := s.path(e.Name())
		if time.Since(info.ModTime()) > maxAge {
			_ = os.Remove(path)
			continue
		}
		all = append(all, entry{name, uint32(crc), path})
	}
	return all
}

// add makes a temporary file of the spool, which was verified, one that waits.
func (s *spool) add(temp string, name wal.FileName, found sound) error {
	return os.Rename(temp, s.path(fmt.Sprintf("%s.%08x", name, found.sum)))
}

// take moves a file to an existing path elsewhere. hit means that it is there, and sound.
func (s *spool) take(name wal.FileName, to string, stderr io.Writer) (found sound, hit bool) {
	for _, e := range s.entries() {
		if e.name != name {
			continue
		}
		if !move(e.path, to) {
			continue // another request was faster, or there is no space
		}
		found, err := verify(to, name, false)
		if err == nil && found.sum == e.sum {
			return found, true
		}
		if err == nil {
			err = fmt.Errorf("%s: its checksum is %08x, was %08x", name, found.sum, e.sum)
		}
		fmt.Fprintf(stderr, "WARNING: a file that was fetched ahead is damaged, and is fetched again: %s\n", err)
	}
	return sound{}, false
}

// move renames a file, or copies it to another file system. It is gone from its place in any case.
func move(from, to string) bool {
	err := os.Rename(from, to)
	if !errors.Is(err, unix.EXDEV) {
		return err == nil
	}
	defer os.Remove(from) //nolint:errcheck // whatever stays is removed when it is too old
	if err := os.Remove(to); err != nil {
		return false
	}
	return fsx.CopyFile(from, to, fsx.CopyOptions{}) == nil
}

// await is take, and waits for a file that the prefetcher is fetching at the moment.
func (s *spool) await(ctx context.Context, name wal.FileName, to string, stderr io.Writer) (found sound, hit bool) {
	if s == nil {
		return sound{}, false
	}
	deadline := time.Now().Add(maxWait)
	for {
		coming := s.fetching().has(name) && s.prefetched()
		// After that look, so that a file that came in between is seen.
		if found, hit = s.take(name, to, stderr); hit || !coming || time.Now().After(deadline) {
			return found, hit
		}
		select {
		case <-ctx.Done():
			return sound{}, false
		case <-time.After(poll):
		}
	}
}

// lock takes the prefetcher's lock. It is that of the open file, and so of whoever the file is handed to; nil means that there is a
// prefetcher.
func (s *spool) lock() (*os.File, error) {
	f, err := os.OpenFile(s.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, err
}

// prefetched tells whether a prefetcher is at work.
func (s *spool) prefetched() bool {
	f, err := os.Open(s.path("lock"))
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // gives the lock back
	return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}
