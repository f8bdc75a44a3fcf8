package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Archiver is the state of the server's WAL archiver, from pg_stat_archiver.
type Archiver struct {
	// ArchivedCount and FailedCount count since StatsReset.
	ArchivedCount, FailedCount int64
	// LastArchivedWAL and LastFailedWAL are file names, empty when there was none; the times are zero then.
	LastArchivedWAL, LastFailedWAL   string
	LastArchivedTime, LastFailedTime time.Time
	StatsReset                       time.Time
	// IsArchiving: archive_mode is on, and the last attempt did not fail. A failure to archive the history file of a
	// timeline that is not newer than the last archived WAL does not count.
	IsArchiving bool
	// WALsPerSecond is ArchivedCount over the time since StatsReset.
	WALsPerSecond float64
}

const archiverSQL = `
	SELECT archived_count, coalesce(last_archived_wal, ''), last_archived_time,
		failed_count, coalesce(last_failed_wal, ''), last_failed_time, stats_reset,
		current_setting('archive_mode') IN ('on', 'always') AND coalesce(
			last_failed_wal IS NULL
			OR (last_failed_wal LIKE '%.history' AND substring(last_failed_wal from 1 for 8) <= substring(last_archived_wal from 1 for 8))
			OR last_failed_time <= last_archived_time, false),
		coalesce(archived_count / nullif(extract(epoch FROM now() - stats_reset), 0), 0)::double precision
	FROM pg_stat_archiver`

// Archiver asks for the archiver's state only.
func (c *Conn) Archiver(ctx context.Context) (*Archiver, error) {
	var result *Archiver
	batch := &pgx.Batch{}
	queueArchiver(batch, &result)
	if err := c.batch(ctx, "read pg_stat_archiver", batch); err != nil {
		return nil, err
	}
	return result, nil
}

func queueArchiver(batch *pgx.Batch, result **Archiver) {
	batch.Queue(archiverSQL).QueryRow(func(row pgx.Row) error {
		var a Archiver
		var archived, failed, reset *time.Time
		err := row.Scan(&a.ArchivedCount, &a.LastArchivedWAL, &archived, &a.FailedCount, &a.LastFailedWAL, &failed, &reset,
			&a.IsArchiving, &a.WALsPerSecond)
		if err != nil {
			return err
		}
		for _, t := range []struct {
			to   *time.Time
			from *time.Time
		}{{&a.LastArchivedTime, archived}, {&a.LastFailedTime, failed}, {&a.StatsReset, reset}} {
			if t.from != nil {
				*t.to = *t.from
			}
		}
		*result = &a
		return nil
	})
}
