package catalog

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/barman-go/barman/core/wal"
)

// fullInfo is a backup.info with every key, as Barman 3.17 writes it for a backup with rsync.
const fullInfo = `backup_label='START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nCHECKPOINT LOCATION: 0/2000060\nLABEL: Barman backup main 20260110T100000\n'
backup_name=weekly
begin_offset=40
begin_time=2026-01-10 10:00:00.123456+01:00
begin_wal=000000010000000000000002
begin_xlog=0/2000028
children_backup_ids=20260111T100000,20260112T100000
cluster_size=50000000
compression=None
config_file=/etc/postgresql/16/main/postgresql.conf
copy_stats={'total_time': 13.5, 'number_of_workers': 2, 'analysis_time_per_item': {'tbs1': 0.25, 'pgdata': 0.75}, 'copy_time_per_item': {'tbs1': 4.0, 'pgdata': 8.125}, 'serialized_copy_time_per_item': {'tbs1': 4.5, 'pgdata': 9.0}, 'analysis_time': 1.0, 'copy_time': 12.125, 'serialized_copy_time': 13.5}
data_checksums=on
deduplicated_size=0
encryption=None
end_offset=312
end_time=2026-01-10 10:05:00+01:00
end_wal=000000010000000000000003
end_xlog=0/3000138
error=None
hba_file=/etc/postgresql/16/main/pg_hba.conf
ident_file=/etc/postgresql/16/main/pg_ident.conf
included_files=['/etc/postgresql/16/main/conf.d/a.conf', "/etc/x'y.conf"]
mode=rsync-concurrent
parent_backup_id=None
pgdata=/var/lib/postgresql/16/main
server_name=main
size=40000000
status=DONE
summarize_wal=None
systemid=7000000000000000001
tablespaces=[('tbs1', 16387, '/srv/tbs1'), ("t'x", 16388, '/srv/t b')]
timeline=1
version=160002
xlog_segment_size=16777216
`

// ourFullInfo is the same backup as it is written here: without the one null that older versions refuse.
var ourFullInfo = strings.Replace(fullInfo, "encryption=None\n", "", 1)

func parsedFullInfo() *BackupInfo {
	cet := time.FixedZone("", 3600)
	return &BackupInfo{
		ID: "20260110T100000",
		BackupLabel: "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nCHECKPOINT LOCATION: 0/2000060\n" +
			"LABEL: Barman backup main 20260110T100000\n",
		BackupName:  "weekly",
		BeginOffset: Int(40),
		BeginTime:   time.Date(2026, 1, 10, 10, 0, 0, 123456000, cet),
		BeginWAL:    wal.Segment{Timeline: 1, Seg: 2},
		BeginLSN:    0x2000028,
		ChildrenIDs: []string{"20260111T100000", "20260112T100000"},
		ClusterSize: Int(50000000),
		ConfigFile:  "/etc/postgresql/16/main/postgresql.conf",
		CopyStats: CopyStats{
			TotalTime: 13.5, CopyTime: 12.125, AnalysisTime: 1, SerializedCopyTime: 13.5, NumberOfWorkers: 2,
			AnalysisTimePerItem:       []ItemTime{{"tbs1", 0.25}, {"pgdata", 0.75}},
			CopyTimePerItem:           []ItemTime{{"tbs1", 4}, {"pgdata", 8.125}},
			SerializedCopyTimePerItem: []ItemTime{{"tbs1", 4.5}, {"pgdata", 9}},
		},
		DataChecksums:    "on",
		DeduplicatedSize: Int(0),
		EndOffset:        Int(312),
		EndTime:          time.Date(2026, 1, 10, 10, 5, 0, 0, cet),
		EndWAL:           wal.Segment{Timeline: 1, Seg: 3},
		EndLSN:           0x3000138,
		HBAFile:          "/etc/postgresql/16/main/pg_hba.conf",
		IdentFile:        "/etc/postgresql/16/main/pg_ident.conf",
		IncludedFiles:    []string{"/etc/postgresql/16/main/conf.d/a.conf", "/etc/x'y.conf"},
		Mode:             ModeRsyncConcurrent,
		PGData:           "/var/lib/postgresql/16/main",
		ServerName:       "main",
		Size:             Int(40000000),
		Status:           StatusDone,
		SystemID:         "7000000000000000001",
		Tablespaces:      []Tablespace{{"tbs1", 16387, "/srv/tbs1"}, {"t'x", 16388, "/srv/t b"}},
		Timeline:         1,
		Version:          160002,
		SegmentSize:      wal.DefaultSegmentSize,
	}
}

// newCatalog is an empty catalog of a server called main.
func newCatalog(t testing.TB) *Catalog {
	t.Helper()
	c := New(DefaultLayout(t.TempDir(), "main"))
	c.local = time.UTC
	for _, dir := range c.Layout.Directories() {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// usable is a backup of status DONE whose segments are begin … end of timeline 1.
func usable(id string, begin, end uint32) *BackupInfo {
	return onTimeline(1, id, begin, end)
}

func onTimeline(tli wal.TimelineID, id string, begin, end uint32) *BackupInfo {
	b := NewBackupInfo(id, "main", ModeRsyncConcurrent)
	b.Status = StatusDone
	b.Timeline = tli
	b.BeginWAL = wal.Segment{Timeline: tli, Seg: begin}
	b.EndWAL = wal.Segment{Timeline: tli, Seg: end}
	return b
}

func withStatus(b *BackupInfo, s Status) *BackupInfo {
	b.Status = s
	return b
}

// processLock stands for the xlogdb lock where one process is enough.
func processLock() LockFunc {
	var mu sync.Mutex
	return func(context.Context) (func() error, error) {
		mu.Lock()
		return func() error { mu.Unlock(); return nil }, nil
	}
}

func newIndex(c *Catalog) *WALIndex { return NewWALIndex(c.Layout, processLock(), IdentifyFormat) }

// put writes a file and the directories above it.
func put(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func content(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func must[T any](t testing.TB) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
