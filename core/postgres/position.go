package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/barman-go/barman/core/wal"
)

// Position is a place in the WAL.
type Position struct {
	LSN wal.LSN
	// WAL and Offset name the segment; WAL is empty on a standby, which does not know its timeline for sure.
	WAL    string
	Offset uint64
	// Time is the server's clock.
	Time time.Time
}

// Position returns the write position of a primary and the replay position of a standby. A position at the end of a
// segment belongs to that segment (with offset 0), in every version.
func (c *Conn) Position(ctx context.Context) (Position, error) {
	var p Position
	var lsn, file string
	var size wal.SegmentSize
	sql := fmt.Sprintf(`
		SELECT coalesce(lsn, '0/0')::text, CASE WHEN standby THEN '' ELSE pg_walfile_name(lsn) END, %s, now()
		FROM (SELECT pg_is_in_recovery() AS standby,
			CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS lsn) AS at`,
		c.dialect.segmentSize)
	if err := c.query(ctx, "read the current WAL position", sql, nil, &lsn, &file, (*uint64)(&size), &p.Time); err != nil {
		return Position{}, err
	}
	var err error
	if p.LSN, err = wal.ParseLSN(lsn); err != nil {
		return Position{}, err
	}
	if file != "" {
		p.Offset = p.LSN.Offset(size)
	}
	p.WAL, err = endingSegment(file, p.LSN, size)
	return p, err
}

// endingSegment names the segment whose WAL ends at an LSN, on the timeline that the server named a file of. Servers do not
// agree on an LSN at a segment boundary: from PostgreSQL 17 on, pg_walfile_name returns the segment that begins there.
func endingSegment(file string, lsn wal.LSN, size wal.SegmentSize) (string, error) {
	if file == "" {
		return "", nil
	}
	segment, err := wal.ParseSegment(file)
	if err == nil {
		err = size.Validate()
	}
	if err != nil {
		return "", fmt.Errorf("the server's current WAL file: %w", err)
	}
	return wal.SegmentEndingAt(segment.Timeline, lsn, size).String(), nil
}
