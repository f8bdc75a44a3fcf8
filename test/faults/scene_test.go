package faults

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/lock"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// scene is a working server and the host that backs it up.
type scene struct {
	host    *backuphost.Host
	primary *lab.Cluster
	// standby is backed up instead of the primary while there is one.
	standby *lab.Cluster
	sshd    *lab.SSHD
	ledger  *lab.Ledger
	random  *rand.Rand
	// before are the backups that there were before the current attack.
	before map[string]catalog.Status
	// seen are the acknowledged WAL files that were compared already.
	seen map[string]bool
}

// newScene starts the server and takes a first backup. The host is a new one, with whatever the caller has mounted.
func newScene(t *testing.T, host *backuphost.Host, random *rand.Rand) *scene {
	t.Helper()
	ownPrograms(t, host)
	s := &scene{host: host, random: random, seen: map[string]bool{}, sshd: lab.StartSSHD(t)}
	s.primary = lab.StartCluster(t, lab.ClusterOptions{ArchiveCommand: host.ArchiveCommand(t, "main"), WALSegmentSizeMB: 1})
	s.configure(t, "local-rsync", "gzip")
	if err := s.primary.InitPgbench(t.Context(), 1, ""); err != nil {
		t.Fatal(err)
	}
	s.ledger = s.primary.StartLedger(t, lab.LedgerOptions{Writers: 2, Pause: 20 * time.Millisecond})
	host.Must(t, "switch-wal", "--force", "--archive", "main")
	host.Must(t, "backup", "--wait", "main")
	if len(lockFiles(t, host)) == 0 {
		t.Fatal("there are no lock files: checkLocks would look in the wrong place")
	}
	return s
}

// ownPrograms gives the host copies of all programs, so that whatever runs from its directory is its own, and not another test's.
func ownPrograms(t *testing.T, host *backuphost.Host) {
	t.Helper()
	bin := filepath.Join(host.Dir, "bin")
	if err := os.CopyFS(bin, os.DirFS(host.Build.Bin)); err != nil {
		t.Fatal(err)
	}
	host.Build = &lab.Build{Bin: bin, Plugins: filepath.Join(bin, "plugins")}
}

func (s *scene) configure(t *testing.T, method, compression string) {
	t.Helper()
	source := s.primary
	options := map[string]any{}
	if s.standby != nil {
		source = s.standby
		options["primary_conninfo"] = s.primary.Conninfo("", "")
	}
	maps.Copy(options, map[string]any{
		"conninfo": source.Conninfo("", ""), "streaming_conninfo": source.Conninfo("", ""), "backup_method": method,
		"backup_options": "concurrent_backup", "archiver": true, "immediate_checkpoint": true, "compression": compression,
		"retention_policy": "REDUNDANCY 2", "parallel_jobs": 2,
	})
	if method == "rsync" {
		options["ssh_command"] = strings.Join(s.sshd.Command(s.host.User, s.primary.Owner), " ")
	}
	if compression == "custom" {
		options["custom_compression_filter"], options["custom_decompression_filter"] = "gzip -c", "gzip -d -c"
		options["custom_compression_magic"] = "0x1f8b0800"
	}
	s.host.Configure(t, backuphost.Server("main", options))
}

// checkAftermath looks what has become of everything after barman was disturbed and has ended: nothing of it remains, whoever killed
// it or whatever it hit; PostgreSQL is out of backup mode; no backup is falsely good, and each failed one says why; nothing that was
// acknowledged is lost.
func (s *scene) checkAftermath(t *testing.T, w *witness, result lab.Result) {
	t.Helper()
	t.Logf("barman ended with exit code %d", result.Exit)
	for _, bad := range []string{"goroutine ", "rpc error"} {
		if strings.Contains(result.Stdout+result.Stderr, bad) {
			t.Errorf("the user sees %q:\n%s%s", bad, result.Stdout, result.Stderr)
		}
	}
	if left := w.survivors(deathWatch, s.host.Dir, s.primary.Data); len(left) > 0 {
		t.Errorf("still there %s later: %+v", deathWatch, left)
	}
	checkLocks(t, s.host)
	// A backup belongs to its session; the standby's own connection is not barman's.
	const sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'barman%' OR " +
		"backend_type = 'walsender' AND application_name <> 'walreceiver'"
	if err := s.primary.WaitSQL(t.Context(), sessions, "0"); err != nil {
		t.Errorf("sessions of barman are left: %v", err)
	}
	unfinished := s.checkDisturbedBackup(t, result)

	// The next cron repairs what there is to repair, and reports every killed backup as FAILED.
	s.host.Must(t, "cron")
	for _, id := range unfinished {
		b, err := s.host.Catalog("main").Load(id)
		if err != nil {
			t.Error(err)
			continue
		}
		if b.Status != catalog.StatusFailed || b.Error == "" {
			t.Errorf("after cron the disturbed backup %s is %s, because of %q", id, b.Status, b.Error)
		}
		t.Logf("backup %s: %s", id, b.Error)
	}
	s.checkAcknowledged(t)
}

// checkNextBackup wants the backup after a fault to be good, and tidies up.
func (s *scene) checkNextBackup(t *testing.T) {
	t.Helper()
	s.host.Must(t, "backup", "--wait", "main")
	backups := s.host.Backups(t, "main")
	if backups[0].Status != "DONE" {
		t.Errorf("the next backup is %s", backups[0].Status)
	}
	for _, b := range backups {
		if b.Status == "FAILED" {
			s.host.Must(t, "delete", "main", b.ID)
		}
	}
}

// ids are the backups of the catalog.
func (s *scene) ids(t *testing.T) map[string]catalog.Status {
	t.Helper()
	list, err := s.host.Catalog("main").List()
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Unreadable) > 0 {
		t.Errorf("backups that cannot be read: %v", list.Unreadable)
	}
	ids := map[string]catalog.Status{}
	for _, b := range list.All {
		ids[b.ID] = b.Status
	}
	return ids
}

// checkLocks looks for locks that somebody still holds. There may be no file: cron removes the free ones, and a barman that was killed
// early has not made one.
func checkLocks(t *testing.T, host *backuphost.Host) {
	t.Helper()
	for _, path := range lockFiles(t, host) {
		if held, holder, err := lock.Probe(path); err != nil || held {
			t.Errorf("%s is held by %v (%v)", path, holder, err)
		}
	}
}

func lockFiles(t *testing.T, host *backuphost.Host) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(host.Locks, ".*.lock"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// checkDisturbedBackup looks at what a disturbed backup has left. A barman that lives has to record the failure itself, unless it overcame
// it; one that died leaves a backup that nobody takes for a whole one, or died after the backup was whole. What counts as whole is
// restored and started; the others are returned.
func (s *scene) checkDisturbedBackup(t *testing.T, result lab.Result) (unfinished []string) {
	t.Helper()
	for id, status := range s.ids(t) {
		if _, old := s.before[id]; old {
			continue
		}
		t.Logf("it left backup %s, %s", id, status)
		if !status.In(catalog.Usable...) {
			unfinished = append(unfinished, id)
		}
		switch {
		case status.In(catalog.Usable...):
			s.host.Must(t, "switch-wal", "--archive", "main")
			s.host.Must(t, "cron")
			s.restore(t, id, "--target-immediate", "--target-action", "promote")
		case result.Exit >= 0 && status != catalog.StatusFailed:
			t.Errorf("barman ended by itself and left backup %s %s\n%s%s", id, status, result.Stdout, result.Stderr)
		case result.Exit == 0:
			t.Errorf("barman says that it succeeded; backup %s is %s", id, status)
		}
	}
	return unfinished
}

// checkAcknowledged compares the WAL files that were acknowledged since the last round.
func (s *scene) checkAcknowledged(t *testing.T) {
	t.Helper()
	files := s.host.Acknowledged(t, "main")
	maps.DeleteFunc(files, func(name, _ string) bool { return s.seen[name] })
	s.host.CheckAcknowledged(t, "main", files)
	for name := range files {
		s.seen[name] = true
	}
}

func (s *scene) restore(t *testing.T, backup string, args ...string) *lab.Cluster {
	t.Helper()
	destination := filepath.Join(lab.ScratchDir(t), "data")
	s.host.Must(t, append(append([]string{"recover"}, args...), "main", backup, destination)...)
	restored := lab.OpenCluster(t, destination, lab.ClusterOptions{})
	if err := restored.WaitSQL(t.Context(), "SELECT pg_is_in_recovery()", "f"); err != nil {
		t.Fatal(err)
	}
	return restored
}

// epilogue compares all WAL once more, loses the server, and recovers every commit that it had acknowledged.
func (s *scene) epilogue(t *testing.T) {
	if err := s.ledger.Stop(); err != nil {
		t.Fatal(err)
	}
	want := s.ledger.AtEnd()
	s.host.Must(t, "switch-wal", "--archive", "main")
	s.host.CheckAcknowledged(t, "main", s.host.Acknowledged(t, "main"))
	if err := s.primary.Destroy(); err != nil {
		t.Fatal(err)
	}
	if err := want.Compare(s.restore(t, "latest").LedgerRows(t)); err != nil {
		t.Error(err)
	}
}
