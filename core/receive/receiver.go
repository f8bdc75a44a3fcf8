package receive

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/core/wal"
)

// Receiver receives the WAL of one server. The caller holds the server's receive-wal lock.
type Receiver struct {
	Server string
	// Dir is the streaming directory, which is created when it is missing; WALs is the archive, and Errors is for what must not be
	// overwritten.
	Dir, WALs, Errors string
	// Connect opens a replication session.
	Connect func(context.Context) (*postgres.ReplicationConn, error)
	// Ask asks the server, in an ordinary session, for what the replication protocol does not tell.
	Ask func(context.Context) (State, error)
	// Slot is the replication slot to use, or empty. CreateSlot creates it when it is missing.
	Slot       string
	CreateSlot bool
	// SystemID is that of the catalog; 0 when it has none yet.
	SystemID wal.SystemID
	// Room is asked before the file of a new segment takes need bytes of Dir's disk; its error ends the receiver, as a full disk
	// does. May be nil.
	Room func(need int64) error
	// Completed is called when there is a new complete segment or history file. It must not block. May be nil.
	Completed func()
	Out       report.Messenger
	Log       hclog.Logger
	Now       func() time.Time
}

// State is what a server says in an ordinary session.
type State struct {
	// Slot is nil when it does not exist.
	Slot *postgres.Slot
	// Synchronous: the server waits for this client when it commits.
	Synchronous bool
}

const (
	// firstRetry and lastRetry bound the time between two attempts to connect.
	firstRetry = 200 * time.Millisecond
	lastRetry  = 30 * time.Second
	// stateInterval is how often the server is asked whether commits wait for this client; the setting can change at any time.
	stateInterval = time.Minute
	// slotPatience is how long a slot may be in use after a connection was lost. The server takes up to wal_sender_timeout, which
	// is one minute, to notice the loss.
	slotPatience = 5 * time.Minute
)

// final is an error after which trying again does not help.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

func finalf(format string, args ...any) error { return final{fmt.Errorf(format, args...)} }

// run is the state of one Run.
type run struct {
	*Receiver
	pulse *pulse
	// synchronous is refreshed beside the reception.
	synchronous atomic.Bool
	// known is the server of the first session.
	known wal.SystemID
	// received tells that WAL has flowed in some session, lost that the last one ended otherwise than in order.
	received bool
	lost     time.Time
}

// Run receives until ctx ends, and returns nil then, with everything received made durable and reported. A connection that is
// lost is opened again, for as long as it takes. It returns an error when the first connection fails, when trying again cannot
// help (a slot that does not exist, WAL that the server has removed, another cluster), and when the disk fails.
func (r *Receiver) Run(ctx context.Context) (err error) {
	run := &run{Receiver: r, pulse: newPulse(r)}
	if err := fsx.MkdirAll(r.Dir, 0o755); err != nil {
		return err
	}
	if _, err := fsx.Sweep(r.Dir, fsx.OwnerDead); err != nil {
		r.Log.Warn("cannot remove temporary files", "dir", r.Dir, "error", err)
	}
	// What a process before this one renamed counts as received from here on.
	if err := fsx.SyncDir(r.Dir); err != nil {
		return err
	}
	run.pulse.connecting()
	defer func() { run.pulse.stopped(err) }()
	go run.refresh(ctx)
	delay := firstRetry
	for {
		before := run.pulse.Received
		err := run.session(ctx)
		switch {
		case ctx.Err() != nil && !errors.As(err, new(final)):
			return nil
		case errors.As(err, new(final)) || !run.received:
			return err
		}
		if run.pulse.Received != before {
			delay = firstRetry
		}
		run.disconnected(err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(delay):
		}
		delay = min(2*delay, lastRetry)
	}
}

// disconnected tells about a lost connection, once until there is one again.
func (r *run) disconnected(err error) {
	if r.lost.IsZero() {
		r.lost = r.Now()
		r.Out.Warning("%s: WAL streaming was interrupted: %v; trying again until it works", r.Server, err)
	}
	r.Log.Debug("cannot stream WAL", "server", r.Server, "error", err)
	r.pulse.disconnected(err)
}

func (r *run) connected(at wal.LSN, timeline wal.TimelineID) {
	if !r.received || !r.lost.IsZero() {
		r.Out.Info("%s: starting log streaming at %s (timeline %d)", r.Server, at, timeline)
	}
	r.received, r.lost = true, time.Time{}
}

// refresh keeps asking whether commits wait for this client.
func (r *run) refresh(ctx context.Context) {
	ticker := time.NewTicker(stateInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if state, err := r.Ask(ctx); err == nil {
			r.synchronous.Store(state.Synchronous)
		}
	}
}

// session connects and receives until something ends it.
func (r *run) session(ctx context.Context) error {
	conn, err := r.Connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	s, err := r.greet(ctx, conn)
	if err != nil {
		return err
	}
	at, err := s.begin(ctx)
	if err != nil {
		return err
	}
	for {
		if err := s.keepHistory(ctx, at.timeline); err != nil {
			return err
		}
		if at, err = s.timeline(ctx, at); err != nil {
			return err
		}
	}
}
