package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/barman-go/barman/core/wal"
)

// awaitArchived waits until PostgreSQL's archiver is done with the last segment of a backup and with the backup's label file, which
// the archiver takes after it. pg_backup_stop does the same and looks once a second; most archive_commands take a few
// milliseconds.
//
// It goes by PostgreSQL's own criterion: a file that is still to be archived has an entry in archive_status that ends in
// ".ready". Both entries are there when pg_backup_stop returns, unless they have been dealt with already or nothing is archived
// at all. (PostgreSQL manual, section "Continuous Archiving", and pg_ls_archive_statusdir in "System Administration Functions".)
func (c *Conn) awaitArchived(ctx context.Context, start StartPoint, stop StopPoint) error {
	names := []string{
		stop.WAL.String() + ".ready",
		wal.BackupLabelName(stop.Timeline, start.LSN, start.SegmentSize) + ".ready",
	}
	begin := time.Now()
	for {
		var waiting bool
		err := c.query(ctx, "wait for the WAL of the backup to be archived",
			"SELECT EXISTS (SELECT FROM pg_ls_archive_statusdir() WHERE name = ANY($1::text[]))", []any{names}, &waiting)
		if err != nil || !waiting {
			return err
		}
		// The directory may be long when the archiver is behind, so look less often the longer it takes.
		pause := min(archivedFirst+time.Since(begin)/4, archivedEvery)
		if !sleep(ctx, pause) {
			return fmt.Errorf("cannot wait for the WAL of the backup to be archived: %w", context.Cause(ctx))
		}
	}
}

// The shortest and the longest time between two looks at archive_status.
const (
	archivedFirst = 5 * time.Millisecond
	archivedEvery = time.Second
)
