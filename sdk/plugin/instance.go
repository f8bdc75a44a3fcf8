package plugin

import (
	"context"
	"errors"
	"io"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// instance is what one Open made: the author's object and the calls that run on it.
type instance struct {
	// object is a compress.Compressor, transfer.Transfer or hook.Hook.
	object any
	ctx    context.Context
	cancel context.CancelFunc

	mu    sync.Mutex
	calls map[*call]struct{}
}

// call is one running rpc of an instance.
type call struct {
	op     string
	cancel context.CancelFunc
	done   chan struct{}
}

// instances are the open instances of this process.
type instances struct {
	base context.Context

	mu   sync.Mutex
	last int
	open map[string]*instance
}

func newInstances(base context.Context) *instances {
	return &instances{base: base, open: map[string]*instance{}}
}

// add makes an instance from what create returns. The context that create gets lives as long as the instance; while
// create runs it also ends with ctx.
func (s *instances) add(ctx context.Context, create func(context.Context) (any, error)) (string, error) {
	life, cancel := context.WithCancel(s.base)
	stop := context.AfterFunc(ctx, cancel)
	object, err := create(life)
	if err == nil && !stop() {
		err = context.Cause(ctx)
	}
	if err == nil && object == nil {
		err = errors.New("the plugin opened no instance")
	}
	if err != nil {
		cancel()
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	id := strconv.Itoa(s.last)
	s.open[id] = &instance{object: object, ctx: life, cancel: cancel, calls: map[*call]struct{}{}}
	return id, nil
}

func (s *instances) get(id string) (*instance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if inst := s.open[id]; inst != nil {
		return inst, nil
	}
	return nil, status.Errorf(codes.NotFound, "unknown instance %q: open one first", id)
}

// close forgets an instance, ends its calls, waits for them while ctx lasts, and closes the author's object if it is an
// io.Closer.
func (s *instances) close(ctx context.Context, id string) {
	s.mu.Lock()
	inst := s.open[id]
	delete(s.open, id)
	s.mu.Unlock()
	if inst == nil {
		return
	}
	inst.cancel()
	inst.endCalls(ctx, func(*call) bool { return true })
	if c, ok := inst.object.(io.Closer); ok {
		_ = c.Close()
	}
}

// closeAll closes every instance, all within the same time.
func (s *instances) closeAll(within time.Duration) {
	s.mu.Lock()
	var ids []string
	for id := range s.open {
		ids = append(ids, id)
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	var all sync.WaitGroup
	for _, id := range ids {
		all.Go(func() { s.close(ctx, id) })
	}
	all.Wait()
}

// begin registers a call. Its context ends with the rpc, with the instance, and with Cancel; end must be called last.
func (i *instance) begin(ctx context.Context, op string) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(i.ctx, cancel)
	c := &call{op: op, cancel: cancel, done: make(chan struct{})}
	i.mu.Lock()
	i.calls[c] = struct{}{}
	i.mu.Unlock()
	return ctx, func() {
		i.mu.Lock()
		delete(i.calls, c)
		i.mu.Unlock()
		stop()
		cancel()
		close(c.done)
	}
}

// endCalls cancels the calls that match and waits until they have ended or ctx does.
func (i *instance) endCalls(ctx context.Context, match func(*call) bool) {
	i.mu.Lock()
	var ending []*call
	for c := range i.calls {
		if match(c) {
			c.cancel()
			ending = append(ending, c)
		}
	}
	i.mu.Unlock()
	for _, c := range ending {
		select {
		case <-c.done:
		case <-ctx.Done():
			return
		}
	}
}
