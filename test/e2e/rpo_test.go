package e2e

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/barman-go/barman/core/receive"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// rounds is how often the server is lost; more with BARMAN_RPO_ROUNDS.
func rounds(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("BARMAN_RPO_ROUNDS"))
	if err != nil {
		return 2
	}
	return n
}

// TestNoAcknowledgedCommitIsLost makes receive-wal the only synchronous standby and loses the server, with its data directory, in the
// middle of the load, again and again; what was recovered is the next server. Every commit that was acknowledged in any round is
// there, also those whose WAL is nowhere but in the segment that was being received.
func TestNoAcknowledgedCommitIsLost(t *testing.T) {
	host := backuphost.New(t)
	primary := lab.StartCluster(t, lab.ClusterOptions{WALSegmentSizeMB: 1, Settings: map[string]string{"track_commit_timestamp": "on"}})
	var rows int
	for round := range rounds(t) {
		host.Configure(t, backuphost.Server("main", streamingServer(primary, map[string]any{"compression": "gzip"})))
		host.Must(t, "receive-wal", "--create-slot", "main")
		startReceiver(t, host)
		host.Must(t, "backup", "--wait", "main")
		if err := primary.Set(t.Context(), map[string]string{"synchronous_standby_names": "barman_receive_wal"}); err != nil {
			t.Fatal(err)
		}
		checkSynchronous(t, host, primary)

		ledger := primary.StartLedger(t, lab.LedgerOptions{Writers: 4})
		if err := ledger.WaitCommits(t.Context(), 100+50*round); err != nil {
			t.Fatal(err)
		}
		if err := primary.Destroy(); err != nil {
			t.Fatal(err)
		}
		_ = ledger.Stop() // its server is gone
		host.Must(t, "receive-wal", "--stop", "main")
		checkPartialMatters(t, host, ledger)

		args := []string{}
		if round%2 == 1 {
			args = append(args, "--get-wal")
		}
		restored := startRestored(t, host, "latest", args...)
		if err := ledger.AtEnd().Compare(restored.LedgerRows(t)); err != nil {
			t.Fatalf("round %d: %v", round+1, err)
		}
		rows += ledger.Acknowledged()
		// It waits for the receiver as the lost one did, and recovery has switched its archiving off.
		if err := restored.Set(t.Context(), map[string]string{"synchronous_standby_names": "", "archive_command": "/bin/true"}); err != nil {
			t.Fatal(err)
		}
		restored.MustSQL(t, "DROP TABLE lab_ledger")
		primary = restored
	}
	t.Logf("%d rounds, %d acknowledged commits, none lost", rounds(t), rows)
}

// checkSynchronous checks what the DBA sees when commits wait for the receiver.
func checkSynchronous(t *testing.T, host *backuphost.Host, primary *lab.Cluster) {
	t.Helper()
	if err := primary.WaitSQL(t.Context(), "SELECT sync_state FROM pg_stat_replication WHERE application_name = 'barman_receive_wal'", "sync"); err != nil {
		t.Fatal(err)
	}
	out := host.Must(t, "replication-status", "main")
	for _, want := range []string{
		"Number of streaming clients: 1", "1. #1 Sync WAL streamer", "Application name: barman_receive_wal",
		"Current state   : streaming (sync)", "Replication slot: barman", "Flush LSN  : ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("replication-status does not say %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "Replay LSN") {
		t.Errorf("replication-status takes the receiver for a standby:\n%s", out)
	}
}

// checkPartialMatters makes sure that the test tests something: commits lie in the segment that was being received.
func checkPartialMatters(t *testing.T, host *backuphost.Host, ledger *lab.Ledger) {
	t.Helper()
	beat, found, err := receive.ReadHeartbeat(host.Layout("main").Streaming)
	if err != nil || !found {
		t.Fatalf("no heartbeat: %v", err)
	}
	partial, err := wal.ParseSegment(beat.Segment)
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for _, c := range ledger.Commits() {
		if c.Acknowledged() && c.Before >= partial.StartLSN(1<<20) {
			last++
		}
	}
	t.Logf("%s.partial has %d of %d acknowledged commits", partial, last, ledger.Acknowledged())
}
