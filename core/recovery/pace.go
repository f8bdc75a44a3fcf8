package recovery

import (
	"context"
	"io"
	"sync"
	"time"
)

// pace keeps several readers together below a bandwidth.
type pace struct {
	// rate is in bytes per second; 0 means no limit.
	rate float64

	mu   sync.Mutex
	next time.Time
}

// newPace takes a limit in kB/s (1024 bytes); 0 or less means none.
func newPace(limit int) *pace { return &pace{rate: float64(max(limit, 0)) * 1024} }

// reader returns r, slowed down. It ends when ctx does.
func (p *pace) reader(ctx context.Context, r io.Reader) io.Reader {
	if p.rate == 0 {
		return r
	}
	return &pacedReader{ctx: ctx, p: p, r: r}
}

// wait returns when n more bytes are due.
func (p *pace) wait(ctx context.Context, n int) error {
	p.mu.Lock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(time.Duration(float64(n) / p.rate * float64(time.Second)))
	due := p.next
	p.mu.Unlock()
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

type pacedReader struct {
	ctx context.Context //nolint:containedctx // lives exactly as long as the one call it is made for
	p   *pace
	r   io.Reader
}

// pacedRead bounds a read, so that waiting is spread evenly, in bytes.
const pacedRead = 64 << 10

func (r *pacedReader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b[:min(len(b), pacedRead)])
	if n > 0 {
		if waitErr := r.p.wait(r.ctx, n); waitErr != nil {
			return n, waitErr
		}
	}
	return n, err
}
