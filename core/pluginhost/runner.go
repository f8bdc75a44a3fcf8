package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/barman-go/barman/core/pattern"
	"github.com/barman-go/barman/sdk/plugin"
	"github.com/barman-go/barman/sdk/session"
)

// drainTime is how long the output of a dead plugin is still read. It ends at once unless a process that left the
// plugin's session holds the pipe.
const drainTime = time.Second

// handshakeLine is go-plugin's; noise without an end of line may stand before it.
var handshakeLine = pattern.New(`\d+\|\d+\|(?:unix|tcp)\|[^|]+\|\w+(?:\|.*)?$`)

// runner is the go-plugin Runner of one process: it decides how a plugin starts, what it inherits and how it ends.
type runner struct {
	found     *Found
	env       []string
	socketDir string
	log       hclog.Logger
	output    *pluginLog

	// alive is the host's end of the liveness socket.
	alive *os.File
	// exited is closed when the process is gone and its output read; state is valid then.
	exited chan struct{}
	state  *os.ProcessState

	handshake       *io.PipeReader
	handshakeWriter *io.PipeWriter

	mu  sync.Mutex
	pid int
	// doomed: to be killed; reaped: the process id is not ours any more.
	doomed, reaped bool
}

func newRunner(f *Found, env []string, socketDir string, log hclog.Logger) *runner {
	r, w := io.Pipe()
	return &runner{
		found: f, env: env, socketDir: socketDir, log: log, output: &pluginLog{log: log}, exited: make(chan struct{}),
		handshake: r, handshakeWriter: w,
	}
}

// Start starts the process. Its ends of the pipes and of the liveness socket are closed here afterwards.
func (r *runner) Start(context.Context) error {
	var inherited, own []*os.File
	defer func() { closeAll(inherited) }()
	// Standard output, then standard error.
	for range 2 {
		rd, wr, err := os.Pipe()
		if err != nil {
			closeAll(own)
			return err
		}
		own, inherited = append(own, rd), append(inherited, wr)
	}
	theirs, ours, err := socketPair()
	if err != nil {
		closeAll(own)
		return err
	}
	inherited = append(inherited, theirs)
	r.alive = ours

	cmd, err := r.command(inherited[0], inherited[1], theirs)
	if err == nil {
		err = r.supervise(cmd, own[0], own[1])
	}
	if err != nil {
		closeAll(append(own, ours))
		// Nobody else will: without a process there is no end of output.
		_ = r.handshakeWriter.Close()
		close(r.exited)
		return fmt.Errorf("cannot execute %s: %w", r.found.RealPath, reason(err))
	}
	return nil
}

// command executes the checked descriptor. A script's interpreter opens it by name, so it must inherit it.
func (r *runner) command(stdout, stderr, liveness *os.File) (*exec.Cmd, error) {
	const livenessFD, scriptFD = 3, 4
	cmd := &exec.Cmd{
		Path: "/proc/self/fd/" + strconv.Itoa(int(r.found.file.Fd())),
		// The name that was looked for: an executable may be several plugins, by way of links.
		Args:       []string{r.found.Path},
		Env:        append(r.env, plugin.LivenessKey+"="+strconv.Itoa(livenessFD)),
		Dir:        "/",
		Stdout:     stdout,
		Stderr:     stderr,
		ExtraFiles: []*os.File{liveness},
		SysProcAttr: &syscall.SysProcAttr{
			// A session of its own: no terminal, and everything it starts can be found again.
			Setsid: true,
			// Not SIGKILL: the plugin must stop its tools first.
			Pdeathsig: syscall.SIGTERM,
		},
	}
	var start [2]byte
	if _, err := r.found.file.ReadAt(start[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if string(start[:]) == "#!" {
		cmd.ExtraFiles = append(cmd.ExtraFiles, r.found.file)
		cmd.Path = "/proc/self/fd/" + strconv.Itoa(scriptFD)
	}
	return cmd, nil
}

// supervise starts the process from a thread that stays until the process has ended: the kernel sends Pdeathsig when
// the thread that started it exits, and Go's threads come and go.
func (r *runner) supervise(cmd *exec.Cmd, stdout, stderr *os.File) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		restore := lazyTimers()
		err := cmd.Start()
		restore()
		if err == nil {
			r.begin(cmd.Process.Pid)
		}
		started <- err
		if err != nil {
			return
		}
		var reading sync.WaitGroup
		reading.Go(func() { r.readStdout(stdout) })
		reading.Go(func() { eachLine(stderr, r.output.line) })
		r.reap(cmd)
		drained := make(chan struct{})
		go func() { reading.Wait(); close(drained) }()
		select {
		case <-drained:
		case <-time.After(drainTime):
		}
		closeAll([]*os.File{stdout, stderr, r.alive})
		<-drained
		_ = r.handshakeWriter.Close()
		close(r.exited)
	}()
	return <-started
}

// timerSlack is by how much the timers of a plugin and its tools may be late.
const timerSlack = time.Millisecond

// lazyTimers gives what the calling thread starts a generous timer slack, until the returned function is called. Go's runtime
// looks after a busy process every 20 µs, which in a virtual machine costs a twentieth of the processor; the slack makes that
// once in a millisecond, and nothing in a plugin needs it sooner (Linux manual, prctl(2), PR_SET_TIMERSLACK). It is not
// important enough to fail for.
func lazyTimers() (restore func()) {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(timerSlack), 0, 0, 0)
	return func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) }
}

// begin notes the process id. A process that was to be killed before it existed is killed now.
func (r *runner) begin(pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pid = pid
	if r.doomed {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// reap waits for the end of the process and kills what is left of its session before its id can be used again.
func (r *runner) reap(cmd *exec.Cmd) {
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	session.Kill(cmd.Process.Pid, cmd.Process.Pid)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reaped = true
	// The exit code is in the state.
	_ = cmd.Wait()
	r.state = cmd.ProcessState
}

// readStdout passes the handshake to go-plugin and logs everything else.
func (r *runner) readStdout(stdout io.Reader) {
	shaken := false
	eachLine(stdout, func(text string) {
		if at := handshakeLine.FindStringIndex(text); at != nil && !shaken {
			shaken = true
			_, _ = io.WriteString(r.handshakeWriter, text[at[0]:]+"\n")
			text = text[:at[0]]
		}
		if text != "" {
			r.output.mu.Lock()
			r.output.keep(text)
			r.output.mu.Unlock()
			r.log.Warn("the plugin printed to standard output", "text", text)
		}
	})
	_ = r.handshakeWriter.Close()
}

// Kill ends the process at once, or as soon as it has started; reap ends its tools. It may be called often.
func (r *runner) Kill(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doomed = true
	if r.pid != 0 && !r.reaped {
		return syscall.Kill(r.pid, syscall.SIGKILL)
	}
	return nil
}

// Wait waits for the end of the process.
func (r *runner) Wait(context.Context) error {
	<-r.exited
	return nil
}

// Stdout gives go-plugin the handshake and nothing else.
func (r *runner) Stdout() io.ReadCloser { return r.handshake }

// Stderr gives go-plugin nothing: pluginLog reads it.
func (r *runner) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name is the path.
func (r *runner) Name() string { return r.found.RealPath }

// ID is the process id.
func (r *runner) ID() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strconv.Itoa(r.pid)
}

// Diagnose adds nothing; errors are made in process.go.
func (r *runner) Diagnose(context.Context) string { return "" }

// PluginToHost refuses every address but a socket in the private directory: anything else could be reached by others.
func (r *runner) PluginToHost(network, address string) (string, string, error) {
	if network != "unix" || filepath.Dir(address) != r.socketDir {
		return "", "", fmt.Errorf("it listens on %s %s, not on a unix socket in the directory of PLUGIN_UNIX_SOCKET_DIR",
			network, address)
	}
	return network, address, nil
}

// HostToPlugin is not used.
func (r *runner) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

// socketPair returns the two ends of a liveness socket.
func socketPair() (theirs, ours *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("liveness socket: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "liveness"), os.NewFile(uintptr(fds[1]), "liveness"), nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
