package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/barman-go/barman/core/wal"
)

// Facts is what the server told about itself at one moment. What the role may not see is empty, zero or nil.
type Facts struct {
	// Version has the text from version(), as Barman prints it.
	Version Version
	// Now is the server's clock.
	Now time.Time
	// InRecovery tells a standby, or a server that is still recovering, from a primary.
	InRecovery bool
	// SystemID is the cluster's system identifier.
	SystemID wal.SystemID
	// Timeline is that of the last checkpoint (pg_control_checkpoint).
	Timeline wal.TimelineID
	// SegmentSize is the size of a WAL segment in bytes.
	SegmentSize wal.SegmentSize
	// CurrentLSN is the write position of a primary, and the replay position of a standby; 0 when unknown.
	CurrentLSN wal.LSN
	// CurrentWAL is the name of the segment of CurrentLSN; empty on a standby.
	CurrentWAL string

	// DataDirectory and the configuration files are absolute paths on the server's host.
	DataDirectory, ConfigFile, HBAFile, IdentFile string
	// IncludedFiles are the other files that settings came from, sorted; postgresql.auto.conf among them.
	IncludedFiles []string
	// Tablespaces are those outside pg_default and pg_global, sorted by OID.
	Tablespaces []Tablespace
	// ClusterSize is the sum of all tablespaces in bytes; nil when it was not asked for or is not allowed.
	ClusterSize *int64

	// Privileges are those of the session's role.
	Privileges Privileges
	// Slot is the state of the replication slot that was asked for; nil when there is none.
	Slot *Slot
	// Archiver is nil when the role cannot see it.
	Archiver *Archiver

	settings map[string]string
}

// Tablespace is one tablespace with a location of its own.
type Tablespace struct {
	Name     string
	OID      uint32
	Location string
}

// Privileges tell what the session's role may do.
type Privileges struct {
	Superuser bool
	// Backup: may read all settings and statistics, and execute the backup functions.
	Backup bool
	// Monitoring: may read all settings and statistics.
	Monitoring bool
	// Checkpoint: may run CHECKPOINT (superuser, or a member of pg_checkpoint from PostgreSQL 15).
	Checkpoint bool
}

// Slot is a replication slot.
type Slot struct {
	Name string
	// Type is "physical" or "logical".
	Type string
	// Active tells whether a process uses it now.
	Active bool
	// RestartLSN is the oldest WAL that the slot keeps; 0 when nobody has ever used the slot.
	RestartLSN wal.LSN
	// WALStatus is "reserved", "extended", "unreserved" or "lost" from PostgreSQL 13, and empty before.
	WALStatus string
	// Retained is the WAL that the server has written since RestartLSN, in bytes; 0 when nobody has ever used the slot. A
	// standby counts what it has received.
	Retained int64
	// Safe is how much more WAL may be written before the slot loses some, in bytes; negative when the next checkpoint may
	// remove it. nil means that the server sets no limit (max_slot_wal_keep_size, from PostgreSQL 13), or that it is lost.
	Safe *int64
}

// Setting returns a setting as SHOW prints it ("5min", "16MB"), and whether it is known: it exists in this version and the
// role may see it.
func (f *Facts) Setting(name string) (string, bool) {
	value, ok := f.settings[name]
	return value, ok
}

// DataChecksums returns "on" or "off", or an empty string when unknown, as backup.info records it.
func (f *Facts) DataChecksums() string { return f.settings["data_checksums"] }

// SummarizeWAL returns "on" or "off", or an empty string before PostgreSQL 17.
func (f *Facts) SummarizeWAL() string { return f.settings["summarize_wal"] }

// SynchronousStandbyNames returns the names in the setting of that name; one empty name when it is empty.
func (f *Facts) SynchronousStandbyNames() []string {
	return splitStandbyNames(f.settings["synchronous_standby_names"])
}

// FactsOptions choose what costs something.
type FactsOptions struct {
	// Slot is the name of a replication slot to look up.
	Slot string
	// ClusterSize asks for the cluster's size, which makes the server visit every file.
	ClusterSize bool
}

// settingNames are the settings that Facts reads: those of the show-servers and status commands, of the checks, and of
// backup.info.
var settingNames = []string{
	"archive_command", "archive_library", "archive_mode", "archive_timeout", "checkpoint_timeout", "data_checksums",
	"full_page_writes", "hot_standby", "max_replication_slots", "max_wal_senders", "server_version", "server_version_num",
	"summarize_wal", "synchronous_standby_names", "wal_compression", "wal_keep_segments", "wal_keep_size", "wal_level",
	"wal_log_hints",
}

// Facts asks the server for everything at once, in one round trip.
func (c *Conn) Facts(ctx context.Context, options FactsOptions) (*Facts, error) {
	facts := &Facts{Version: c.version, settings: map[string]string{}}
	batch := &pgx.Batch{}
	c.queueIdentity(batch, facts, options)
	queueSettings(batch, facts)
	queueTablespaces(batch, facts)
	c.queueSlot(batch, facts, options.Slot)
	queueArchiver(batch, &facts.Archiver)
	if err := c.batch(ctx, "read the server's settings and state", batch); err != nil {
		return nil, err
	}
	return facts, nil
}

// SQL expressions over the session's role. The members of pg_monitor have both of the other roles.
const (
	isSuperuser  = "(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"
	mayMonitor   = "(pg_has_role('pg_read_all_settings', 'usage') AND pg_has_role('pg_read_all_stats', 'usage'))"
	mayBackupAll = `has_function_privilege('pg_switch_wal()', 'execute')
		AND has_function_privilege('pg_create_restore_point(text)', 'execute')`
)

func (c *Conn) queueIdentity(batch *pgx.Batch, facts *Facts, options FactsOptions) {
	sql := fmt.Sprintf(`
		WITH role AS (SELECT super, super OR monitor AS monitor, super OR (monitor AND backup) AS backup, super OR checkpoint AS checkpoint
			FROM (SELECT %s AS super, %s AS monitor, (%s AND %s) AS backup, %s AS checkpoint) AS has)
		SELECT version(), now(), pg_is_in_recovery(), (SELECT system_identifier::text FROM pg_control_system()),
			(SELECT timeline_id FROM pg_control_checkpoint()), %s,
			coalesce(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, '0/0')::text,
			coalesce(CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(pg_current_wal_lsn()) END, ''),
			super, backup, monitor, checkpoint,
			CASE WHEN backup AND $1 THEN (SELECT sum(pg_tablespace_size(oid))::bigint FROM pg_tablespace) END
		FROM role`,
		isSuperuser, mayMonitor, c.dialect.mayBackup, mayBackupAll, c.dialect.mayCheckpoint, c.dialect.segmentSize)
	batch.Queue(sql, options.ClusterSize).QueryRow(func(row pgx.Row) error {
		var full, id, lsn, file string
		p := &facts.Privileges
		err := row.Scan(&full, &facts.Now, &facts.InRecovery, &id, (*uint32)(&facts.Timeline), (*uint64)(&facts.SegmentSize),
			&lsn, &file, &p.Superuser, &p.Backup, &p.Monitoring, &p.Checkpoint, &facts.ClusterSize)
		if err != nil {
			return err
		}
		if facts.SystemID, err = wal.ParseSystemID(id); err != nil {
			return err
		}
		if text := versionText(full); text != "" {
			facts.Version.Text = text
		}
		if facts.CurrentLSN, err = wal.ParseLSN(lsn); err != nil {
			return err
		}
		facts.CurrentWAL, err = endingSegment(file, facts.CurrentLSN, facts.SegmentSize)
		return err
	})
}

// queueSettings reads pg_settings once, for the settings and for the files that they came from: each look at it makes the server compute
// all of its settings.
func queueSettings(batch *pgx.Batch, facts *Facts) {
	paths := map[string]*string{
		"data_directory": &facts.DataDirectory, "config_file": &facts.ConfigFile,
		"hba_file": &facts.HBAFile, "ident_file": &facts.IdentFile,
	}
	names := slices.AppendSeq(slices.Clone(settingNames), maps.Keys(paths))
	// It hides what the role may not see, so current_setting is never called on a forbidden one.
	sql := `SELECT name, wanted, CASE WHEN wanted THEN coalesce(current_setting(name), '') ELSE '' END, coalesce(sourcefile, '')
		FROM (SELECT name, name = ANY($1::text[]) AS wanted, sourcefile FROM pg_settings) AS s WHERE wanted OR sourcefile IS NOT NULL`
	batch.Queue(sql, names).Query(func(rows pgx.Rows) error {
		var name, value, source string
		var wanted bool
		sources := map[string]bool{}
		_, err := pgx.ForEachRow(rows, []any{&name, &wanted, &value, &source}, func() error {
			sources[source] = true
			if wanted {
				facts.settings[name] = value
			}
			if path := paths[name]; path != nil {
				*path = value
			}
			return nil
		})
		delete(sources, "")
		delete(sources, facts.ConfigFile)
		facts.IncludedFiles = slices.Sorted(maps.Keys(sources))
		return err
	})
}

func queueTablespaces(batch *pgx.Batch, facts *Facts) {
	sql := `SELECT spcname, oid, pg_tablespace_location(oid) FROM pg_tablespace
		WHERE pg_tablespace_location(oid) <> '' ORDER BY oid`
	batch.Queue(sql).Query(func(rows pgx.Rows) (err error) {
		facts.Tablespaces, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Tablespace])
		return err
	})
}

func (c *Conn) queueSlot(batch *pgx.Batch, facts *Facts, name string) {
	if name == "" {
		return
	}
	sql := fmt.Sprintf(`SELECT slot_name, slot_type, active, coalesce(restart_lsn, '0/0')::text, coalesce(%s, ''), %s,
			coalesce(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
				ELSE pg_current_wal_lsn() END, restart_lsn), 0)::bigint
		FROM pg_replication_slots WHERE slot_name = $1`, c.dialect.slotWALStatus, c.dialect.slotSafeSize)
	batch.Queue(sql, name).Query(func(rows pgx.Rows) error {
		var slot Slot
		var lsn string
		columns := []any{&slot.Name, &slot.Type, &slot.Active, &lsn, &slot.WALStatus, &slot.Safe, &slot.Retained}
		_, err := pgx.ForEachRow(rows, columns, func() (err error) {
			slot.RestartLSN, err = wal.ParseLSN(lsn)
			found := slot
			facts.Slot = &found
			return err
		})
		return err
	})
}
