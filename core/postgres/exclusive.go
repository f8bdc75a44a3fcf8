package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/barman-go/barman/core/wal"
)

// abortTimeout limits how long Abort tries to end a backup; PostgreSQL has nothing to wait for then.
const abortTimeout = 30 * time.Second

// Exclusive is an exclusive base backup, which PostgreSQL has up to version 14 and on primaries only: the server writes
// backup_label and tablespace_map into its data directory, and the backup stays open when the session ends. So somebody
// has to end it, with Stop or Abort, in whichever session. Methods may be called from several goroutines.
type Exclusive struct {
	start StartPoint
	// since is the server's own name for this backup among those that it has had: see ExclusiveSince.
	since time.Time

	mu sync.Mutex
	// conn is the session that is used: that which began the backup, or one that was opened after its loss.
	conn   *Conn
	opened bool
	ended  bool
}

// StartExclusive begins an exclusive backup; see StartBackup for the arguments. Errors wrap ErrUnsupportedVersion from
// version 15 on, and ErrInRecovery on a standby.
func (c *Conn) StartExclusive(ctx context.Context, label string, fast bool) (*Exclusive, error) {
	if !c.dialect.exclusive {
		return nil, fmt.Errorf("%w: exclusive backups exist up to PostgreSQL 14, this is %s", ErrUnsupportedVersion, c.version)
	}
	if err := c.refuseStandby(ctx, "make an exclusive backup"); err != nil {
		return nil, err
	}
	if err := c.disableTimeouts(ctx); err != nil {
		return nil, err
	}
	e := &Exclusive{conn: c}
	p := &e.start
	var lsn string
	sql := "SELECT pg_start_backup($1::text, $2::boolean)::text, now()"
	if err := c.query(ctx, "start an exclusive backup", sql, []any{label, fast}, &lsn, &p.Time); err != nil {
		return nil, err
	}
	// From here on the server has a backup open, also when ctx has just ended.
	var err error
	if e.since, err = c.ExclusiveSince(context.WithoutCancel(ctx)); err == nil {
		err = c.readStart(ctx, p, lsn)
	}
	if err != nil {
		return nil, errors.Join(err, e.Abort(ctx))
	}
	return e, nil
}

// ExclusiveSince returns when the exclusive backup began that the server has open, in whole seconds, and the zero time when
// it has none: pg_backup_start_time(). Everybody may ask.
func (c *Conn) ExclusiveSince(ctx context.Context) (time.Time, error) {
	if !c.dialect.exclusive {
		return time.Time{}, nil
	}
	var since *time.Time
	sql := "SELECT CASE WHEN pg_is_in_backup() THEN pg_backup_start_time() END"
	if err := c.query(ctx, "ask for an exclusive backup", sql, nil, &since); err != nil || since == nil {
		return time.Time{}, err
	}
	return *since, nil
}

// EndExclusive gives up the exclusive backup that began at since, without waiting until its WAL is archived. It does nothing
// when that backup is not open any more.
func (c *Conn) EndExclusive(ctx context.Context, since time.Time) error {
	now, err := c.ExclusiveSince(ctx)
	if err != nil || now.IsZero() || !now.Equal(since) {
		return err
	}
	err = c.exec(ctx, "end the exclusive backup", "SELECT pg_stop_backup(true, false)")
	if errors.Is(err, ErrPrivileges) {
		// The role was granted the form without arguments, which waits for the archiver after it has ended the backup.
		err = c.exec(ctx, "end the exclusive backup", "SELECT pg_stop_backup()")
	}
	return err
}

// Start returns where the backup began.
func (e *Exclusive) Start() StartPoint { return e.start }

// Stop ends the backup, in a new session if its own is lost, and returns its end. PostgreSQL waits until its archiver has
// archived every segment of the backup. Label and TablespaceMap of the result are empty: both files were in the data
// directory, and have been copied with it. After an error, call Abort.
func (e *Exclusive) Stop(ctx context.Context) (StopPoint, error) {
	conn, err := e.session(ctx)
	if err != nil {
		return StopPoint{}, err
	}
	if err := e.verify(ctx, conn); err != nil {
		return StopPoint{}, err
	}
	p, err := conn.stopExclusive(ctx)
	if err != nil {
		return StopPoint{}, err
	}
	e.end()
	return p, nil
}

// Abort gives the backup up. It works when ctx has ended, and does nothing after a successful Stop or Abort. After an error
// the server may still have the backup open.
func (e *Exclusive) Abort(ctx context.Context) error {
	e.mu.Lock()
	ended := e.ended
	e.mu.Unlock()
	if ended {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	conn, err := e.session(ctx)
	if err == nil {
		err = conn.EndExclusive(ctx, e.since)
	}
	e.end()
	if err != nil {
		return fmt.Errorf("PostgreSQL may still be in backup mode, end it with SELECT pg_stop_backup(): %w", err)
	}
	return nil
}

// Keepalive probes the session every interval, and opens another one when it is lost: the backup does not depend on it.
// The returned context ends when ctx does, and when the server has no such backup any more or cannot be reached. The
// returned function ends the probing and the context.
func (e *Exclusive) Keepalive(ctx context.Context, interval time.Duration) (context.Context, func()) {
	guarded, cancel := context.WithCancelCause(ctx)
	if interval <= 0 {
		return guarded, func() { cancel(nil) }
	}
	probing, quit := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := e.session(probing)
			if err == nil {
				err = e.verify(probing, conn)
			}
			if err != nil {
				if probing.Err() == nil {
					cancel(err)
				}
				return
			}
			if conn.probe(probing, interval) == nil {
				return // told to quit
			}
			conn.Close()
		}
	}()
	return guarded, func() {
		quit()
		<-done
		cancel(nil)
	}
}

// session returns the backup's session, or a new one if it is lost.
func (e *Exclusive) session(ctx context.Context) (*Conn, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.conn.Ping(ctx) == nil {
		return e.conn, nil
	}
	conn, err := Connect(ctx, e.conn.info, "barman")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConnectionLost, err)
	}
	if err := conn.disableTimeouts(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	e.conn, e.opened = conn, true
	return conn, nil
}

// verify makes sure that the server has still this backup open.
func (e *Exclusive) verify(ctx context.Context, conn *Conn) error {
	now, err := conn.ExclusiveSince(ctx)
	switch {
	case err != nil:
		return err
	case now.IsZero():
		return fmt.Errorf("%w: the server was restarted, or somebody has run pg_stop_backup()", ErrBackupEnded)
	case !now.Equal(e.since):
		return fmt.Errorf("%w: the server has another exclusive backup open, since %s", ErrBackupEnded, now)
	}
	return nil
}

// end notes that nothing is left to do on the server, and closes a session that was opened here.
func (e *Exclusive) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = true
	if e.opened {
		e.conn.Close()
	}
}

func (c *Conn) stopExclusive(ctx context.Context) (StopPoint, error) {
	var p StopPoint
	var size wal.SegmentSize
	var lsn string
	sql := "SELECT pg_stop_backup()::text, now()"
	if err := c.query(ctx, "stop the exclusive backup", sql, nil, &lsn, &p.Time); err != nil {
		return StopPoint{}, err
	}
	sql = "SELECT timeline_id, " + c.dialect.segmentSize + " FROM pg_control_checkpoint()"
	err := c.query(ctx, "read the timeline of the backup", sql, nil, (*uint32)(&p.Timeline), (*uint64)(&size))
	if err != nil {
		return StopPoint{}, err
	}
	if p.LSN, err = wal.ParseLSN(lsn); err != nil {
		return StopPoint{}, err
	}
	p.WAL, p.Offset = wal.SegmentEndingAt(p.Timeline, p.LSN, size), p.LSN.Offset(size)
	return p, nil
}
