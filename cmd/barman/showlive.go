package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/barman-go/barman/core/pattern"
	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/sdk/toolexec"
)

// showLive adds what the PostgreSQL server, and the tools that work with it, say about themselves.
func (s *server) showLive(ctx context.Context, v values) {
	facts, err := s.facts(ctx)
	if err != nil {
		s.log.Warn("cannot ask PostgreSQL for its settings", "server", s.Name, "error", err)
	}
	s.showFacts(v, facts)
	if s.BackupMethod == "postgres" || s.StreamingArchiver {
		s.showStreaming(ctx, v)
	}
	if s.StreamingArchiver {
		s.showReceiver(v, facts)
	}
	if s.Archiver {
		showArchiver(v, facts)
	}
	if s.BackupMethod == "postgres" {
		s.showBasebackup(ctx, v, facts)
	}
}

// showFacts adds what the SQL connection tells; facts is nil when there is none.
func (s *server) showFacts(v values, facts *postgres.Facts) {
	v.none("data_directory", "server_txt_version", "is_superuser", "is_in_recovery", "current_xlog", "replication_slot_support",
		"replication_slot", "synchronous_standby_names", "postgres_systemid", "version_supported")
	if facts == nil {
		return
	}
	v.text("data_directory", facts.DataDirectory)
	v.set("server_txt_version", facts.Version.String())
	v.set("version_supported", true)
	v.set("replication_slot_support", true)
	v.set("is_superuser", facts.Privileges.Superuser)
	v.set("has_backup_privileges", facts.Privileges.Backup)
	v.set("has_monitoring_privileges", facts.Privileges.Monitoring)
	v.set("is_in_recovery", facts.InRecovery)
	v.text("current_xlog", facts.CurrentWAL)
	v.none("current_lsn", "current_size")
	if facts.CurrentLSN != 0 {
		v.set("current_lsn", facts.CurrentLSN.String())
	}
	if facts.ClusterSize != nil {
		v.set("current_size", *facts.ClusterSize)
	}
	if slot := facts.Slot; slot != nil {
		lsn := "None"
		if slot.RestartLSN != 0 {
			lsn = "'" + slot.RestartLSN.String() + "'"
		}
		v.set("replication_slot", fmt.Sprintf("Record(slot_name='%s', active=%s, restart_lsn=%s)", slot.Name, pythonBool(slot.Active), lsn))
	}
	v.set("synchronous_standby_names", facts.SynchronousStandbyNames())
	v.set("postgres_systemid", facts.SystemID.String())
	v.set("xlog_segment_size", int64(facts.SegmentSize))
	v.text("config_file", facts.ConfigFile)
	v.text("hba_file", facts.HBAFile)
	v.text("ident_file", facts.IdentFile)
	v.set("included_files", facts.IncludedFiles)
	settings := []string{
		"wal_level", "hot_standby", "max_wal_senders", "data_checksums", "max_replication_slots", "wal_compression",
		"archive_timeout", "checkpoint_timeout", "wal_keep_size",
	}
	if facts.Version.Major() < 13 {
		settings[len(settings)-1] = "wal_keep_segments"
	}
	for _, name := range settings {
		v.none(name)
		if value, ok := facts.Setting(name); ok {
			v.set(name, value)
		}
	}
}

// showStreaming adds what the replication connection tells.
func (s *server) showStreaming(ctx context.Context, v values) {
	v.none("connection_error", "streaming_supported", "streaming", "streaming_systemid", "timeline", "xlogpos")
	if s.CheckTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.CheckTimeout)
		defer cancel()
	}
	id, err := s.askReplication(s.StreamingConnInfo)(ctx)
	if err != nil {
		v.set("connection_error", err.Error())
		return
	}
	v.set("streaming_supported", true)
	v.set("streaming", true)
	v.set("streaming_systemid", id.SystemID.String())
	v.set("timeline", int64(id.Timeline))
	v.set("xlogpos", id.Flushed.String())
}

// showReceiver adds the keys of the tool that Barman receives WAL with. Here that is a part of barman itself.
func (s *server) showReceiver(v values, facts *postgres.Facts) {
	v.set("pg_receivexlog_installed", true)
	v.set("pg_receivexlog_path", executable())
	v.set("pg_receivexlog_version", version)
	v.set("pg_receivexlog_supports_slots", true)
	v.none("pg_receivexlog_compatible", "pg_receivexlog_synchronous")
	if facts != nil {
		v.set("pg_receivexlog_compatible", true)
		names := facts.SynchronousStandbyNames()
		v.set("pg_receivexlog_synchronous", slices.Contains(names, "*") || slices.Contains(names, s.StreamingArchiverName))
	}
}

func showArchiver(v values, facts *postgres.Facts) {
	v.none("archive_mode", "archive_command")
	if facts == nil {
		return
	}
	for _, name := range []string{"archive_mode", "archive_command"} {
		if value, ok := facts.Setting(name); ok {
			v.set(name, value)
		}
	}
	a := facts.Archiver
	if a == nil {
		return
	}
	v.set("archived_count", a.ArchivedCount)
	v.text("last_archived_wal", a.LastArchivedWAL)
	v.set("last_archived_time", a.LastArchivedTime)
	v.set("failed_count", a.FailedCount)
	v.text("last_failed_wal", a.LastFailedWAL)
	v.set("last_failed_time", a.LastFailedTime)
	v.set("stats_reset", a.StatsReset)
	v.set("is_archiving", a.IsArchiving)
	v.set("current_archived_wals_per_second", a.WALsPerSecond)
}

var toolVersion = pattern.New(`\(PostgreSQL\) (\d+)(\S*)`)

// showBasebackup adds which pg_basebackup would be used: the first one that is not older than the server, or else the first.
func (s *server) showBasebackup(ctx context.Context, v values, facts *postgres.Facts) {
	v.set("pg_basebackup_installed", false)
	v.none("pg_basebackup_compatible", "pg_basebackup_tbls_mapping", "pg_basebackup_path", "pg_basebackup_bwlimit", "pg_basebackup_version")
	for i, path := range toolexec.Candidates("pg_basebackup", s.PathPrefix) {
		var out bytes.Buffer
		if _, err := toolexec.Run(ctx, toolexec.Command{Name: path, Args: []string{"--version"}, Stdout: &out}); err != nil {
			continue
		}
		m := toolVersion.FindStringSubmatch(out.String())
		if m == nil {
			continue
		}
		major, _ := strconv.Atoi(m[1])
		compatible := facts != nil && major >= facts.Version.Major()
		if i == 0 || compatible {
			v.set("pg_basebackup_installed", true)
			v.set("pg_basebackup_path", path)
			v.set("pg_basebackup_version", m[1]+m[2])
			v.set("pg_basebackup_bwlimit", true)
			v.set("pg_basebackup_tbls_mapping", true)
			if facts != nil {
				v.set("pg_basebackup_compatible", compatible)
			}
		}
		if compatible || facts == nil {
			return
		}
	}
}
