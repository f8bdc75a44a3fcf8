package toolexec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a started tool and the goroutines that serve its pipes.
type process struct {
	cmd   *exec.Cmd
	grace time.Duration
	// leave is Command.LeaveBackground.
	leave bool
	stdin *os.File // our end, nil unless Stdin is copied
	input source
	// pipes are read until their end, or, once the tool is gone, until they are idle.
	pipes  []*drain
	stderr *lineKeeper
}

// start starts the tool. stop is called with the error when c.Stdout or c.Stdin fails.
func start(path, tool string, c Command, stop context.CancelCauseFunc) (_ *process, err error) {
	cmd := exec.Command(path, c.Args...)
	cmd.Args[0] = c.Name
	cmd.Dir = c.Dir
	cmd.Env = environment(c)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if !c.LeaveBackground && leadsSilentSession() {
		// A plugin: whoever ends its session, should it die, must find the tool's children there.
		cmd.SysProcAttr.Setpgid = true
	} else {
		// A new session is a new process group too, and has no controlling terminal to prompt on.
		cmd.SysProcAttr.Setsid = true
	}
	p := &process{cmd: cmd, grace: c.Grace, leave: c.LeaveBackground, stderr: &lineKeeper{onLine: c.OnStderr}}
	if p.grace <= 0 {
		p.grace = DefaultGrace
	}
	var theirs []*os.File // the tool's ends of the pipes, closed here in any case
	defer func() {
		for _, f := range theirs {
			_ = f.Close()
		}
		if err != nil {
			p.close()
		}
	}()

	pipeTo := func(w io.Writer, onErr context.CancelCauseFunc) (*os.File, error) {
		r, tools, err := os.Pipe()
		if err != nil {
			return nil, fmt.Errorf("pipe for %s: %w", tool, err)
		}
		theirs = append(theirs, tools)
		p.pipes = append(p.pipes, &drain{from: r, to: w, onErr: onErr, done: make(chan struct{})})
		return tools, nil
	}
	if cmd.Stderr, err = pipeTo(p.stderr, nil); err != nil {
		return nil, err
	}
	switch out := c.Stdout.(type) {
	case nil:
	case *os.File:
		cmd.Stdout = out
	default:
		if cmd.Stdout, err = pipeTo(out, stop); err != nil {
			return nil, err
		}
	}
	switch in := c.Stdin.(type) {
	case nil:
	case *os.File:
		cmd.Stdin = in
	default:
		tools, ours, err := os.Pipe()
		if err != nil {
			return nil, fmt.Errorf("pipe for %s: %w", tool, err)
		}
		theirs = append(theirs, tools)
		cmd.Stdin, p.stdin = tools, ours
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	p.input.r = c.Stdin
	p.serve(stop)
	return p, nil
}

func (p *process) serve(stop context.CancelCauseFunc) {
	for _, d := range p.pipes {
		go d.run()
	}
	if p.stdin != nil {
		go func() {
			// A tool that does not read all its input says why itself; EPIPE would add nothing.
			_, _ = io.Copy(p.stdin, &p.input)
			if err := p.input.failure(); err != nil {
				// Before the tool sees an end: it would take a part for the whole.
				stop(err)
			}
			_ = p.stdin.Close()
		}()
	}
}

// source is what a tool reads. It remembers an error, which the tool could not tell from the end.
type source struct {
	r      io.Reader
	failed atomic.Pointer[error]
}

func (s *source) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		s.failed.Store(&err)
	}
	return n, err
}

func (s *source) failure() error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (p *process) close() {
	for _, d := range p.pipes {
		_ = d.from.Close()
	}
	if p.stdin != nil {
		_ = p.stdin.Close()
	}
}

// wait waits until the tool and its group are gone. stopped tells that the context ended before the tool did.
func (p *process) wait(ctx context.Context) (status syscall.WaitStatus, stopped bool) {
	pid := p.cmd.Process.Pid
	exited := make(chan struct{})
	go func() {
		// Not reaping keeps the number of the process, and so of the group, from being given to anybody else.
		waitUnreaped(pid)
		close(exited)
	}()
	deadline := time.Time{}
	select {
	case <-exited:
	case <-ctx.Done():
		stopped = true
		deadline = time.Now().Add(p.grace)
		p.signal(unix.SIGTERM)
		timer := time.NewTimer(p.grace)
		select {
		case <-exited:
		case <-timer.C:
			p.signal(unix.SIGKILL)
			<-exited
		}
		timer.Stop()
	}
	if stopped || !p.leave {
		p.endGroup(deadline)
	}
	for _, d := range p.pipes {
		d.finish()
	}
	p.stderr.finish()
	p.close()
	// Only files were given to exec.Cmd, so this does nothing but reap; the status says the rest.
	_ = p.cmd.Wait()
	status, _ = p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return status, stopped
}

// endGroup makes sure that no other process of the group is left. The leader has exited and is not reaped yet.
func (p *process) endGroup(deadline time.Time) {
	pgid := p.cmd.Process.Pid
	if !groupAlive(pgid) {
		return
	}
	p.signal(unix.SIGTERM)
	if deadline.IsZero() {
		deadline = time.Now().Add(p.grace)
	}
	killed := false
	for pause := time.Millisecond; groupAlive(pgid); pause = min(2*pause, 50*time.Millisecond) {
		switch now := time.Now(); {
		case !killed && now.After(deadline):
			killed = true
			p.signal(unix.SIGKILL)
		case killed && now.After(deadline.Add(p.grace)):
			// Stuck in the kernel (a dead NFS server): nothing more can be done, and SIGKILL is pending.
			return
		}
		time.Sleep(pause)
	}
}

func (p *process) signal(sig unix.Signal) {
	// ESRCH means that they are gone already.
	_ = unix.Kill(-p.cmd.Process.Pid, sig)
}

// outputErr is the error of writing the tool's standard output to where the caller wanted it.
func (p *process) outputErr() error {
	for _, d := range p.pipes {
		if d.onErr != nil && d.err != nil {
			return d.err
		}
	}
	return nil
}

// environment is that of this process, with English messages and the prefix in PATH; what the caller adds wins.
func environment(c Command) []string {
	if c.WholeEnv != nil {
		return c.WholeEnv
	}
	env := append(os.Environ(), "LC_ALL=C")
	if len(c.PathPrefix) > 0 {
		env = append(env, "PATH="+strings.Join(searchPath(c.PathPrefix), string(filepath.ListSeparator)))
	}
	return append(env, c.Env...)
}

func describe(status syscall.WaitStatus) (code int, signal string) {
	if status.Signaled() {
		return -1, unix.SignalName(status.Signal())
	}
	return status.ExitStatus(), ""
}

func waitUnreaped(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// drainIdle is how long a pipe may stay silent after the tool is gone. Only a process that left the group still holds
// its other end then, and nobody waits for what that may say.
const drainIdle = 200 * time.Millisecond

// drainMax is how long such a process is listened to when it keeps talking.
const drainMax = 2 * time.Second

// drain copies a pipe to a writer.
type drain struct {
	from     *os.File
	to       io.Writer
	onErr    context.CancelCauseFunc // nil when writing cannot fail
	toolGone atomic.Int64            // when the tool was gone, in nanoseconds since the epoch; 0 before
	done     chan struct{}
	err      error // valid once done is closed
}

func (d *drain) run() {
	defer close(d.done)
	buf := make([]byte, 64<<10)
	late, owed := 0, false
	for {
		gone := d.toolGone.Load()
		switch {
		case owed:
			_ = d.from.SetReadDeadline(time.Time{})
		case gone != 0:
			idle, limit := time.Now().Add(drainIdle), time.Unix(0, gone).Add(drainMax)
			if idle.After(limit) {
				idle = limit
			}
			_ = d.from.SetReadDeadline(idle)
		}
		n, err := d.from.Read(buf)
		if gone != 0 {
			late += n
		}
		if n > 0 {
			if _, werr := d.to.Write(buf[:n]); werr != nil {
				d.err = werr
				if d.onErr != nil {
					d.onErr(werr)
				}
				return
			}
		}
		switch {
		case err == nil && !owed:
		case err == nil || errors.Is(err, os.ErrDeadlineExceeded):
			if d.toolGone.Load() != 0 {
				// However slow the writer was: what the tool itself wrote is in the pipe, and is not lost.
				if owed = d.holds(late); !owed {
					return
				}
			}
		default:
			return
		}
	}
}

// holds tells whether the pipe has bytes that the tool may have written; late is what was read since the tool was gone. All
// that the tool left fits into the pipe, so whatever follows that much comes from somebody else.
func (d *drain) holds(late int) bool {
	conn, err := d.from.SyscallConn()
	if err != nil {
		return false
	}
	var waiting, capacity int
	_ = conn.Control(func(fd uintptr) {
		waiting, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ)
		capacity, _ = unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0)
	})
	return waiting > 0 && late < capacity
}

// finish waits until everything that the tool wrote has been copied.
func (d *drain) finish() {
	d.toolGone.Store(time.Now().UnixNano())
	_ = d.from.SetReadDeadline(time.Now().Add(drainIdle))
	<-d.done
}
