// Package sshshare lets the sessions of a run share one ssh connection, so that a copy with a dozen small commands logs in once.
//
//	ssh -o ControlMaster=yes -o ControlPath=WORK/s1 -N … host      one, started before the first session, ended by Close
//	ssh -o ControlMaster=no  -o ControlPath=WORK/s1 … host COMMAND   each session
//
// It is OpenSSH's connection sharing (ssh_config(5), ControlMaster), set up in the private directory of a run. Invariants:
//
//   - A session never depends on the connection: without it, ssh logs in by itself.
//   - A command that is not OpenSSH's ssh, or for which the user has arranged sharing already, is left as it is.
//   - The connection dies with this process, whatever kills it; its socket lies in a directory that the host removes, now or
//     at its next run.
package sshshare

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/sdk/toolexec"
)

// maxSocket is the longest path of a socket: 108 bytes of sun_path, less its end and what ssh appends while it makes it.
const maxSocket = 108 - 1 - 17

// Pool holds the connections of a run, one for each command. Its methods may be called at the same time.
type Pool struct {
	dir        string
	pathPrefix []string
	log        hclog.Logger
	ctx        context.Context //nolint:containedctx // the connections live as long as the pool, not as long as a call
	end        context.CancelFunc
	running    sync.WaitGroup

	mu          sync.Mutex
	connections map[string]*connection
}

// connection is one command and what sessions use in its place.
type connection struct {
	// ready is closed when command is known.
	ready   chan struct{}
	command []string
}

// New makes a pool whose sockets lie in dir, a private directory. pathPrefix are directories in which ssh is looked for first.
func New(dir string, pathPrefix []string, log hclog.Logger) *Pool {
	ctx, end := context.WithCancel(context.Background())
	return &Pool{dir: dir, pathPrefix: pathPrefix, log: log, ctx: ctx, end: end, connections: map[string]*connection{}}
}

// Close ends the connections.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.end()
	p.mu.Unlock()
	p.running.Wait()
	return nil
}

// Command returns the command that runs a session through a connection for remote, which is made if there is none; and remote
// itself where that is not possible.
func (p *Pool) Command(ctx context.Context, remote []string) []string {
	if len(remote) == 0 || filepath.Base(remote[0]) != "ssh" {
		return remote
	}
	select {
	case <-p.connection(remote).ready:
		return p.connection(remote).command
	case <-ctx.Done():
		return remote
	}
}

func (p *Pool) connection(remote []string) *connection {
	key := strings.Join(remote, "\x00")
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.connections[key]
	if c == nil {
		c = &connection{ready: make(chan struct{}), command: remote}
		p.connections[key] = c
		socket := filepath.Join(p.dir, fmt.Sprintf("s%d", len(p.connections)))
		if p.ctx.Err() != nil {
			close(c.ready)
			return c
		}
		p.running.Go(func() { p.open(c, remote, socket) })
	}
	return c
}

// open logs in, and returns when the connection has ended.
func (p *Pool) open(c *connection, remote []string, socket string) {
	var once sync.Once
	settle := func(command []string) {
		once.Do(func() {
			c.command = command
			close(c.ready)
		})
	}
	defer settle(remote)
	// Blanks, quotes and percent signs would mean something to ssh.
	if p.dir == "" || len(socket) > maxSocket || strings.ContainsAny(socket, " \t\"'\\%$#~") || !p.mayShare(remote) {
		return
	}
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	p.running.Go(func() {
		if waitFor(ctx, socket) {
			settle(through(remote, "no", socket))
		}
	})
	// The master: no command, no input; it serves until it is told to end, or its connection breaks.
	command := through(remote, "yes", socket)
	_, err := toolexec.Run(ctx, toolexec.Command{
		Name: command[0], Args: slices.Insert(command[1:], 4, "-o", "ControlPersist=no", "-N", "-T"), PathPrefix: p.pathPrefix,
	})
	if err != nil && p.ctx.Err() == nil {
		// Whoever asked logs in by itself, and tells what is wrong if that fails, too.
		p.log.Debug("the shared connection has ended", "command", remote, "error", err)
	}
}

// mayShare asks ssh what it makes of the command and the configuration files: whether it is OpenSSH's at all, and whether its user has
// decided about sharing.
func (p *Pool) mayShare(remote []string) bool {
	var out bytes.Buffer
	if _, err := toolexec.Run(p.ctx, toolexec.Command{
		Name: remote[0], Args: slices.Insert(slices.Clone(remote[1:]), 0, "-G"), PathPrefix: p.pathPrefix, Stdout: &out,
	}); err != nil {
		return false
	}
	known := false
	for line := range strings.Lines(out.String()) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case name == "controlpath" && value != "none", name == "controlmaster" && value != "false" && value != "no":
			return false
		case name == "hostname":
			known = true
		}
	}
	return known
}

// through puts the options of sharing before all others, because ssh takes what it sees first.
func through(remote []string, master, socket string) []string {
	return slices.Concat(remote[:1], []string{"-o", "ControlMaster=" + master, "-o", "ControlPath=" + socket}, remote[1:])
}

// waitFor waits until ssh has logged in and made its socket, and tells whether that happened before ctx ended.
func waitFor(ctx context.Context, socket string) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if info, err := os.Lstat(socket); err == nil && info.Mode()&os.ModeSocket != 0 {
			return true
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
}
