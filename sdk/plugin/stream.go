package plugin

import (
	"sync"
	"time"

	pluginv1 "github.com/barman-go/barman/sdk/pb/barman/plugin/v1"
	"github.com/barman-go/barman/sdk/progress"
)

// Pace of a stream of events.
const (
	// progressInterval is the shortest time between two progress messages.
	progressInterval = 200 * time.Millisecond
	// heartbeatInterval is the longest time without any message.
	heartbeatInterval = 5 * time.Second
)

// events turns what the author's code reports into a stream of messages: progress at a bearable rate, a heartbeat when
// nothing else is sent, and never two messages at the same time. send must not be called by anybody else before stop.
type events struct {
	interval, heartbeat time.Duration

	mu       sync.Mutex
	send     func(*pluginv1.Event) error
	last     time.Time
	latest   progress.Progress
	pending  bool
	stopped  bool
	stopping chan struct{}
	ended    sync.WaitGroup
}

func startEvents(send func(*pluginv1.Event) error) *events {
	return startEventsAt(send, progressInterval, heartbeatInterval)
}

func startEventsAt(send func(*pluginv1.Event) error, interval, heartbeat time.Duration) *events {
	e := &events{
		interval: interval, heartbeat: heartbeat, send: send, last: time.Now(), stopping: make(chan struct{}),
	}
	e.ended.Go(e.tick)
	return e
}

// Progress takes the newest numbers; they are sent now or with the next tick.
func (e *events) Progress(p progress.Progress) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.latest, e.pending = p, true
	if time.Since(e.last) >= e.interval {
		e.flush()
	}
}

// do sends a message of another kind between two events; after stop it sends nothing.
func (e *events) do(send func() error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		return
	}
	e.flush()
	// The stream's own context reports a lost host; the author's code cannot do anything about it here.
	_ = send()
	e.last = time.Now()
}

// stop sends the last numbers and nothing afterwards: what follows is the terminal message.
func (e *events) stop() {
	close(e.stopping)
	e.ended.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.flush()
	e.stopped = true
}

func (e *events) tick() {
	t := time.NewTicker(e.interval)
	defer t.Stop()
	for {
		select {
		case <-e.stopping:
			return
		case <-t.C:
		}
		e.mu.Lock()
		e.flush()
		if time.Since(e.last) >= e.heartbeat {
			e.sendLocked(&pluginv1.Event{Kind: &pluginv1.Event_Heartbeat{Heartbeat: &pluginv1.Heartbeat{}}})
		}
		e.mu.Unlock()
	}
}

func (e *events) flush() {
	if !e.pending || e.stopped {
		return
	}
	e.pending = false
	p := e.latest
	e.sendLocked(&pluginv1.Event{Kind: &pluginv1.Event_Progress{Progress: &pluginv1.Progress{
		BytesDone: p.BytesDone, BytesTotal: p.BytesTotal, FilesDone: p.FilesDone, FilesTotal: p.FilesTotal, Label: p.Label,
	}}})
}

func (e *events) sendLocked(ev *pluginv1.Event) {
	_ = e.send(ev)
	e.last = time.Now()
}
