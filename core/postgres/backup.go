package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/barman-go/barman/core/wal"
)

// StartPoint is where a backup begins.
type StartPoint struct {
	LSN      wal.LSN
	Timeline wal.TimelineID
	// WAL is the first segment that a restore needs, and Offset the place of LSN in it, in bytes.
	WAL    wal.Segment
	Offset uint64
	// SegmentSize is the size of the server's segments.
	SegmentSize wal.SegmentSize
	// Time is the server's clock when the call began, before the checkpoint.
	Time time.Time
}

// StopPoint is where a backup ends.
type StopPoint struct {
	LSN      wal.LSN
	Timeline wal.TimelineID
	// WAL is the last segment that a restore needs, and Offset the place of LSN in it; 0 when it ends exactly at LSN.
	WAL    wal.Segment
	Offset uint64
	// Label is the text of backup_label, and TablespaceMap that of tablespace_map, which is empty without tablespaces. Both
	// must be written byte for byte into the restored data directory. (PostgreSQL manual, chapter "Continuous Archiving
	// and Point-in-Time Recovery", section "Making a Base Backup Using the Low Level API".)
	Label, TablespaceMap string
	// Time is the server's clock when the call began, before any wait for archiving.
	Time time.Time
}

// Backup is a concurrent (non-exclusive) base backup that this session has open. The server drops it when the session
// ends, whatever the reason, so nothing has to be cleaned up on the server.
type Backup struct {
	conn  *Conn
	start StartPoint

	mu        sync.Mutex
	ended     bool
	keepalive *keepalive
}

// StartBackup begins a concurrent backup. It waits for a checkpoint: with fast an immediate one, otherwise one that may take
// as long as checkpoint_timeout × checkpoint_completion_target. label must not hold line feeds and have at most 1024 bytes.
//
// The session's timeouts are switched off first: idle_session_timeout or statement_timeout of the role would end the
// session, and the backup with it.
func (c *Conn) StartBackup(ctx context.Context, label string, fast bool) (*Backup, error) {
	if err := c.disableTimeouts(ctx); err != nil {
		return nil, err
	}
	b := &Backup{conn: c, keepalive: noKeepalive()}
	p := &b.start
	var lsn string
	if err := c.query(ctx, "start a backup", c.dialect.start, []any{label, fast}, &lsn, &p.Time); err != nil {
		return nil, err
	}
	// From here on the server has a backup open.
	if err := c.readStart(ctx, p, lsn); err != nil {
		b.Abort()
		return nil, err
	}
	return b, nil
}

func (c *Conn) disableTimeouts(ctx context.Context) error {
	for _, name := range c.dialect.sessionTimeouts {
		if err := c.exec(ctx, "switch off "+name, "SELECT set_config($1, '0', false)", name); err != nil {
			return err
		}
	}
	return nil
}

// readStart completes the start point. The checkpoint that starts a backup has just written the control file, so its
// timeline is that of the backup.
func (c *Conn) readStart(ctx context.Context, p *StartPoint, lsn string) error {
	sql := "SELECT timeline_id, " + c.dialect.segmentSize + " FROM pg_control_checkpoint()"
	err := c.query(ctx, "read the timeline of the backup", sql, nil, (*uint32)(&p.Timeline), (*uint64)(&p.SegmentSize))
	if err != nil {
		return err
	}
	if p.LSN, err = wal.ParseLSN(lsn); err != nil {
		return err
	}
	if err := p.SegmentSize.Validate(); err != nil {
		return err
	}
	p.WAL = wal.SegmentForLSN(p.Timeline, p.LSN, p.SegmentSize)
	p.Offset = p.LSN.Offset(p.SegmentSize)
	return nil
}

// Start returns where the backup began.
func (b *Backup) Start() StartPoint { return b.start }

// Stop ends the backup and returns its end. On a primary that archives it waits until the archiver has archived every segment of
// the backup, on a standby until the primary has moved on to another segment (see StopOnStandby); both may take for ever, so
// give ctx a limit where that matters. After an error the backup is void and the session closed.
func (b *Backup) Stop(ctx context.Context) (StopPoint, error) {
	k, first := b.end()
	if !first {
		return StopPoint{}, ErrBackupEnded
	}
	defer k.wait()
	select {
	case <-k.done: // the last probe has been answered
	case <-ctx.Done():
		b.conn.Close()
		return StopPoint{}, fmt.Errorf("cannot stop the backup: %w", context.Cause(ctx))
	}
	p, waited, err := b.conn.readStop(ctx, b.start.SegmentSize)
	if err == nil && !waited {
		err = b.conn.awaitArchived(ctx, b.start, p)
	}
	if err != nil {
		b.conn.Close()
		return StopPoint{}, err
	}
	return p, nil
}

// readStop ends the backup; waited tells whether everything is archived that PostgreSQL waits for.
func (c *Conn) readStop(ctx context.Context, size wal.SegmentSize) (p StopPoint, waited bool, err error) {
	var lsn string
	err = c.query(ctx, "stop the backup", c.dialect.stop, nil, &lsn, &p.Label, &p.TablespaceMap, &p.Time, &waited)
	if err != nil {
		return StopPoint{}, false, err
	}
	// A standby that was promoted in the meantime cannot have come here: the server refuses to stop such a backup.
	sql := `SELECT CASE WHEN pg_is_in_recovery() THEN (SELECT min_recovery_end_timeline FROM pg_control_recovery())
		ELSE (SELECT timeline_id FROM pg_control_checkpoint()) END`
	if err := c.query(ctx, "read the timeline of the backup", sql, nil, (*uint32)(&p.Timeline)); err != nil {
		return StopPoint{}, false, err
	}
	if p.LSN, err = wal.ParseLSN(lsn); err != nil {
		return StopPoint{}, false, err
	}
	p.WAL = wal.SegmentEndingAt(p.Timeline, p.LSN, size)
	p.Offset = p.LSN.Offset(size)
	return p, waited, nil
}

// Abort gives the backup up by closing the session. After Stop it does nothing.
func (b *Backup) Abort() {
	if k, first := b.end(); first {
		b.conn.Close() // this cuts a probe short that an unreachable server does not answer
		k.wait()
	}
}

// attach makes the backup responsible for a keepalive; it returns false when the backup has ended.
func (b *Backup) attach(k *keepalive) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return false
	}
	b.keepalive = k
	return true
}

// end tells the keepalive to quit, and whether this call ended the backup. The keepalive may still be probing.
func (b *Backup) end() (k *keepalive, first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	k, first = b.keepalive, !b.ended
	b.ended = true
	k.quit()
	return k, first
}
