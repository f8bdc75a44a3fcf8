package postgres

import (
	"fmt"
	"strconv"
	"strings"
)

// MinimumVersion is the oldest server that can be used, in the form of server_version_num.
const MinimumVersion = 100000

// Version is a server's version.
type Version struct {
	// Num is major*10000 + minor, as libpq's PQserverVersion and backup.info have it: 150018 is 15.18.
	Num int
	// Text is what the server calls itself: "15.18", "18beta1", and for EDB Advanced Server "15.4.0".
	Text string
}

// Major returns the major version, such as 15.
func (v Version) Major() int { return v.Num / 10000 }

// String returns the text.
func (v Version) String() string { return v.Text }

// parseVersion reads the parameter server_version: "15.18 (Debian 15.18-0+deb12u1)", "17devel", "16beta2".
func parseVersion(parameter string) (Version, error) {
	text, _, _ := strings.Cut(parameter, " ")
	first, rest, _ := strings.Cut(text, ".")
	digits := len(first) - len(strings.TrimLeft(first, "0123456789"))
	major, err := strconv.Atoi(first[:digits])
	if err != nil || major > 1000 {
		return Version{}, fmt.Errorf("cannot read the server's version %q", parameter)
	}
	end := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
	minor, _ := strconv.Atoi(rest[:end]) // "17devel" has none
	if major < 10 {                      // 9.6.24 had two-part major versions
		return Version{Num: major*10000 + minor*100, Text: text}, nil
	}
	return Version{Num: major*10000 + minor, Text: text}, nil
}

// versionText takes the second word of version(), as Barman does: "PostgreSQL 15.18 (Debian …) on x86_64…". EDB's server
// counts one part more than the community's; that part is dropped.
func versionText(full string) string {
	words := strings.Fields(full)
	if len(words) < 2 {
		return ""
	}
	if words[0] == "EnterpriseDB" {
		if i := strings.LastIndexByte(words[1], '.'); i > 0 {
			return words[1][:i]
		}
	}
	return words[1]
}

// dialect is the SQL that is not the same in all versions.
type dialect struct {
	// since is the first major version it is for.
	since int
	// start begins a concurrent backup: $1 label, $2 fast → lsn, now. stop ends it → lsn, label file, tablespace map, now, and
	// whether PostgreSQL has waited for archiving where it has to.
	start, stop string
	// mayBackup is a boolean expression: the EXECUTE privileges that a backup needs.
	mayBackup string
	// mayCheckpoint is a boolean expression besides being superuser.
	mayCheckpoint string
	// exclusive tells whether the exclusive backup exists.
	exclusive bool
	// sessionTimeouts are settings that could end a session in the middle of a backup, or one of its statements.
	sessionTimeouts []string
	// segmentSize is an expression in bytes over pg_settings.
	segmentSize string
	// slotWALStatus is the column of pg_replication_slots that tells whether the slot's WAL is still there.
	slotWALStatus string
	// slotSafeSize is the column that tells how much WAL may still be written before the slot loses some.
	slotSafeSize string
}

// dialects is the table of all differences, newest first.
var dialects = []dialect{
	{
		since:           17,
		start:           startNew,
		stop:            stopNew,
		mayBackup:       mayBackupNew,
		mayCheckpoint:   "pg_has_role('pg_checkpoint', 'usage')",
		sessionTimeouts: []string{"statement_timeout", "lock_timeout", "idle_session_timeout", "transaction_timeout"},
		segmentSize:     segmentSizeBytes,
		slotWALStatus:   "wal_status",
		slotSafeSize:    "safe_wal_size",
	},
	{
		since:           15,
		start:           startNew,
		stop:            stopNew,
		mayBackup:       mayBackupNew,
		mayCheckpoint:   "pg_has_role('pg_checkpoint', 'usage')",
		sessionTimeouts: []string{"statement_timeout", "lock_timeout", "idle_session_timeout"},
		segmentSize:     segmentSizeBytes,
		slotWALStatus:   "wal_status",
		slotSafeSize:    "safe_wal_size",
	},
	{
		since:           14,
		start:           startOld,
		stop:            stopOld,
		mayBackup:       mayBackupOld,
		mayCheckpoint:   "false",
		exclusive:       true,
		sessionTimeouts: []string{"statement_timeout", "lock_timeout", "idle_session_timeout"},
		segmentSize:     segmentSizeBytes,
		slotWALStatus:   "wal_status",
		slotSafeSize:    "safe_wal_size",
	},
	{
		since:           13,
		start:           startOld,
		stop:            stopOld,
		mayBackup:       mayBackupOld,
		mayCheckpoint:   "false",
		exclusive:       true,
		sessionTimeouts: []string{"statement_timeout", "lock_timeout"},
		segmentSize:     segmentSizeBytes,
		slotWALStatus:   "wal_status",
		slotSafeSize:    "safe_wal_size",
	},
	{
		since:           11,
		start:           startOld,
		stop:            stopOldest,
		mayBackup:       mayBackupOld,
		mayCheckpoint:   "false",
		exclusive:       true,
		sessionTimeouts: []string{"statement_timeout", "lock_timeout"},
		segmentSize:     segmentSizeBytes,
		slotWALStatus:   "NULL",
		slotSafeSize:    "NULL::bigint",
	},
	{
		since:           10,
		start:           startOld,
		stop:            stopOldest,
		mayBackup:       mayBackupOld,
		mayCheckpoint:   "false",
		exclusive:       true,
		sessionTimeouts: []string{"statement_timeout", "lock_timeout"},
		segmentSize:     segmentSizeBlocks,
		slotWALStatus:   "NULL",
		slotSafeSize:    "NULL::bigint",
	},
}

const (
	// now() is the time at which the call began: before the checkpoint, and before any wait for archiving.
	startNew = "SELECT pg_backup_start($1::text, $2::boolean)::text, now()"
	startOld = "SELECT pg_start_backup($1::text, $2::boolean, false)::text, now()"
	stopNew  = "SELECT " + stopColumns + ", waits FROM (" + stopWaits + ") AS s, pg_backup_stop(waits)"
	stopOld  = "SELECT " + stopColumns + ", waits FROM (" + stopWaits + ") AS s, pg_stop_backup(false, waits)"
	// pg_ls_archive_statusdir came with PostgreSQL 12.
	stopOldest = "SELECT " + stopColumns + ", true FROM pg_stop_backup(false)"

	stopColumns = "lsn::text, coalesce(labelfile, ''), coalesce(spcmapfile, ''), now()"
	// A standby waits for its primary, too; that only PostgreSQL can do.
	stopWaits = "SELECT pg_is_in_recovery() OR NOT has_function_privilege('pg_ls_archive_statusdir()', 'execute') AS waits"

	mayBackupNew = `has_function_privilege('pg_backup_start(text,bool)', 'execute')
		AND has_function_privilege('pg_backup_stop(bool)', 'execute')`
	mayBackupOld = `has_function_privilege('pg_start_backup(text,bool,bool)', 'execute')
		AND (has_function_privilege('pg_stop_backup()', 'execute') OR has_function_privilege('pg_stop_backup(bool,bool)', 'execute'))`

	segmentSizeBytes  = "(SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size')"
	segmentSizeBlocks = `(SELECT s.setting::bigint * b.setting::bigint FROM pg_settings s, pg_settings b
		WHERE s.name = 'wal_segment_size' AND b.name = 'wal_block_size')`
)

// dialectOf returns the SQL for a version: that of the newest table entry which is not newer.
func dialectOf(v Version) dialect {
	for _, d := range dialects {
		if v.Major() >= d.since {
			return d
		}
	}
	return dialects[len(dialects)-1]
}
