package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/barman-go/barman/core/wal"
)

// fetchAhead tells the prefetcher how far PostgreSQL has come, and starts one if none runs. What goes wrong here must not fail
// the request, which is fulfilled.
func (s *spool) fetchAhead(o *options, name wal.FileName, size wal.SegmentSize, stderr io.Writer) {
	if s == nil {
		return
	}
	seg, _ := name.Segment()
	at := stretch{first: seg, size: size, count: 1}
	err := s.write("wanted", at)
	if err == nil {
		err = s.startPrefetcher(o, at, stderr)
	}
	if err != nil {
		fmt.Fprintf(stderr, "WARNING: nothing is fetched ahead: %s\n", err)
	}
}

// startPrefetcher starts this program again, in the background, unless it is there: PostgreSQL must not wait for it, neither for
// its end nor for that of a pipe that it holds open, and a signal for PostgreSQL's process group is not meant for it.
func (s *spool) startPrefetcher(o *options, at stretch, stderr io.Writer) error {
	lock, err := s.lock()
	if err != nil || lock == nil {
		return err
	}
	defer lock.Close() //nolint:errcheck // the prefetcher has it
	problem, ok := s.mayStart(at, o.parallel)
	if problem != "" {
		fmt.Fprintf(stderr, "WARNING: fetching ahead has failed: %s\n", problem)
	}
	if !ok {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args, err := o.prefetchArgs()
	if err != nil {
		return err
	}
	// For the next request, which may come before the prefetcher has said so itself.
	if err := s.write("fetching", at.after(o.parallel)); err != nil {
		return err
	}
	// PostgreSQL may have left us descriptors, of pipes for instance, that mean something to those who wait for their end.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		closeOnExec()
	}
	cmd := exec.Command(self, args...) //nolint:forbidigo // toolexec leaves no process behind; this one is meant to stay
	cmd.Dir = "/"                      // PGDATA's file system can be unmounted
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.ExtraFiles = []*os.File{lock} // becomes prefetchLock
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// closeOnExec is for kernels before 5.11, which have no close_range that marks descriptors.
func closeOnExec() {
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, e := range fds {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
}

// prefetchArgs are the arguments that make this program the prefetcher of the same spool.
func (o *options) prefetchArgs() ([]string, error) {
	dest, err := filepath.Abs(o.dest)
	if err != nil {
		return nil, err
	}
	spoolDir, err := filepath.Abs(o.spoolDir)
	if err != nil {
		return nil, err
	}
	args := []string{"--prefetch", "--user=" + o.User, "--parallel=" + strconv.Itoa(o.parallel), "--spool-dir=" + spoolDir}
	if o.Port != 0 {
		args = append(args, "--port="+strconv.Itoa(int(o.Port)))
	}
	if o.Config != "" {
		args = append(args, "--config="+o.Config)
	}
	for name, used := range map[string]bool{"--gzip": o.gzip, "--bzip2": o.bzip2, "--keep-compression": o.keep} {
		if used {
			args = append(args, name)
		}
	}
	return append(args, "--", o.Host, o.server, o.wal, dest), nil
}
