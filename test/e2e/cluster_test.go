package e2e

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// startPrimary starts the server of a story: with checksums, and with segments small enough for a few seconds of load to fill some.
func startPrimary(t *testing.T, archiveCommand string) *lab.Cluster {
	t.Helper()
	return lab.StartCluster(t, lab.ClusterOptions{
		ArchiveCommand: archiveCommand, DataChecksums: true, WALSegmentSizeMB: 4,
		Settings: map[string]string{"track_commit_timestamp": "on"},
	})
}

// localServer are the options of a server whose files barman copies on this host.
func localServer(primary *lab.Cluster, more map[string]any) map[string]any {
	options := map[string]any{
		"conninfo": primary.Conninfo("", ""), "backup_method": "local-rsync", "archiver": true, "immediate_checkpoint": true,
		"backup_options": "concurrent_backup",
	}
	for name, v := range more {
		options[name] = v
	}
	return options
}

// small starts a server and a host that backs it up by local-rsync as "main", with the first WAL archived: check insists on that.
func small(t *testing.T, more map[string]any) (*backuphost.Host, *lab.Cluster) {
	t.Helper()
	host := backuphost.New(t)
	primary := startPrimary(t, host.ArchiveCommand(t, "main"))
	host.Configure(t, backuphost.Server("main", localServer(primary, more)))
	host.Must(t, "switch-wal", "--force", "--archive", "main")
	return host, primary
}

// mark commits a row of a known name, alone in its transaction, and returns what the server says about that transaction. Both
// times of the result are the commit's own time: marks are exact where a ledger's commits have a before and an after.
func mark(t *testing.T, c *lab.Cluster, name string) lab.Commit {
	t.Helper()
	lsn := func() wal.LSN {
		at, err := wal.ParseLSN(c.MustSQL(t, "SELECT pg_current_wal_insert_lsn()"))
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	c.MustSQL(t, "CREATE TABLE IF NOT EXISTS marks (number serial, name text)")
	m := lab.Commit{Before: lsn()}
	var err error
	if m.XID, err = strconv.ParseUint(c.MustSQL(t, "INSERT INTO marks (name) VALUES ('"+name+"') RETURNING txid_current()"), 10, 64); err != nil {
		t.Fatal(err)
	}
	m.After = lsn()
	micros, err := strconv.ParseInt(c.MustSQL(t, "SELECT (extract(epoch FROM pg_xact_commit_timestamp('"+
		strconv.FormatUint(m.XID, 10)+"'::xid)) * 1000000)::bigint"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	m.Started = time.UnixMicro(micros).UTC()
	m.Ended = m.Started
	return m
}

// marks are the names of the marks that a cluster has, in the order of their commits.
func marks(t *testing.T, c *lab.Cluster) string {
	t.Helper()
	if c.MustSQL(t, "SELECT to_regclass('marks') IS NULL") == "t" {
		return ""
	}
	return strings.ReplaceAll(c.MustSQL(t, "SELECT name FROM marks ORDER BY number"), "\n", " ")
}
