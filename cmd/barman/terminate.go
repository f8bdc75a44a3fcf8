package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/barman-go/barman/core/lock"
)

const (
	// stopPatience is how long a process may take to stop, and stopPause the time between two looks.
	stopPatience = 10 * time.Second
	stopPause    = 100 * time.Millisecond
)

// holder is the process that holds a lock of the server, if one does.
func (s *server) holder(kind lock.Kind) (holder lock.Holder, held bool, err error) {
	return lock.Find(s.LockDirectory, lock.ForServer(kind, s.Name))
}

// interrupt tells the process that holds a lock to stop in order. It does nothing when there is none.
func (s *server) interrupt(kind lock.Kind) error {
	holder, held, err := s.holder(kind)
	if err != nil || !held {
		return err
	}
	return signalProcess(kind.String(), holder.PID)
}

// signalProcess tells a process to stop in order. One that has ended is fine.
func signalProcess(task string, pid int) error {
	if pid <= 0 {
		return fmt.Errorf("Cannot terminate process %s: its number is not known", task)
	}
	if err := syscall.Kill(pid, syscall.SIGINT); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("Cannot terminate process %s(%d): %w", task, pid, err)
	}
	return nil
}

// terminate stops the process that works on a task of the server, and waits for its end. Of several processes, as there may
// be of sync-backup, it is the first.
func (s *server) terminate(ctx context.Context, task string) error {
	running, err := s.processes()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(running, func(p process) bool { return p.task == task })
	if i < 0 {
		return fmt.Errorf("Termination of %s failed: no such process for server %s", task, s.Name)
	}
	wanted := running[i]
	if err := signalProcess(task, wanted.holder.PID); err != nil {
		return err
	}
	for deadline := time.Now().Add(stopPatience); time.Now().Before(deadline); {
		holder, held, err := lock.Find(s.LockDirectory, wanted.lock)
		if err != nil {
			return err
		}
		if !held || holder.PID != wanted.holder.PID {
			s.out.Info("Stopped process %s(%d)", task, wanted.holder.PID)
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(stopPause):
		}
	}
	return fmt.Errorf("Cannot terminate process %s(%d)", task, wanted.holder.PID)
}
