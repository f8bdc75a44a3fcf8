package compat

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// TestStreamingOnEveryPostgreSQL makes the receiver the synchronous standby of each version but the operating system's own, loses the
// server, and recovers every acknowledged commit.
func TestStreamingOnEveryPostgreSQL(t *testing.T) {
	own, err := lab.FindPostgres(0)
	if err != nil {
		t.Skip(err)
	}
	others := slices.DeleteFunc(lab.Installations(), func(i lab.Installation) bool { return i.Major == own.Major })
	if len(others) == 0 {
		t.Skip("there is no other PostgreSQL: run test/lab/versions.sh as root")
	}
	for _, installation := range others {
		t.Run(fmt.Sprint(installation.Major), func(t *testing.T) {
			host := backuphost.New(t)
			host.Global = fmt.Sprintf("  path_prefix = [%q]\n", installation.Bin)
			primary := lab.StartCluster(t, lab.ClusterOptions{Version: installation.Major, WALSegmentSizeMB: 1})
			host.Configure(t, backuphost.Server("main", map[string]any{
				"conninfo": primary.Conninfo("", ""), "streaming_conninfo": primary.Conninfo("", ""), "backup_method": "local-rsync",
				"streaming_archiver": true, "slot_name": "barman", "create_slot": "auto", "compression": "gzip",
				"immediate_checkpoint": true, "backup_options": "concurrent_backup",
			}))
			t.Cleanup(func() { _ = host.Command(context.Background(), "receive-wal", "--stop", "main").Run() })
			host.Must(t, "cron")
			if err := primary.WaitSQL(t.Context(), "SELECT state FROM pg_stat_replication", "streaming"); err != nil {
				t.Fatal(err)
			}
			host.Must(t, "backup", "--wait", "main")
			if err := primary.Set(t.Context(), map[string]string{"synchronous_standby_names": "barman_receive_wal"}); err != nil {
				t.Fatal(err)
			}
			if err := primary.WaitSQL(t.Context(), "SELECT sync_state FROM pg_stat_replication", "sync"); err != nil {
				t.Fatal(err)
			}
			if out := host.Must(t, "replication-status", "main"); !strings.Contains(out, "Current state   : streaming (sync)") {
				t.Errorf("replication-status says\n%s", out)
			}
			ledger := primary.StartLedger(t, lab.LedgerOptions{Writers: 2})
			if err := ledger.WaitCommits(t.Context(), 50); err != nil {
				t.Fatal(err)
			}
			if err := primary.Destroy(); err != nil {
				t.Fatal(err)
			}
			_ = ledger.Stop() // its server is gone
			host.Must(t, "receive-wal", "--stop", "main")

			destination := filepath.Join(lab.ScratchDir(t), "data")
			host.Must(t, "recover", "main", "latest", destination)
			restored := lab.OpenCluster(t, destination, lab.ClusterOptions{Version: installation.Major})
			if err := restored.WaitSQL(t.Context(), "SELECT pg_is_in_recovery()", "f"); err != nil {
				t.Fatal(err)
			}
			if err := ledger.AtEnd().Compare(restored.LedgerRows(t)); err != nil {
				t.Error(err)
			}
		})
	}
}
