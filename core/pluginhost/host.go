package pluginhost

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/sdk/schema"
)

// DefaultStartTimeout is how long a plugin may take until it is ready. A plugin in Go needs 10 ms; an interpreter on a
// busy host needs seconds.
const DefaultStartTimeout = 30 * time.Second

// DefaultStopTimeout is how long a plugin may take to stop what it was told to stop: longer than sdk/toolexec needs for
// tools that have to be killed, shorter than the typed clients of the SDK wait.
const DefaultStopTimeout = 12 * time.Second

// Options say where plugins are and what they get.
type Options struct {
	// BundledDir holds the plugins of this build; see DefaultBundledDir. May be empty.
	BundledDir string
	// GlobalPathPrefix is path_prefix of the `barman` block.
	GlobalPathPrefix []string
	// SearchPath are the directories of PATH; nil means those of the environment.
	SearchPath []string
	// Paths are explicit executables by "type/name".
	Paths map[string]string
	// Pins are SHA-256 digests in hexadecimal, by "type/name".
	Pins map[string]string
	// Lock, if not nil, holds the digest of every plugin that may run.
	Lock *Lock
	// PassEnv are names of further environment variables that plugins get; a trailing "*" stands for any end.
	PassEnv []string
	// Log receives the plugins' logs and this package's; nil logs nothing.
	Log hclog.Logger
	// TempDir is where the private run directory is made; empty means that of the system.
	TempDir string
	// StartTimeout replaces DefaultStartTimeout if not 0.
	StartTimeout time.Duration
	// StopTimeout replaces DefaultStopTimeout if not 0.
	StopTimeout time.Duration
}

// Use says for whom an instance is and how it is configured.
type Use struct {
	// Server is the server's name; empty for an instance that serves no single server.
	Server string
	// PathPrefix is the server's path_prefix: plugins are looked for there first, and so are the plugin's tools.
	PathPrefix []string
	// Path is an explicit executable; empty means Options.Paths and then the search.
	Path string
	// SHA256 replaces the pin of Options.
	SHA256 string
	// Decode gives the values of the plugin's `config { }` block. The values need not be complete: defaults are filled in.
	// nil means that there is no block.
	Decode func(schema.Schema) (schema.Values, error)
	// WorkDir is a private directory for temporary files; empty means one below the run directory, removed by Close.
	WorkDir string
}

// Host runs plugins. Its methods may be called at the same time from several goroutines.
type Host struct {
	opts Options
	log  hclog.Logger

	mu     sync.Mutex
	run    *runDir
	procs  map[string]*process
	closed bool
}

// New prepares a host. It starts nothing and touches no file.
func New(opts Options) *Host {
	if opts.Log == nil {
		opts.Log = hclog.NewNullLogger()
	}
	if opts.StartTimeout == 0 {
		opts.StartTimeout = DefaultStartTimeout
	}
	if opts.StopTimeout == 0 {
		opts.StopTimeout = DefaultStopTimeout
	}
	if opts.SearchPath == nil {
		opts.SearchPath = filepath.SplitList(os.Getenv("PATH"))
	}
	return &Host{opts: opts, log: opts.Log, procs: map[string]*process{}}
}

// DefaultBundledDir is `plugins` beside the running executable if that exists, and otherwise libexec, the directory set
// at link time.
func DefaultBundledDir(libexec string) string {
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			exe = real
		}
		dir := filepath.Join(filepath.Dir(exe), "plugins")
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir
		}
	}
	return libexec
}

// Close ends every plugin, politely for two seconds and then by force, and removes the run directory. Clients of this
// host give errors afterwards.
func (h *Host) Close() error {
	h.mu.Lock()
	h.closed = true
	procs, run := h.procs, h.run
	h.procs, h.run = map[string]*process{}, nil
	h.mu.Unlock()

	var all sync.WaitGroup
	for _, p := range procs {
		all.Go(p.close)
	}
	all.Wait()
	if run == nil {
		return nil
	}
	return run.remove()
}

// process returns the process of an executable; it is not started yet.
func (h *Host) process(f *Found) (*process, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		_ = f.file.Close()
		return nil, errClosed
	}
	// The same file under two names is two plugins: each must be what its name says.
	key := f.key() + " " + f.RealPath
	if p := h.procs[key]; p != nil {
		_ = f.file.Close()
		return p, nil
	}
	p := newProcess(h, f)
	h.procs[key] = p
	return p, nil
}

// runDirectory makes the private directory with the first plugin that starts, and sweeps those of dead hosts.
func (h *Host) runDirectory() (*runDir, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errClosed
	}
	if h.run == nil {
		run, err := newRunDir(h.opts.TempDir)
		if err != nil {
			return nil, err
		}
		h.run = run
		sweepRunDirs(filepath.Dir(run.path))
	}
	return h.run, nil
}

// locate finds a plugin and its process.
func (h *Host) locate(ctx context.Context, pluginType, name string, use Use) (*process, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	f, err := h.find(pluginType, name, use)
	if err != nil {
		return nil, err
	}
	return h.process(f)
}
