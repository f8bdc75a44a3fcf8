package postgres

import (
	"context"
	"time"
)

// minProbeTimeout is the least time that the server gets to answer a probe; a loaded one may be slow.
const minProbeTimeout = 30 * time.Second

// keepalive is the goroutine that probes a backup's session. quit tells it to end, and done is closed when no probe is
// running any more.
type keepalive struct {
	quit context.CancelFunc
	done chan struct{}
}

// noKeepalive is one that has ended.
func noKeepalive() *keepalive {
	k := &keepalive{quit: func() {}, done: make(chan struct{})}
	close(k.done)
	return k
}

func (k *keepalive) wait() { <-k.done }

// Keepalive probes the session every interval while the backup is open, so that firewalls do not forget it, and so that its
// loss is noticed before the whole copy has been made in vain. The returned context ends when ctx does, and when the
// session is lost; context.Cause then wraps ErrConnectionLost. The returned function ends the probing and the context;
// Stop and Abort end the probing too. An interval of 0 means no probes. Call it once per backup.
func (b *Backup) Keepalive(ctx context.Context, interval time.Duration) (context.Context, func()) {
	guarded, cancel := context.WithCancelCause(ctx)
	if interval <= 0 {
		return guarded, func() { cancel(nil) }
	}
	probing, quit := context.WithCancel(ctx)
	k := &keepalive{quit: quit, done: make(chan struct{})}
	if !b.attach(k) {
		quit()
		cancel(ErrBackupEnded)
		return guarded, func() {}
	}
	go func() {
		defer close(k.done)
		if err := b.conn.probe(probing, interval); err != nil {
			cancel(err)
		}
	}()
	return guarded, func() {
		quit()
		k.wait()
		cancel(nil)
	}
}

// probe returns nil when ctx ends, or the error of the first probe that failed.
func (c *Conn) probe(ctx context.Context, interval time.Duration) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		err := c.probeOnce(ctx, max(interval, minProbeTimeout))
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// probeOnce pings with a time limit. It is not run under ctx: a probe cancelled half-way could leave the session unusable
// for the Stop that follows, and the answer comes at once from a living server.
func (c *Conn) probeOnce(ctx context.Context, limit time.Duration) error {
	probe, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), limit, ErrConnectionLost)
	defer cancel()
	return c.Ping(probe)
}
