package matrix

import (
	"context"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/barman-go/barman/test/e2e/backuphost"
)

// walRows are the ways of WAL into the archive and out of it.
func walRows() []row {
	return []row{
		{name: "WAL in every compression", after: everyCompression},
		{name: "receive-wal as synchronous standby: no commit is lost", alone: loseTheServer},
	}
}

// compressions are the values of `compression`.
var compressions = []string{"gzip", "bzip2", "pygzip", "pybzip2", "pigz", "xz", "zstd", "lz4", "snappy", "custom", "none"}

// everyCompression archives some WAL by each compressor, so that the recovery needs all of them: whatever the setting was when a segment
// came, it is listed, and handed out byte for byte.
func everyCompression(t *testing.T, tr *trial) {
	options, _, _ := tr.merged(t, nil)
	maps.Copy(options, map[string]any{
		"custom_compression_filter": "xz -0 -c | cat", "custom_decompression_filter": "xz -dc", "custom_compression_magic": "0xfd377a585a00",
	})
	known := tr.host.Acknowledged(t, "main")
	for i, compression := range compressions {
		options["compression"], options["compression_level"] = compression, []string{"low", "medium", "high", "3"}[i%4]
		tr.host.Configure(t, backuphost.Server("main", options))
		if err := tr.ledger.WaitCommits(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		tr.host.Must(t, "switch-wal", "--archive", "main")
		tr.checkNewestWAL(t, compression)
	}
	tr.host.Must(t, "archive-wal", "main")
	arrived := tr.host.Acknowledged(t, "main")
	maps.DeleteFunc(arrived, func(name, _ string) bool { _, old := known[name]; return old })
	if len(arrived) < len(compressions) {
		t.Errorf("only %d WAL files came", len(arrived))
	}
	tr.host.CheckAcknowledged(t, "main", arrived)
}

// checkNewestWAL compares the newest line of the WAL index with the configured compression, and looks for its file in list-files.
func (tr *trial) checkNewestWAL(t *testing.T, compression string) {
	t.Helper()
	content, err := os.ReadFile(tr.host.Layout("main").WALIndexPath())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	fields := strings.Fields(lines[len(lines)-1])
	if compression == "none" {
		compression = "None"
	}
	if len(fields) < 4 || fields[3] != compression {
		t.Fatalf("the index says %q, want %s", fields, compression)
	}
	if listed := tr.host.Must(t, "list-files", "--target", "wal", "main", tr.info.ID); !strings.Contains(listed, "/"+fields[0]+"\n") {
		t.Errorf("list-files does not have %s:\n%s", fields[0], listed)
	}
}

// loseTheServer makes the receiver the synchronous standby, takes a backup, loses the server, and recovers every acknowledged commit.
func loseTheServer(t *testing.T, s *scene) {
	host := s.host
	streaming := func(*scene) map[string]any {
		return map[string]any{
			"archiver": false, "streaming_archiver": true, "slot_name": "barman", "create_slot": "auto", "compression": "gzip",
			"immediate_checkpoint": true,
		}
	}
	s.configure(t, []row{{options: streaming}})
	t.Cleanup(func() { _ = host.Command(context.Background(), "receive-wal", "--stop", "main").Run() })
	if err := s.primary.Set(t.Context(), map[string]string{"archive_command": "/bin/true"}); err != nil {
		t.Fatal(err)
	}
	host.Must(t, "cron")
	const ours = " FROM pg_stat_replication WHERE application_name = 'barman_receive_wal'"
	if err := s.primary.WaitSQL(t.Context(), "SELECT state"+ours, "streaming"); err != nil {
		t.Fatal(err)
	}
	host.Must(t, "backup", "--wait", "main")
	if err := s.primary.Set(t.Context(), map[string]string{"synchronous_standby_names": "barman_receive_wal"}); err != nil {
		t.Fatal(err)
	}
	if err := s.primary.WaitSQL(t.Context(), "SELECT sync_state"+ours, "sync"); err != nil {
		t.Fatal(err)
	}
	if out := host.Must(t, "replication-status", "main"); !strings.Contains(out, "Current state   : streaming (sync)") {
		t.Errorf("replication-status says\n%s", out)
	}
	if err := s.ledger.WaitCommits(t.Context(), 20); err != nil {
		t.Fatal(err)
	}
	if err := s.load.Stop(); err != nil {
		t.Errorf("the load did not last to the end: %v", err)
	}
	if err := s.primary.Destroy(); err != nil {
		t.Fatal(err)
	}
	_ = s.ledger.Stop() // its server is gone
	host.Must(t, "receive-wal", "--stop", "main")

	tr := &trial{scene: s, info: s.newest(t)}
	tr.recover(t, nil)
	if err := s.ledger.AtEnd().Compare(tr.restored.LedgerRows(t)); err != nil {
		t.Error(err)
	}
}
