package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/barman-go/barman/core/wal"
)

// ReplicationStatus is what the command replication-status shows.
type ReplicationStatus struct {
	InRecovery bool
	// CurrentLSN is the write position of a primary, and the receive position of a standby.
	CurrentLSN wal.LSN
	// Clients are sorted: synchronous ones first, by their priority.
	Clients []ReplicationClient
}

// ReplicationClient is one row of pg_stat_replication. LSNs are 0 when unknown.
type ReplicationClient struct {
	PID                           int
	User, ApplicationName         string
	ClientAddress, ClientHostname string // empty address: a Unix domain socket
	ClientPort                    int    // -1 for a Unix domain socket
	BackendStart                  time.Time
	BackendXmin                   string
	State, SyncState              string
	SyncPriority                  int
	Sent, Write, Flush, Replay    wal.LSN
	SlotName                      string
	WriteLag, FlushLag, ReplayLag time.Duration
	replayKnown                   bool
}

// IsStandby tells a hot standby, which replays WAL, from a client that only stores it, such as pg_receivewal.
func (r ReplicationClient) IsStandby() bool { return r.replayKnown }

const clientsSQL = `
	SELECT r.pid, coalesce(r.usename, ''), coalesce(r.application_name, ''), coalesce(host(r.client_addr), ''),
		coalesce(r.client_hostname, ''), coalesce(r.client_port, 0), coalesce(r.backend_start, 'epoch'),
		coalesce(r.backend_xmin::text, ''), coalesce(r.state, ''), coalesce(r.sync_state, ''), coalesce(r.sync_priority, 0),
		coalesce(r.sent_lsn, '0/0')::text, coalesce(r.write_lsn, '0/0')::text, coalesce(r.flush_lsn, '0/0')::text,
		coalesce(r.replay_lsn, '0/0')::text, r.replay_lsn IS NOT NULL, coalesce(s.slot_name, ''),
		coalesce(extract(epoch FROM r.write_lag), 0)::float8, coalesce(extract(epoch FROM r.flush_lag), 0)::float8,
		coalesce(extract(epoch FROM r.replay_lag), 0)::float8
	FROM pg_stat_replication r LEFT JOIN pg_replication_slots s ON r.pid = s.active_pid
	WHERE s.slot_type IS NULL OR s.slot_type = 'physical'
	ORDER BY r.sync_state DESC, r.sync_priority, r.pid`

// ReplicationStatus lists the replication clients. A role without monitoring privileges sees the clients without details.
func (c *Conn) ReplicationStatus(ctx context.Context) (*ReplicationStatus, error) {
	status := &ReplicationStatus{}
	batch := &pgx.Batch{}
	batch.Queue(`SELECT standby, coalesce(CASE WHEN standby THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, '0/0')::text
		FROM pg_is_in_recovery() AS standby`).QueryRow(func(row pgx.Row) error {
		var lsn string
		err := row.Scan(&status.InRecovery, &lsn)
		if err == nil {
			status.CurrentLSN, err = wal.ParseLSN(lsn)
		}
		return err
	})
	batch.Queue(clientsSQL).Query(func(rows pgx.Rows) (err error) {
		status.Clients, err = pgx.CollectRows(rows, scanClient)
		return err
	})
	if err := c.batch(ctx, "read pg_stat_replication", batch); err != nil {
		return nil, err
	}
	return status, nil
}

func scanClient(row pgx.CollectableRow) (ReplicationClient, error) {
	var r ReplicationClient
	var sent, write, flush, replay string
	var writeLag, flushLag, replayLag float64
	err := row.Scan(&r.PID, &r.User, &r.ApplicationName, &r.ClientAddress, &r.ClientHostname, &r.ClientPort, &r.BackendStart,
		&r.BackendXmin, &r.State, &r.SyncState, &r.SyncPriority, &sent, &write, &flush, &replay, &r.replayKnown, &r.SlotName,
		&writeLag, &flushLag, &replayLag)
	if err != nil {
		return r, err
	}
	for _, at := range []struct {
		to   *wal.LSN
		text string
	}{{&r.Sent, sent}, {&r.Write, write}, {&r.Flush, flush}, {&r.Replay, replay}} {
		if *at.to, err = wal.ParseLSN(at.text); err != nil {
			return r, err
		}
	}
	r.WriteLag, r.FlushLag, r.ReplayLag = seconds(writeLag), seconds(flushLag), seconds(replayLag)
	return r, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
