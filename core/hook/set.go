package hook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	sdkhook "github.com/barman-go/barman/sdk/hook"
)

// Options are what all hooks of a server have in common.
type Options struct {
	// Version is the value of BARMAN_VERSION; Server that of BARMAN_SERVER.
	Version, Server string
	// Configuration is the main configuration file as it was named on the command line.
	Configuration string
	// Environ is the environment for hooks that inherit it, in the form of os.Environ.
	Environ []string
	// Directory is the working directory of this process, absolute; hooks that inherit the environment find it in PWD and
	// scripts run there. Empty leaves PWD as it is in Environ.
	Directory string
	// Log gets the output of hooks and how they ended; nil logs nothing.
	Log hclog.Logger
	// Sleep waits between two attempts and returns the context's error if that ends first; nil means the clock.
	Sleep func(context.Context, time.Duration) error
}

// Set holds the hooks of one server. Its methods may be called at the same time from several goroutines; a nil Set has
// no hooks.
type Set struct {
	options Options
	log     hclog.Logger
	hooks   []*slot
}

// slot is a hook and its client, once it is open.
type slot struct {
	Hook
	mu     sync.Mutex
	runner Runner
}

// NewSet makes a set. Hooks of the same event, phase and kind run in the order given.
func NewSet(options Options, hooks []Hook) *Set {
	if options.Log == nil {
		options.Log = hclog.NewNullLogger()
	}
	if options.Sleep == nil {
		options.Sleep = sleep
	}
	s := &Set{options: options, log: options.Log}
	for _, h := range hooks {
		s.hooks = append(s.hooks, &slot{Hook: h})
	}
	return s
}

// Has tells whether there is any hook for an event, so that the values of the event need not be looked up for nothing.
func (s *Set) Has(event string) bool {
	if s == nil {
		return false
	}
	for _, h := range s.hooks {
		if h.Event == event {
			return true
		}
	}
	return false
}

// Pre runs the hooks before an operation: standard, then retry. It returns nil when the operation may go on, *AbortError
// or *OpenError when a retry hook forbids it, or the context's error.
func (s *Set) Pre(ctx context.Context, ev Event) error {
	return s.phase(ctx, sdkhook.PhasePre, []bool{false, true}, ev)
}

// Post runs the hooks after an operation: retry, then standard. Nothing that they do changes its outcome. They stop when
// ctx ends; hooks that must run after Ctrl-C as well get a context without cancellation.
func (s *Set) Post(ctx context.Context, ev Event) {
	// Whatever went wrong is in the log.
	_ = s.phase(ctx, sdkhook.PhasePost, []bool{true, false}, ev)
}

// phase runs the hooks of one phase in the order of kinds, which tells whether retry or standard hooks come first.
func (s *Set) phase(ctx context.Context, phase string, kinds []bool, ev Event) error {
	if s == nil {
		return nil
	}
	for _, retry := range kinds {
		for _, h := range s.hooks {
			if h.Event != ev.name || h.Phase != phase || h.Retry != retry {
				continue
			}
			if err := s.settle(ctx, h, s.runHook(ctx, h, ev)); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle decides what a hook's error means for the operation.
func (s *Set) settle(ctx context.Context, h *slot, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s (%s) interrupted: %w", h.option(), h.Title, context.Cause(ctx))
	}
	var abort *AbortError
	switch {
	case h.Phase == sdkhook.PhasePre && h.Retry:
		return err
	case errors.As(err, &abort):
		s.log.Warn(fmt.Sprintf(
			"Ignoring stop request after receiving abort (exit code %d) from post-%s retry hook script: %s",
			sdkhook.ExitAbortStop, strings.ReplaceAll(h.Event, "_", "-"), h.Title))
	default:
		s.log.Error(err.Error())
	}
	return nil
}

func (s *Set) runHook(ctx context.Context, h *slot, ev Event) error {
	runner, err := h.open(ctx)
	if err != nil {
		return &OpenError{Hook: h.option(), Title: h.Title, Err: err}
	}
	a := &attempts{set: s, hook: h.Hook, runner: runner, request: ev.request(h.Hook, s.environment(h.Hook, ev))}
	if h.Retry {
		return a.untilDone(ctx)
	}
	return a.once(ctx)
}

func (h *slot) open(ctx context.Context) (Runner, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.runner != nil {
		return h.runner, nil
	}
	limited, release := h.limited(ctx)
	defer release()
	runner, err := h.Open(limited)
	switch {
	case err != nil && limited.Err() != nil:
		return nil, context.Cause(limited)
	case err != nil:
		return nil, err
	}
	h.runner = runner
	return runner, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
