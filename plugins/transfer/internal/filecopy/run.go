package filecopy

import (
	"context"
	"errors"
	"io"
	"path/filepath"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/toolexec"
	"github.com/barman-go/barman/sdk/transfer"
)

// run is one rsync, with its retries.
type run struct {
	item *itemState
	args []string
	// list, if not nil, opens the NUL-separated names for --files-from; each attempt reads it anew.
	list func() io.Reader
	// each, if not nil, gets every line of standard output; otherwise output is progress and statistics.
	each func(line []byte) error
	// restart, if not nil, is called before each attempt.
	restart func() error
	// onProgress, if not nil, gets what rsync says about its progress.
	onProgress func(snapshot)
}

// rsync runs r until it succeeds, fails for good or has been tried often enough.
func (s *session) rsync(ctx context.Context, r run) (runStats, error) {
	for attempt := 0; ; attempt++ {
		if err := s.gate.wait(ctx); err != nil {
			return runStats{}, err
		}
		if r.restart != nil {
			if err := r.restart(); err != nil {
				return runStats{}, err
			}
		}
		st, err := s.attempt(ctx, r)
		if err == nil || ctx.Err() != nil {
			return st, err
		}
		var d diag.Diagnostic
		if !errors.As(err, &d) || !d.Retryable || attempt >= s.plan.Retry.Times {
			return st, err
		}
		s.c.env.Log.Warn("rsync failed, it is run again",
			"op", s.plan.Op, "item", r.item.Label, "attempt", attempt+1, "of", s.plan.Retry.Times+1,
			"sleep", s.plan.Retry.Sleep, "error", err)
		if err := sleep(ctx, s.plan.Retry.Sleep); err != nil {
			return runStats{}, err
		}
	}
}

// attempt runs rsync once, or twice when the other side turns out to be older than 3.1.
func (s *session) attempt(ctx context.Context, r run) (runStats, error) {
	st, v, err := s.start(ctx, r)
	if code, ok := toolexec.IsExit(err); ok && v.oldRemote && (code == exitSyntax || code == exitProtocol) &&
		!s.oldRemote.Swap(true) {
		s.c.env.Log.Info("rsync of the other host is older than 3.1", "op", s.plan.Op)
		st, v, err = s.start(ctx, r)
	}
	return st, v.judge(err, r.item.Label, s.plan.Direction != transfer.Local)
}

func (s *session) start(ctx context.Context, r run) (runStats, *verdict, error) {
	var st runStats
	v := &verdict{source: filepath.Clean(r.item.Source)}
	each := r.each
	if each == nil {
		each = func(line []byte) error {
			if snap, ok := parseProgress(line); !ok {
				parseStats(line, &st)
			} else if r.onProgress != nil {
				r.onProgress(snap)
			}
			return nil
		}
	}
	cmd := toolexec.Command{
		Name: "rsync", PathPrefix: s.c.env.PathPrefix,
		// A listing shows local time; UTC has no hour twice.
		Env:    []string{"TZ=UTC0"},
		Stdout: &lines{on: each}, OnStderr: v.line,
		AcceptExit: []int{exitVanished},
	}
	if r.list != nil {
		cmd.Args = append(cmd.Args, "--from0", "--files-from=-")
		if !s.oldRemote.Load() {
			cmd.Args = append(cmd.Args, "--ignore-missing-args")
		}
		cmd.Stdin = r.list()
	}
	cmd.Args = append(cmd.Args, r.args...)
	s.c.env.Log.Debug("run rsync", "op", s.plan.Op, "item", r.item.Label, "args", cmd.Args)
	_, err := toolexec.Run(ctx, cmd)
	return st, v, err
}
