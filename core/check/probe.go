package check

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// LateError means that a probe had not answered when its time was over.
type LateError struct {
	// Limit is the time it had.
	Limit time.Duration
}

// Error names the limit.
func (e *LateError) Error() string {
	return fmt.Sprintf("no answer within %s", e.Limit)
}

// answer is what a probe finds out. It can be waited for by several goroutines.
type answer[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// ask starts a probe with its own deadline; limit 0 is none. The answer is there when the deadline is over, even if the probe
// is not: a system call on a dead file system cannot be interrupted.
func ask[T any](ctx context.Context, limit time.Duration, probe func(context.Context) (T, error)) *answer[T] {
	a := &answer[T]{done: make(chan struct{})}
	cancel := context.CancelFunc(func() {})
	if limit > 0 {
		ctx, cancel = context.WithTimeoutCause(ctx, limit, &LateError{limit})
	}
	type outcome struct {
		value T
		err   error
	}
	ended := make(chan outcome, 1)
	go func() {
		value, err := probe(ctx)
		ended <- outcome{value, err}
	}()
	go func() {
		defer close(a.done)
		defer cancel()
		select {
		case o := <-ended:
			a.value, a.err = o.value, o.err
			if o.err != nil && ctx.Err() != nil {
				a.err = context.Cause(ctx)
			}
		case <-ctx.Done():
			a.err = context.Cause(ctx)
		}
	}()
	return a
}

// wait returns the answer, at the latest when the probe's deadline is over.
func (a *answer[T]) wait() (T, error) {
	<-a.done
	return a.value, a.err
}

// waitFor is wait for another probe, which may have less time.
func (a *answer[T]) waitFor(ctx context.Context) (T, error) {
	select {
	case <-a.done:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// hint makes one line of an error.
func hint(err error) string {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}

// late tells that an error is that of a probe whose time was over.
func late(err error) bool {
	return errors.As(err, new(*LateError))
}
