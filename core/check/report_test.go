package check

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func labels(list []Row) []string {
	out := make([]string, 0, len(list))
	for _, row := range list {
		out = append(out, row.Label)
	}
	return out
}

// The tolerated labels are a contract with people's monitoring: they are written out here once more.
func TestBackupIsGatedOnlyByWhatItNeeds(t *testing.T) {
	r := &Report{}
	for _, label := range []string{
		"minimum redundancy requirements", "backup maximum age", "backup minimum size", "failed backups", "archiver errors",
		"empty incoming directory", "empty streaming directory", "incoming WALs directory", "streaming WALs directory",
		"wal maximum age", "PostgreSQL server is standby", "unreadable backups", "WAL index",
	} {
		r.Rows = append(r.Rows, Row{Label: label})
	}
	if got := r.Blocking(); len(got) > 0 {
		t.Errorf("a backup does not start because of %q", labels(got))
	}
	if !r.Failed() {
		t.Error("a report with failures says that nothing failed")
	}
	needed := []string{
		"PostgreSQL", "WAL archive", "PostgreSQL streaming", "ssh", "directories", "compression settings", "archive_mode",
		"archive_command", "continuous archiving", "receive-wal running", "systemid coherence", "configuration", "check timeout",
		"wal_level", "replication slot", "pg_basebackup compatible",
	}
	for _, label := range needed {
		r.Rows = append(r.Rows, Row{Label: label}, Row{Label: label, OK: true})
	}
	if diff := cmp.Diff(needed, labels(r.Blocking())); diff != "" {
		t.Errorf("what blocks a backup (-want +got):\n%s", diff)
	}
}
