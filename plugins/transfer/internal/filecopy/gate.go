package filecopy

import (
	"context"
	"sync"
	"time"
)

// startGate lets at most size starts through in any period. Each rsync over ssh is a login, and sshd refuses logins
// beyond its MaxStartups.
type startGate struct {
	size   int
	period time.Duration
	mu     sync.Mutex
	// recent are the moments of the last starts, oldest first, at most size of them; future ones are reserved.
	recent []time.Time
}

func newStartGate(size int, period time.Duration) *startGate {
	return &startGate{size: size, period: period}
}

// wait blocks until a start is allowed, or the context ends.
func (g *startGate) wait(ctx context.Context) error {
	if g.size <= 0 || g.period <= 0 {
		return ctx.Err()
	}
	return sleep(ctx, time.Until(g.reserve(time.Now())))
}

// reserve returns the moment at which the caller may start.
func (g *startGate) reserve(now time.Time) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := now
	if len(g.recent) == g.size {
		if next := g.recent[0].Add(g.period); next.After(now) {
			at = next
		}
		g.recent = g.recent[1:]
	}
	g.recent = append(g.recent, at)
	return at
}

// sleep waits, or returns the context's error as soon as it ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
