package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	gorunner "github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"

	"github.com/barman-go/barman/sdk/plugin"
)

const (
	// maxCrashes is how often a plugin may end unexpectedly in one run; then it is not started again.
	maxCrashes = 5
	// exitWait is how long the end of a process is waited for after its connection broke.
	exitWait = 2 * time.Second
	// closeWait bounds the polite end of a plugin; go-plugin itself would wait for ever for one that does not answer.
	closeWait = 4 * time.Second
)

// process is a plugin's executable and, while it runs, its process.
type process struct {
	host  *Host
	found *Found
	log   hclog.Logger

	mu      sync.Mutex
	current *running
	crashes int
	last    error
	closed  bool
}

// running is one start of a process.
type running struct {
	client *goplugin.Client
	conn   *grpc.ClientConn
	runner *runner
	desc   description
}

func newProcess(h *Host, f *Found) *process {
	return &process{host: h, found: f, log: h.log.With("plugin", f.key())}
}

// ensure returns the running process, starting it when there is none.
func (p *process) ensure(ctx context.Context) (*running, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	if p.current != nil && !p.current.gone() {
		return p.current, nil
	}
	if p.crashes >= maxCrashes {
		return nil, fmt.Errorf("plugin %s is not started again after %d crashes: %w", p.found.key(), p.crashes, p.last)
	}
	if p.current != nil {
		p.current.client.Kill()
		p.current = nil
	}
	r, err := p.start(ctx)
	if err != nil {
		return nil, err
	}
	p.current = r
	return r, nil
}

// runningNow returns the process if it runs.
func (p *process) runningNow() *running {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil || p.current.gone() {
		return nil
	}
	return p.current
}

// close ends the process and lets go of the executable.
func (p *process) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.current != nil {
		r := p.current.runner
		force := time.AfterFunc(closeWait, func() { _ = r.Kill(context.Background()) })
		p.current.client.Kill()
		<-r.exited
		force.Stop()
	}
	_ = p.found.file.Close()
}

// start runs the executable up to the end of the handshake and asks it what it is.
func (p *process) start(ctx context.Context) (*running, error) {
	run, err := p.host.runDirectory()
	if err != nil {
		return nil, err
	}
	r := &running{}
	stopWatching := func() bool { return true }
	r.client = goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig: goplugin.HandshakeConfig{
			ProtocolVersion: plugin.ProtocolVersion, MagicCookieKey: plugin.CookieKey, MagicCookieValue: plugin.CookieValue,
		},
		Plugins:          goplugin.PluginSet{"barman": noDispense{}},
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		SkipHostEnv:      true,
		StartTimeout:     p.host.opts.StartTimeout,
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: run.path},
		// What go-plugin has to say is in the errors; the plugin's own lines come through pluginLog.
		Logger: hclog.NewNullLogger(),
		RunnerFunc: func(_ hclog.Logger, spec *exec.Cmd, socketDir string) (gorunner.Runner, error) {
			r.runner = newRunner(p.found, p.environment(spec.Env), socketDir, p.log)
			stopWatching = context.AfterFunc(ctx, func() { _ = r.runner.Kill(ctx) })
			return r.runner, nil
		},
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(plugin.MaxMessage), grpc.MaxCallSendMsgSize(plugin.MaxMessage)),
			grpc.WithDisableServiceConfig(),
		},
	})
	err = r.connect(ctx, p)
	if !stopWatching() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		if r.runner != nil {
			_ = r.runner.Kill(ctx)
		}
		r.client.Kill()
		return nil, p.startError(ctx, r, err)
	}
	p.log.Debug("plugin started", "path", p.found.RealPath, "pid", r.runner.pid, "version", r.desc.info.Version)
	return r, nil
}

// environment is what the plugin sees: the filtered environment of the host and go-plugin's variables.
func (p *process) environment(handshake []string) []string {
	env := append(pluginEnv(os.Environ(), p.host.opts.PassEnv), handshake...)
	level := p.log.GetLevel()
	if level == hclog.NoLevel {
		level = hclog.Info
	}
	return append(env, plugin.LogLevelKey+"="+level.String())
}

func (r *running) connect(ctx context.Context, p *process) error {
	protocol, err := r.client.Client()
	if err != nil {
		return err
	}
	r.conn = protocol.(*goplugin.GRPCClient).Conn
	ctx, cancel := context.WithTimeout(ctx, p.host.opts.StartTimeout)
	defer cancel()
	r.desc, err = describe(ctx, r.conn)
	if err != nil {
		return err
	}
	return r.desc.fits(p.found)
}

// startError turns what go-plugin and gRPC say into words. The runner has been killed: the exit can be waited for.
func (p *process) startError(ctx context.Context, r *running, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e := &StartError{Plugin: p.found.key(), Path: p.found.RealPath, Reason: oneLine(err)}
	if r.runner == nil {
		return e
	}
	select {
	case <-r.runner.exited:
	case <-time.After(exitWait):
		return e
	}
	panicText, tail := r.runner.output.last()
	e.Stderr = tail
	own := r.runner.state != nil && !killed(r.runner.state)
	switch text := err.Error(); {
	case r.desc.problem != "":
		e.Reason, e.Stderr = r.desc.problem, nil
	case panicText != "":
		e.Reason, e.Stderr = "it crashed: "+panicText, nil
	case strings.Contains(text, "timeout while waiting"):
		e.Reason = fmt.Sprintf("it was not ready after %s", p.host.opts.StartTimeout)
	case strings.Contains(text, "incompatible API version"):
		e.Reason = fmt.Sprintf("it speaks another protocol version than %d; install the one built for this version of Barman",
			plugin.ProtocolVersion)
	case own:
		e.Reason = "it ended before it was ready: " + r.runner.state.String()
	case strings.Contains(text, "Unrecognized remote plugin message"):
		e.Reason = "it ended before the handshake"
	}
	return e
}

// crash tells whether a failed call means that the process is gone, and reports how it ended.
func (p *process) crash(r *running, err error) *CrashError {
	if !mayBeCrash(err) {
		return nil
	}
	lost := connectionLost(err)
	wait := exitWait
	if !lost {
		// Another status can only be a crash if the process is already going.
		wait = exitWait / 10
	}
	status := ""
	select {
	case <-r.runner.exited:
	case <-time.After(wait):
		if !lost {
			return nil
		}
		status = "it gave up its connection and was killed"
		_ = r.runner.Kill(context.Background())
		<-r.runner.exited
	}
	if status == "" {
		status = r.runner.state.String()
	}
	panicText, tail := r.runner.output.last()
	c := &CrashError{Plugin: p.found.key(), Path: p.found.RealPath, Status: status, Panic: panicText}
	if panicText == "" {
		c.Stderr = tail
	}
	p.note(r, c)
	return c
}

// end kills a process that does not stop what it was told to stop, and everything that it started. The next call starts
// another one.
func (p *process) end(r *running) {
	p.log.Error("plugin is killed, because it does not stop", "path", p.found.RealPath, "timeout", p.host.opts.StopTimeout)
	_ = r.runner.Kill(context.Background())
	select {
	case <-r.runner.exited:
	case <-time.After(exitWait): // stuck in the kernel
	}
}

// note counts a crash once, however many calls it ended.
func (p *process) note(r *running, c *CrashError) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current != r || p.closed {
		return
	}
	p.crashes++
	p.last = c
	p.log.Error("plugin ended unexpectedly", "path", c.Path, "status", c.Status, "panic", c.Panic)
	r.client.Kill()
	p.current = nil
}

func (r *running) gone() bool {
	select {
	case <-r.runner.exited:
		return true
	default:
		return false
	}
}

func killed(s *os.ProcessState) bool { return strings.Contains(s.String(), "signal: killed") }

func oneLine(err error) string {
	first, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	return first
}

// noDispense is the plugin of go-plugin's set: the host uses the connection itself.
type noDispense struct {
	goplugin.NetRPCUnsupportedPlugin
}

// GRPCServer is the plugin's side, which is not here.
func (noDispense) GRPCServer(*goplugin.GRPCBroker, *grpc.Server) error {
	return errors.New("the host serves nothing")
}

// GRPCClient returns nothing.
func (noDispense) GRPCClient(context.Context, *goplugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}
