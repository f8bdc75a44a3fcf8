package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"time"

	"github.com/barman-go/barman/core/lock"
)

const (
	// stopPatience is how long a process may take to stop, and stopPause the time between two looks.
	stopPatience = 10 * time.Second
	stopPause    = 100 * time.Millisecond
)

// holder is the process that holds a lock of the server; 0 when there is none.
func (s *server) holder(kind lock.Kind) (pid int, err error) {
	file, err := lock.ForServer(kind, s.Name).File()
	if err != nil {
		return 0, err
	}
	held, pid, err := lock.Probe(filepath.Join(s.LockDirectory, file))
	if !held {
		pid = 0
	}
	return pid, err
}

// interrupt tells the process that holds a lock to stop in order; it returns the process, or 0 when there is none.
func (s *server) interrupt(kind lock.Kind) (pid int, err error) {
	pid, err = s.holder(kind)
	if err != nil || pid == 0 {
		return 0, err
	}
	if err := syscall.Kill(pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return pid, fmt.Errorf("Cannot terminate process %s(%d): %w", kind, pid, err)
	}
	return pid, nil
}

// terminate stops the process that holds a lock and waits for its end.
func (s *server) terminate(ctx context.Context, kind lock.Kind) error {
	pid, err := s.interrupt(kind)
	if err != nil {
		return err
	}
	if pid == 0 {
		return fmt.Errorf("Termination of %s failed: no such process for server %s", kind, s.Name)
	}
	for deadline := time.Now().Add(stopPatience); time.Now().Before(deadline); {
		if now, err := s.holder(kind); err != nil || now != pid {
			if err == nil {
				s.out.Info("Stopped process %s(%d)", kind, pid)
			}
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(stopPause):
		}
	}
	return fmt.Errorf("Cannot terminate process %s(%d)", kind, pid)
}
