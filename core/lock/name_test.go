package lock

import (
	"fmt"
	"strings"
	"testing"
)

const id = "20250131T020000"

// names is every lock that Python Barman knows, as it spells them.
var names = []struct {
	name  Name
	file  string
	waits bool
}{
	{ForConfigUpdate(), ".config-update.lock", false},
	{ForServer(Cron, "main"), ".main-cron.lock", false},
	{ForServer(Backup, "main"), ".main-backup.lock", false},
	{ForBackup(BackupID, "main", id), ".main-20250131T020000.lock", false},
	{ForServer(ArchiveWAL, "main"), ".main-archive-wal.lock", false},
	{ForServer(ReceiveWAL, "main"), ".main-receive-wal.lock", false},
	{ForServer(XLogDB, "main"), ".main-xlogdb.lock", true},
	{ForBackup(SyncBackup, "main", id), ".main-20250131T020000-sync-backup.lock", false},
	{ForServer(SyncWAL, "main"), ".main-sync-wal.lock", true},
}

func TestLockFilesAreThoseOfPython(t *testing.T) {
	if len(names) != len(kinds) {
		t.Errorf("%d names tested, %d kinds exist", len(names), len(kinds))
	}
	for _, tt := range names {
		file, err := tt.name.File()
		if err != nil || file != tt.file || tt.name.Waits() != tt.waits {
			t.Errorf("%s: file %q, waits %v, %v", tt.name, file, tt.name.Waits(), err)
		}
		if parsed, ok := Parse(tt.file, tt.name.Server); !ok || parsed != tt.name {
			t.Errorf("Parse(%q) = %+v, %v", tt.file, parsed, ok)
		}
		if !looksLikeLock(tt.file) {
			t.Errorf("%q does not look like a lock", tt.file)
		}
	}
}

func TestFileRefusesWrongParts(t *testing.T) {
	for _, name := range []Name{
		{},
		{Kind: 99, Server: "main"},
		ForServer(Backup, ""), ForServer(BackupID, "main"), ForBackup(Backup, "main", id),
		ForServer(Backup, "../main"), ForServer(Backup, "a\x00b"), ForBackup(BackupID, "main", "../../etc"),
		ForBackup(BackupID, "main", "20250131T02000"),
		{Kind: ConfigUpdate, Server: "main"},
	} {
		if file, err := name.File(); err == nil {
			t.Errorf("%+v: %q", name, file)
		}
	}
}

func TestParseKeepsServersApart(t *testing.T) {
	for _, tt := range []struct{ file, server string }{
		{".pg-x-backup.lock", "pg"},
		{".pg-x-20250131T020000.lock", "pg"},
		{".pg-receive-wal-cron.lock", "pg"},
		{".pg-backup.lock", "pg-backup"},
		{".pgx-backup.lock", "pg"},
		{".pg-sync-backup.lock", "pg"},
		{".pg-20250131T020000-.lock", "pg"},
		{".pg-20250131T020000sync-backup.lock", "pg"},
		{".pg-20250131X020000.lock", "pg"},
		{".pg-backup.lock.old", "pg"},
		{"pg-backup.lock", "pg"},
		{".pg-.lock", "pg"},
		{".pg.lock", "pg"},
		{".lock", ""},
		{".pg-backup.lock", ""},
	} {
		if name, ok := Parse(tt.file, tt.server); ok {
			t.Errorf("Parse(%q, %q) = %+v", tt.file, tt.server, name)
		}
	}
	if _, ok := Parse(".pg-x-backup.lock", "pg-x"); !ok {
		t.Error("pg-x does not get its own lock")
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range names {
		f.Add(tt.file, tt.name.Server)
	}
	f.Add(".a-20250131T020000-backup.lock", "a-20250131T020000")
	f.Fuzz(func(t *testing.T, file, server string) {
		name, ok := Parse(file, server)
		if !ok || strings.ContainsAny(server, "/\x00") {
			return
		}
		if back, err := name.File(); err != nil || back != file {
			t.Errorf("Parse(%q, %q) = %+v, whose file is %q, %v", file, server, name, back, err)
		}
		if !looksLikeLock(file) {
			t.Errorf("%q does not look like a lock", file)
		}
	})
}

func TestParseLockLine(t *testing.T) {
	const inode = "fe:00:131"
	for line, want := range map[string]string{
		"1: FLOCK  ADVISORY  WRITE 4711 fe:00:131 0 EOF":    "4711 WRITE",
		"1: FLOCK  ADVISORY  READ 4711 fe:00:131 0 EOF":     "4711 READ",
		"1: -> FLOCK  ADVISORY  WRITE 4711 fe:00:131 0 EOF": "0 ",
		"1: POSIX  ADVISORY  WRITE 4711 fe:00:131 0 EOF":    "0 ",
		"1: FLOCK  ADVISORY  WRITE 4711 fe:00:1310 0 EOF":   "0 ",
		"1: FLOCK  ADVISORY  WRITE 0 fe:00:131 0 EOF":       "0 ",
		"1: FLOCK  ADVISORY  WRITE -1 fe:00:131 0 EOF":      "0 ",
		"": "0 ",
	} {
		pid, mode := parseLockLine(line, inode)
		if got := fmt.Sprintf("%d %s", pid, mode); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}
