package lab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ShutdownMode is one of PostgreSQL's, by the signal that asks for it.
type ShutdownMode syscall.Signal

// Shutdown modes (PostgreSQL manual, section "Shutting Down the Server").
const (
	Fast      = ShutdownMode(syscall.SIGINT)
	Smart     = ShutdownMode(syscall.SIGTERM)
	Immediate = ShutdownMode(syscall.SIGQUIT)
)

// readyTimeout and stopTimeout are generous: the machine may be busy with other tests.
const (
	readyTimeout = 2 * time.Minute
	stopTimeout  = time.Minute
)

// ErrServerExited means that the server ended by itself, for instance because its configuration is wrong or because
// recovery failed; the error's text has the end of its log.
var ErrServerExited = errors.New("the PostgreSQL server has ended")

// Start starts the server and waits until it accepts connections.
func (c *Cluster) Start(ctx context.Context) error {
	var err error
	for range 3 {
		if err = c.Launch(); err != nil {
			return err
		}
		if err = c.WaitReady(ctx); err == nil {
			return nil
		}
		// Another process may have taken the port between our choice and the server's.
		if !strings.Contains(c.LogTail(20), "could not bind") {
			break
		}
		c.Kill9()
		c.Port = 0
	}
	return err
}

// Launch starts the server and does not wait for it.
func (c *Cluster) Launch() error {
	if c.Running() {
		return fmt.Errorf("the server in %s runs already", c.Data)
	}
	if c.Port == 0 {
		port, err := FreePort()
		if err != nil {
			return err
		}
		c.Port = port
	}
	args := []string{"-D", c.Data, "-c", "port=" + strconv.Itoa(c.Port)}
	for _, name := range slices.Sorted(maps.Keys(c.overrides)) {
		args = append(args, "-c", name+"="+c.overrides[name])
	}
	log, err := os.OpenFile(c.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	server := c.Tool(context.Background(), "postgres", args...)
	server.Stdout, server.Stderr = log, log
	server.SysProcAttr.Pdeathsig = syscall.SIGQUIT // an immediate shutdown takes the server's children along
	if err := server.Start(); err != nil {
		return fmt.Errorf("start PostgreSQL %d: %w", c.Major, err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = server.Wait() // how it ended is in the log
	}()
	c.server, c.exited = server, exited
	return nil
}

// Running tells whether the server's main process lives.
func (c *Cluster) Running() bool {
	if c.exited == nil {
		return false
	}
	select {
	case <-c.exited:
		return false
	default:
		return true
	}
}

// WaitReady waits until the server accepts connections, read-only ones included.
func (c *Cluster) WaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		result, err := Run(c.Tool(ctx, "pg_isready", "--quiet", "--host="+c.SocketDir, "--port="+strconv.Itoa(c.Port)))
		if err == nil && result.Exit == 0 {
			return nil
		}
		select {
		case <-c.exited:
			return fmt.Errorf("%w, end of its log:\n%s", ErrServerExited, c.LogTail(20))
		case <-ctx.Done():
			return fmt.Errorf("the server in %s is not ready: %w; end of its log:\n%s", c.Data, ctx.Err(), c.LogTail(20))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// WaitSQL repeats a query until its result is want.
func (c *Cluster) WaitSQL(ctx context.Context, query, want string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	var got string
	var err error
	for {
		if got, err = c.SQL(ctx, query); err == nil && got == want {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is %q (error: %w), not %q", query, got, err, want)
		case <-c.exited:
			return fmt.Errorf("%w, end of its log:\n%s", ErrServerExited, c.LogTail(20))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stop shuts the server down and waits for its end.
func (c *Cluster) Stop(mode ShutdownMode) error {
	if !c.Running() {
		return nil
	}
	if err := c.server.Process.Signal(syscall.Signal(mode)); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-c.exited:
		return nil
	case <-time.After(stopTimeout):
		c.Kill9()
		return fmt.Errorf("the server in %s did not stop within %s and was killed", c.Data, stopTimeout)
	}
}

// Restart stops and starts the server.
func (c *Cluster) Restart(ctx context.Context) error {
	if err := c.Stop(Fast); err != nil {
		return err
	}
	return c.Start(ctx)
}

// Kill9 kills all processes of the server at once, as a crash of the machine would, and waits for their end.
func (c *Cluster) Kill9() {
	if !c.Running() {
		return
	}
	// Each server process leads a session of its own, so a process group does not hold them together. The main one is stopped
	// first, or it would start others while we look.
	main := c.server.Process.Pid
	_ = syscall.Kill(main, syscall.SIGSTOP)
	killAll(append(childrenOf(main), main))
	<-c.exited
	// A crash of the machine would not leave it either: a system has 4096 of these, and clusters are made by the thousand.
	if id, ok := c.sharedMemory(); ok {
		_, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil) // it may be gone
	}
}

// sharedMemory is the System V segment that the server has, or had when it was killed.
func (c *Cluster) sharedMemory() (id int, ok bool) {
	text, err := os.ReadFile(filepath.Join(c.Data, "postmaster.pid"))
	if err != nil {
		return 0, false
	}
	// The seventh line is "key id" (PostgreSQL sources: pidfile.h).
	lines := strings.Split(string(text), "\n")
	if len(lines) < 7 {
		return 0, false
	}
	fields := strings.Fields(lines[6])
	if len(fields) != 2 {
		return 0, false
	}
	id, err = strconv.Atoi(fields[1])
	return id, err == nil
}

// killAll kills processes and waits until they are gone; a parent that has not yet waited for one does not count.
func killAll(pids []int) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
	}
	for _, pid := range pids {
		for range 500 {
			if _, state := parentAndState(pid); state == "" || state == "Z" {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// childrenOf returns the direct children of a process.
func childrenOf(parent int) []int {
	processes, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well-formed
	var children []int
	for _, path := range processes {
		pid, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			continue
		}
		if ppid, state := parentAndState(pid); ppid == parent && state != "" {
			children = append(children, pid)
		}
	}
	return children
}

// parentAndState reads /proc/PID/stat; state is empty when there is no such process.
func parentAndState(pid int) (parent int, state string) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, ""
	}
	// "pid (command) state ppid …"; the command may hold anything, so look behind its last parenthesis.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 2 {
		return 0, ""
	}
	parent, err = strconv.Atoi(fields[1])
	if err != nil {
		return 0, ""
	}
	return parent, fields[0]
}

// LogTail returns the last lines of the server's log.
func (c *Cluster) LogTail(lines int) string {
	text, err := os.ReadFile(c.LogFile)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
