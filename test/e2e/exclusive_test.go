package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// TestExclusiveBackup takes exclusive backups of a version that has them. They belong to the server and not to a session, so
// whatever ends the work must take PostgreSQL out of backup mode, or say how; and a lost session ends nothing.
func TestExclusiveBackup(t *testing.T) {
	t.Parallel() // most of the time it waits: for a copy that is slow on purpose, for WAL, for a probe
	lab.NeedPostgres(t, 13)
	host := backuphost.New(t)
	primary := lab.StartCluster(t, lab.ClusterOptions{
		Version: 13, ArchiveCommand: host.ArchiveCommand(t, "main"), WALSegmentSizeMB: 4,
		Settings: map[string]string{"track_commit_timestamp": "on"},
	})
	host.Configure(t, backuphost.Server("main", localServer(primary, map[string]any{"backup_options": "exclusive_backup", "keepalive_interval": 1})))
	tablespace, err := primary.CreateTablespace(t.Context(), "space")
	if err != nil {
		t.Fatal(err)
	}
	if err := primary.InitPgbench(t.Context(), 1, "space"); err != nil {
		t.Fatal(err)
	}
	host.Must(t, "switch-wal", "--force", "--archive", "main")
	wantMode := func(t *testing.T, want string) {
		t.Helper()
		if got := primary.MustSQL(t, "SELECT pg_is_in_backup()"); got != want {
			t.Errorf("pg_is_in_backup() is %s, want %s", got, want)
		}
	}
	slowly := func(t *testing.T) *running {
		t.Helper()
		backup := start(t.Context(), t, host, "backup", "--bwlimit", "8000", "main")
		waitForCopy(t, host)
		wantMode(t, "t")
		return backup
	}

	t.Run("the session is lost", func(t *testing.T) {
		if out := host.Must(t, "check", "main"); !strings.Contains(out, "exclusive backup supported: OK") || strings.Contains(out, "FAILED") {
			t.Errorf("check main:\n%s", out)
		}
		mark(t, primary, "before")
		backup := slowly(t)
		primary.MustSQL(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'barman'")
		mark(t, primary, "during")
		if r := backup.wait(t); r.Exit != 0 || !strings.Contains(r.Stdout, "using rsync-exclusive method") {
			t.Errorf("exit code %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
		}
		wantMode(t, "f")
		b := host.Latest(t, "main")
		label := filepath.Join(host.Layout("main").DataPath(b.ID), "backup_label")
		if text, err := os.ReadFile(label); err != nil || string(text) != b.BackupLabel || !strings.Contains(b.BackupLabel, b.ID) {
			t.Errorf("backup_label %q, error %v; the catalog has %q", text, err, b.BackupLabel)
		}
		// PostgreSQL itself has waited until everything is archived.
		if b.Status != catalog.StatusDone || b.Mode != catalog.ModeRsyncExclusive {
			t.Errorf("the backup is %s, mode %s", b.Status, b.Mode)
		}
		mark(t, primary, "after")
		host.Must(t, "switch-wal", "--archive", "main")
		relocated := filepath.Join(lab.ScratchDir(t), "space")
		restored := startRestored(t, host, b.ID, "--tablespace", "space:"+relocated)
		if got := marks(t, restored); got != "before during after" {
			t.Errorf("marks %q", got)
		}
		if got := restored.MustSQL(t, "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'space'"); got != relocated {
			t.Errorf("the tablespace is in %s; it was in %s, and is to be in %s", got, tablespace, relocated)
		}
	})
	t.Run("Ctrl-C", func(t *testing.T) {
		backup := slowly(t)
		if err := backup.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		backuphost.CheckRefusal(t, backup.wait(t), 1, []string{"interrupted"}, "backup", "main")
		wantMode(t, "f")
	})
	t.Run("kill -9", func(t *testing.T) {
		backup := slowly(t)
		if err := backup.cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		backup.wait(t)
		wantMode(t, "t")
		host.Refused(t, 1, []string{"backup mode: FAILED (PostgreSQL is in backup mode since", "barman backup main", "pg_stop_backup()"}, "check", "main")
		r := host.Barman(t, "backup", "--wait", "main")
		backuphost.CheckRefusal(t, r, 0, []string{"was interrupted and has been marked as FAILED", "has left PostgreSQL in backup mode"}, "backup", "main")
		wantMode(t, "f")
		if got := host.Backups(t, "main"); got[0].Status != "DONE" || got[1].Status != "FAILED" {
			t.Errorf("backups %v", got)
		}
	})
	t.Run("somebody else's", func(t *testing.T) {
		primary.MustSQL(t, "SELECT pg_start_backup('snapshot of the storage', true)")
		host.Refused(t, 1, []string{"snapshot of the storage", "not of this server", "pg_stop_backup()"}, "backup", "main")
		wantMode(t, "t")
		primary.MustSQL(t, "SELECT pg_stop_backup()")
		host.Must(t, "backup", "--wait", "main")
	})
}
