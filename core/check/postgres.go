package check

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/core/wal"
)

// Facts is what the checks look at of a PostgreSQL server. Settings are in the form of SHOW, and empty when the role may not see
// them.
type Facts struct {
	Version    postgres.Version
	InRecovery bool
	SystemID   wal.SystemID
	// DataDirectory is an absolute path on the server.
	DataDirectory                               string
	Privileges                                  postgres.Privileges
	WALLevel                                    string
	ArchiveMode, ArchiveCommand, ArchiveLibrary string
	// ExclusiveSince is when the exclusive backup began that the server has open; zero when it has none.
	ExclusiveSince time.Time
	// SegmentSize is that of the server's WAL.
	SegmentSize wal.SegmentSize
	// Slot is nil when there is no such replication slot, Archiver when the role may not see it.
	Slot     *postgres.Slot
	Archiver *postgres.Archiver
}

// AskSQL asks for the facts of a server in a session of its own. slot may be empty.
func AskSQL(info postgres.Conninfo, slot string) func(context.Context) (*Facts, error) {
	return func(ctx context.Context) (*Facts, error) {
		conn, err := postgres.Connect(ctx, info, "barman")
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		f, err := conn.Facts(ctx, postgres.FactsOptions{Slot: slot})
		if err != nil {
			return nil, err
		}
		since, err := conn.ExclusiveSince(ctx)
		if err != nil {
			return nil, err
		}
		setting := func(name string) string {
			value, _ := f.Setting(name)
			return value
		}
		return &Facts{
			Version: f.Version, InRecovery: f.InRecovery, SystemID: f.SystemID, DataDirectory: f.DataDirectory,
			ExclusiveSince: since, SegmentSize: f.SegmentSize, Privileges: f.Privileges, Slot: f.Slot, Archiver: f.Archiver, WALLevel: setting("wal_level"),
			ArchiveMode: setting("archive_mode"), ArchiveCommand: setting("archive_command"), ArchiveLibrary: setting("archive_library"),
		}, nil
	}
}

// AskReplication asks a server who it is in the replication protocol.
func AskReplication(info postgres.Conninfo) func(context.Context) (postgres.Identity, error) {
	return func(ctx context.Context) (postgres.Identity, error) {
		conn, err := postgres.ConnectReplication(ctx, info, "barman")
		if err != nil {
			return postgres.Identity{}, err
		}
		defer conn.Close()
		return conn.IdentifySystem(ctx)
	}
}

// known returns the answer of a probe that may not exist or may have failed.
func known[T any](a *answer[T]) (value T, ok bool) {
	if a == nil {
		return value, false
	}
	value, err := a.wait()
	return value, err == nil
}

// waitIf waits for a probe that may not exist.
func waitIf[T any](a *answer[T]) (value T, err error) {
	if a == nil {
		return value, nil
	}
	return a.wait()
}

func (c *Checker) postgres(r *rows, p *probes) {
	if p.sql == nil {
		r.fail("PostgreSQL", "conninfo is not set")
		return
	}
	facts, err := p.sql.wait()
	if err != nil {
		if errors.Is(err, postgres.ErrUnsupportedVersion) {
			err = fmt.Errorf("unsupported version: %w", err)
		}
		r.failed("PostgreSQL", err)
		c.streaming(r, p.streaming, "")
		return
	}
	r.ok("PostgreSQL", "")
	if facts.Privileges.Backup {
		r.ok("superuser or standard user with backup privileges", "")
	} else {
		r.fail("no access to backup functions", "privileges for PostgreSQL backup functions are required (see documentation)")
	}
	c.streaming(r, p.streaming, "")
	walLevel(r, facts, "")
	c.standby(r, p, facts)
}

// streaming adds the row of a replication connection, also when PostgreSQL itself could not be asked.
func (c *Checker) streaming(r *rows, a *answer[postgres.Identity], suffix string) {
	if a == nil {
		return
	}
	label := "PostgreSQL streaming" + suffix
	_, err := a.wait()
	switch {
	case errors.Is(err, postgres.ErrNotReplication):
		r.fail(label, hint(err)+"; set streaming_conninfo to a PostgreSQL server, not to a connection pooler")
	case err != nil:
		r.failed(label, err)
	default:
		r.ok(label, "")
	}
}

func walLevel(r *rows, facts *Facts, suffix string) {
	if facts.WALLevel != "" {
		r.test("wal_level"+suffix, facts.WALLevel != "minimal", "please set it to a higher level than 'minimal'")
	}
}

// standby adds the rows of a server that is backed up from a standby.
func (c *Checker) standby(r *rows, p *probes, facts *Facts) {
	if p.primary == nil {
		return
	}
	r.test(labelIsStandby, facts.InRecovery, "conninfo should point to a standby server if primary_conninfo is set")
	if !facts.InRecovery {
		return
	}
	const label = "Primary server is not a standby"
	primary, err := p.primary.wait()
	if err != nil {
		r.failed(label, err)
		return
	}
	r.test(label, !primary.InRecovery, "primary_conninfo should point to a primary server, not a standby")
	r.test("Primary and standby have same system ID", primary.SystemID == facts.SystemID,
		"primary_conninfo and conninfo should point to primary and standby servers which share the same system identifier")
}

const walSuffix = " (WAL streaming)"

// walStreaming adds the rows of the connections that WAL comes through.
func (c *Checker) walStreaming(r *rows, p *probes) {
	if p.walSQL == nil {
		if facts, ok := known(p.sql); ok {
			c.slot(r, facts, p.history, "")
		}
		return
	}
	facts, err := p.walSQL.wait()
	if err != nil {
		r.failed("PostgreSQL"+walSuffix, err)
		c.streaming(r, p.walStreaming, walSuffix)
		return
	}
	if facts.Privileges.Monitoring {
		r.ok("has monitoring privileges"+walSuffix, "")
	} else {
		r.fail("no access to monitoring functions", "privileges for PostgreSQL monitoring functions are required (see documentation)")
	}
	c.streaming(r, p.walStreaming, walSuffix)
	walLevel(r, facts, walSuffix)
	c.coherence(r, p.walSQL, p.walStreaming, walSuffix)
	c.slot(r, facts, p.history, walSuffix)
}
