package lock

import (
	"fmt"
	"strings"
)

// Kind is what a lock protects.
type Kind int

// Kinds, in the order in which they may be nested.
const (
	// ConfigUpdate protects the configuration changes of all servers.
	ConfigUpdate Kind = iota + 1
	// Cron is held by the maintenance of one server while it runs.
	Cron
	// Backup is held by a base backup from its first hook to its end, and by the deletion of backups.
	Backup
	// BackupID is held by whoever changes one backup: check-backup, deletion, retention. Restores share it.
	BackupID
	// SyncBackup is held while a passive node copies one backup.
	SyncBackup
	// ReceiveWAL is held by the process that streams WAL, for its whole life.
	ReceiveWAL
	// ArchiveWAL is held while files move from incoming or streaming into the archive.
	ArchiveWAL
	// SyncWAL is held while a passive node copies WAL.
	SyncWAL
	// XLogDB is held while the list of archived WAL files is read or written.
	XLogDB
)

// kinds is the table of lock files: .SERVER-suffix.lock, .SERVER-ID-suffix.lock or .SERVER-ID.lock.
var kinds = []struct {
	kind   Kind
	suffix string
	// perServer and perBackup say what the name contains.
	perServer, perBackup bool
	// waits says that commands wait for this lock instead of giving up.
	waits bool
}{
	{kind: ConfigUpdate, suffix: "config-update"},
	{kind: Cron, suffix: "cron", perServer: true},
	{kind: Backup, suffix: "backup", perServer: true},
	{kind: BackupID, perServer: true, perBackup: true},
	{kind: SyncBackup, suffix: "sync-backup", perServer: true, perBackup: true},
	{kind: ReceiveWAL, suffix: "receive-wal", perServer: true},
	{kind: ArchiveWAL, suffix: "archive-wal", perServer: true},
	{kind: SyncWAL, suffix: "sync-wal", perServer: true, waits: true},
	{kind: XLogDB, suffix: "xlogdb", perServer: true, waits: true},
}

// String is the part of the file name that stands for the kind; "backup-id" for BackupID, which has none.
func (k Kind) String() string {
	for _, row := range kinds {
		if row.kind == k && row.suffix != "" {
			return row.suffix
		}
	}
	if k == BackupID {
		return "backup-id"
	}
	return fmt.Sprintf("kind %d", int(k))
}

// Name is one lock. Make it with one of the For functions or Parse.
type Name struct {
	Kind Kind
	// Server is empty for ConfigUpdate only.
	Server string
	// BackupID is set for BackupID and SyncBackup only.
	BackupID string
}

// ForConfigUpdate is the lock of the configuration changes.
func ForConfigUpdate() Name { return Name{Kind: ConfigUpdate} }

// ForServer is a lock of a server that is not about one backup: Cron, Backup, ReceiveWAL, ArchiveWAL, SyncWAL or
// XLogDB.
func ForServer(kind Kind, server string) Name { return Name{Kind: kind, Server: server} }

// ForBackup is a lock about one backup: BackupID or SyncBackup.
func ForBackup(kind Kind, server, backupID string) Name {
	return Name{Kind: kind, Server: server, BackupID: backupID}
}

// Waits tells whether commands wait for this lock: true for XLogDB and SyncWAL.
func (n Name) Waits() bool {
	for _, row := range kinds {
		if row.kind == n.Kind {
			return row.waits
		}
	}
	return false
}

// File is the name of the lock file, without directory. It is an error when the parts that the kind needs are missing
// or too many, or could leave the directory: server names come from a configuration, and backup ids from a command
// line.
func (n Name) File() (string, error) {
	for _, row := range kinds {
		if row.kind != n.Kind {
			continue
		}
		if row.perServer != (n.Server != "") || row.perBackup != (n.BackupID != "") {
			return "", fmt.Errorf("lock %s of server %q, backup %q: wrong parts for this kind", n.Kind, n.Server, n.BackupID)
		}
		if strings.ContainsAny(n.Server, "/\x00") || (n.BackupID != "" && !isBackupID(n.BackupID)) {
			return "", fmt.Errorf("lock %s of server %q, backup %q: not a possible name", n.Kind, n.Server, n.BackupID)
		}
		var parts []string
		for _, part := range []string{n.Server, n.BackupID, row.suffix} {
			if part != "" {
				parts = append(parts, part)
			}
		}
		return "." + strings.Join(parts, "-") + ".lock", nil
	}
	return "", fmt.Errorf("unknown kind of lock %d", int(n.Kind))
}

// String describes the lock in messages.
func (n Name) String() string {
	switch {
	case n.Server == "":
		return n.Kind.String()
	case n.Kind == BackupID:
		return fmt.Sprintf("backup %s of server %s", n.BackupID, n.Server)
	case n.BackupID != "":
		return fmt.Sprintf("%s of backup %s of server %s", n.Kind, n.BackupID, n.Server)
	}
	return fmt.Sprintf("%s of server %s", n.Kind, n.Server)
}

// Parse reads the name of a lock file of the given server, or of ConfigUpdate when server is empty. ok is false for
// every other file, in particular for those of a server whose name only begins like this one's: ".pg-x-backup.lock"
// is not pg's.
func Parse(file, server string) (n Name, ok bool) {
	body, ok := cutLockFile(file)
	if !ok {
		return Name{}, false
	}
	if server == "" {
		return Name{Kind: ConfigUpdate}, body == ConfigUpdate.String()
	}
	rest, ok := strings.CutPrefix(body, server+"-")
	if !ok {
		return Name{}, false
	}
	n, ok = parseRest(rest)
	n.Server = server
	return n, ok
}

// cutLockFile strips the dot in front and the suffix.
func cutLockFile(file string) (body string, ok bool) {
	body, hidden := strings.CutPrefix(file, ".")
	body, isLock := strings.CutSuffix(body, ".lock")
	return body, hidden && isLock && body != ""
}

// parseRest reads what follows the server's name.
func parseRest(rest string) (Name, bool) {
	id, tail := "", "-"+rest
	if len(rest) >= backupIDLen && isBackupID(rest[:backupIDLen]) {
		id, tail = rest[:backupIDLen], rest[backupIDLen:]
	}
	for _, row := range kinds {
		want := "-" + row.suffix
		if row.suffix == "" {
			want = ""
		}
		if row.perServer && row.perBackup == (id != "") && tail == want {
			return Name{Kind: row.kind, BackupID: id}, true
		}
	}
	return Name{}, false
}

const backupIDLen = len("20250131T235959")

// isBackupID tells whether s has the form of a backup id: eight digits, T, six digits.
func isBackupID(s string) bool {
	if len(s) != backupIDLen {
		return false
	}
	for i := range len(s) {
		if (i == 8) != (s[i] == 'T') || (i != 8 && (s[i] < '0' || s[i] > '9')) {
			return false
		}
	}
	return true
}
