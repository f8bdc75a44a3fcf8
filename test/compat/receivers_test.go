package compat

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// TestReceiversTakeTurns has our receiver and Python's, which runs pg_receivewal, on one server and one streaming directory: only one
// runs at a time, each is seen and stopped by the other, and each goes on where the other was.
func TestReceiversTakeTurns(t *testing.T) {
	withPython(t, "3.20", func(t *testing.T, version string) {
		host := backuphost.New(t)
		primary := lab.StartCluster(t, lab.ClusterOptions{WALSegmentSizeMB: 1, Settings: map[string]string{"wal_keep_size": "1GB"}})
		conninfo := primary.Conninfo("", "")
		host.Configure(t, backuphost.Server("main", map[string]any{
			"conninfo": conninfo, "streaming_conninfo": conninfo, "backup_method": "postgres", "streaming_archiver": true, "slot_name": "barman",
		}))
		p := newPython(t, host, version)
		p.configure(t, primary.Bin, map[string]string{
			"description": "main", "conninfo": conninfo, "streaming_conninfo": conninfo, "backup_method": "postgres",
			"archiver": "off", "streaming_archiver": "on", "slot_name": "barman",
		})
		t.Cleanup(func() { _ = host.Command(context.Background(), "receive-wal", "--stop", "main").Run() })
		active := func(want string) {
			t.Helper()
			if err := primary.WaitSQL(t.Context(), "SELECT active FROM pg_replication_slots", want); err != nil {
				t.Fatal(err)
			}
		}
		write := func() {
			t.Helper()
			primary.MustSQL(t, "CREATE TABLE IF NOT EXISTS t AS SELECT 1 AS n; INSERT INTO t SELECT generate_series(1, 30000)")
			primary.MustSQL(t, "SELECT pg_switch_wal()")
			primary.MustSQL(t, "INSERT INTO t VALUES (0)")
		}

		p.must(t, "receive-wal", "--create-slot", "main")
		host.Must(t, "cron")
		active("t")
		write()
		refused(t, p.command, 1, "Another receive-wal process is already running for server main", "receive-wal", "main")
		if out := p.run(t, "check", "main").Stdout; !strings.Contains(out, "receive-wal running: OK") || !strings.Contains(out, "replication slot: OK") {
			t.Errorf("Python's check says\n%s", out)
		}
		if out := p.must(t, "receive-wal", "--stop", "main"); !strings.Contains(out, "Stopped process receive-wal(") {
			t.Errorf("Python's stop said %q", out)
		}
		active("f")

		start(t, p.command(t.Context(), "receive-wal", "main"))
		active("t")
		write()
		refused(t, host.Command, 1, "Another receive-wal process is already running for server main", "receive-wal", "main")
		if out := host.Barman(t, "check", "main").Stdout; !strings.Contains(out, "receive-wal running: OK") {
			t.Errorf("our check says\n%s", out)
		}
		host.Must(t, "receive-wal", "--stop", "main")
		active("f")

		write()
		host.Must(t, "cron")
		active("t")
		host.Must(t, "switch-wal", "--force", "--archive", "main")
		sameAsServer(t, host, primary)
	})
}

// sameAsServer compares every archived segment with the server's own, and looks for gaps.
func sameAsServer(t *testing.T, host *backuphost.Host, primary *lab.Cluster) {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(host.Layout("main").WALs, "0*", "0*"))
	if err != nil {
		t.Fatal(err)
	}
	var last wal.Segment
	for _, path := range dirs {
		name := filepath.Base(path)
		segment, err := wal.ParseSegment(name)
		if err != nil {
			continue
		}
		want, err := os.ReadFile(filepath.Join(primary.Data, "pg_wal", name))
		if err != nil {
			t.Fatal(err)
		}
		if got := host.Must(t, "get-wal", "main", name); got != string(want) {
			t.Errorf("%s is not the server's", name)
		}
		if last != (wal.Segment{}) && segment != last.Next(1<<20) {
			t.Errorf("%s follows on %s", segment, last)
		}
		last = segment
	}
	if len(dirs) < 4 {
		t.Errorf("only %d segments were archived", len(dirs))
	}
}
