package e2e

import (
	"os"
	"strings"
	"testing"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// TestBackupOfAStandby backs up a standby by either kind of method, with the WAL that the standby itself archives, while its primary does
// nothing: the backups end because WAL is switched on the primary. The last one is in progress when the standby is promoted.
func TestBackupOfAStandby(t *testing.T) {
	t.Parallel() // most of the time it waits: for a copy that is slow on purpose, for WAL, for a probe
	host := backuphost.New(t)
	primary := lab.StartCluster(t, lab.ClusterOptions{WALSegmentSizeMB: 4, Settings: map[string]string{"track_commit_timestamp": "on"}})
	mark(t, primary, "first")
	standby := primary.StartStandby(t, lab.ClusterOptions{Settings: map[string]string{
		"archive_mode": "always", "archive_command": host.ArchiveCommand(t, "main"),
	}})
	sshd := strings.Join(lab.StartSSHD(t).Command(standby.Owner, standby.Owner), " ")
	configure := func(method string, more map[string]any) {
		options := localServer(standby, more)
		options["backup_method"] = method
		switch method {
		case "rsync":
			options["ssh_command"] = sshd
		case "postgres":
			options["streaming_conninfo"] = standby.Conninfo("", "")
		}
		host.Configure(t, backuphost.Server("main", options))
	}
	withPrimary := map[string]any{"primary_conninfo": primary.Conninfo("", "")}
	configure("rsync", withPrimary)
	mark(t, primary, "second")
	primary.MustSQL(t, "SELECT pg_switch_wal()")
	primary.MustSQL(t, "SELECT pg_create_restore_point('something in the next segment')")
	if err := standby.WaitSQL(t.Context(), "SELECT archived_count > 0 FROM pg_stat_archiver", "t"); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"rsync", "postgres"} {
		t.Run(method, func(t *testing.T) {
			configure(method, withPrimary)
			// Something in the middle of a segment, which PostgreSQL waits for at the end; and then nothing any more.
			primary.MustSQL(t, "CREATE TABLE "+strings.ReplaceAll(method, "-", "_")+" AS SELECT 1; CHECKPOINT")
			if err := standby.WaitCaughtUp(t.Context(), primary); err != nil {
				t.Fatal(err)
			}
			r := host.Barman(t, "backup", "--wait", "main")
			if b := host.Latest(t, "main"); r.Exit != 0 || b.Status != catalog.StatusDone || !strings.Contains(b.BackupLabel, "BACKUP FROM: standby") {
				t.Errorf("exit code %d; the backup is %s\n%s%s", r.Exit, b.Status, r.Stdout, r.Stderr)
			}
		})
	}
	mark(t, primary, "third")
	primary.MustSQL(t, "SELECT pg_switch_wal()")
	primary.MustSQL(t, "SELECT pg_create_restore_point('next'), pg_switch_wal()")
	wanted := primary.MustSQL(t, "SELECT pg_walfile_name(pg_current_wal_lsn() - 4 * 1024 * 1024)")

	t.Run("without primary_conninfo", func(t *testing.T) {
		configure("local-rsync", nil)
		primary.MustSQL(t, "CREATE TABLE work AS SELECT 1; CHECKPOINT")
		if err := standby.WaitCaughtUp(t.Context(), primary); err != nil {
			t.Fatal(err)
		}
		backup := start(t.Context(), t, host, "backup", "main")
		if err := standby.WaitSQL(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'BackupWaitWalArchive'", "1"); err != nil {
			t.Fatal(err)
		}
		// Nothing of ours moves it; the primary's own work does.
		primary.MustSQL(t, "SELECT pg_switch_wal()")
		primary.MustSQL(t, "CREATE TABLE more AS SELECT 1")
		if r := backup.wait(t); r.Exit != 0 {
			t.Errorf("exit code %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
		}
	})
	t.Run("recovered", func(t *testing.T) {
		if err := standby.WaitSQL(t.Context(), "SELECT last_archived_wal >= '"+wanted+"' FROM pg_stat_archiver", "t"); err != nil {
			t.Fatal(err)
		}
		host.Must(t, "archive-wal", "main")
		list, err := host.Catalog("main").List()
		if err != nil {
			t.Fatal(err)
		}
		restored := map[catalog.Mode]bool{}
		for _, b := range list.With(catalog.StatusDone) {
			if restored[b.Mode] {
				continue
			}
			restored[b.Mode] = true
			if got := marks(t, startRestored(t, host, b.ID)); got != "first second third" {
				t.Errorf("backup %s, %s: marks %q", b.ID, b.Mode, got)
			}
		}
		if !restored[catalog.ModePostgres] || !restored[catalog.ModeRsyncConcurrent] {
			t.Errorf("restored only %v", restored)
		}
	})
	t.Run("exclusive", func(t *testing.T) {
		configure("local-rsync", map[string]any{"backup_options": "exclusive_backup"})
		host.Refused(t, 1, []string{"cannot perform exclusive backup on a standby", "exclusive backups not supported on PostgreSQL"}, "backup", "main")
	})
	t.Run("promoted", func(t *testing.T) {
		configure("local-rsync", withPrimary)
		if err := primary.InitPgbench(t.Context(), 1, ""); err != nil {
			t.Fatal(err)
		}
		if err := standby.WaitCaughtUp(t.Context(), primary); err != nil {
			t.Fatal(err)
		}
		backup := start(t.Context(), t, host, "backup", "--bwlimit", "12000", "main")
		waitForCopy(t, host)
		standby.MustSQL(t, "SELECT pg_promote()")
		r := backup.wait(t)
		backuphost.CheckRefusal(t, r, 1, []string{"the standby was promoted during online backup"}, "backup", "main")
		list, err := host.Catalog("main").List()
		if err != nil {
			t.Fatal(err)
		}
		if b := list.Last(catalog.StatusFailed); b == nil || !strings.Contains(b.Error, "the standby was promoted") {
			t.Errorf("the catalog: %+v", b)
		}
		// What was the standby is backed up as what it is now.
		r = host.Barman(t, "backup", "--wait", "main")
		backuphost.CheckRefusal(t, r, 0, []string{"Ignoring 'primary_conninfo'"}, "backup", "main")
	})
	if text, err := os.ReadFile(host.LogFile()); err != nil || strings.Count(string(text), "event=switched") < 1 {
		t.Errorf("the log does not tell of the switch on the primary (error %v)", err)
	}
}
