package e2e

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// TestSecondBackupSharesWhatHasNotChanged backs up twice with reuse_backup = link: what has not changed is stored once, what has
// changed is not shared, and the catalog tells both sizes.
func TestSecondBackupSharesWhatHasNotChanged(t *testing.T) {
	host, primary := small(t, map[string]any{"reuse_backup": "link"})
	if err := primary.InitPgbench(t.Context(), 1, ""); err != nil {
		t.Fatal(err)
	}
	mark(t, primary, "before")
	table := func(name string) string { return primary.MustSQL(t, "SELECT pg_relation_filepath('"+name+"')") }
	host.Must(t, "backup", "--wait", "main")
	first := host.Latest(t, "main")
	mark(t, primary, "after")
	out := host.Must(t, "backup", "--wait", "main")
	second := host.Latest(t, "main")
	if first.ID == second.ID {
		t.Fatal("the second backup is missing")
	}

	inode := func(b *catalog.BackupInfo, path string) uint64 {
		return stat(t, filepath.Join(host.Layout("main").DataPath(b.ID), path)).Ino
	}
	if unchanged := table("pgbench_accounts"); inode(first, unchanged) != inode(second, unchanged) {
		t.Error("a file that has not changed is stored twice")
	}
	if changed := table("marks"); inode(first, changed) == inode(second, changed) {
		t.Error("a file that has changed is shared with the previous backup")
	}
	if control := "global/pg_control"; inode(first, control) == inode(second, control) {
		t.Error("pg_control is shared with the previous backup")
	}
	size, own := treeSize(t, host.Layout("main").BackupPath(second.ID))
	if second.Size.N != size || second.DeduplicatedSize.N != own {
		t.Errorf("the catalog says %d bytes, %d its own; on disk are %d and %d", second.Size.N, second.DeduplicatedSize.N, size, own)
	}
	if own > size/2 {
		t.Errorf("the second backup takes %d of %d bytes for itself", own, size)
	}
	if !strings.Contains(out, "Completed") && !strings.Contains(out, "completed") {
		t.Errorf("backup does not say that it is complete:\n%s", out)
	}

	// The first one goes, and with it the names of the shared files; the second one is as good as before.
	host.Must(t, "delete", "main", first.ID)
	size, own = treeSize(t, host.Layout("main").BackupPath(second.ID))
	if after := host.Latest(t, "main"); after.DeduplicatedSize.N != own || after.Size.N != size {
		t.Errorf("after the delete the catalog says %d bytes, %d its own; on disk are %d and %d", after.Size.N, after.DeduplicatedSize.N, size, own)
	}
	if restored := startRestored(t, host, "latest"); marks(t, restored) != "before after" {
		t.Errorf("marks %q", marks(t, restored))
	}
}

// startRestored restores a backup of "main" to the end of the archive, in a new place, and starts it.
func startRestored(t *testing.T, host *backuphost.Host, backup string, args ...string) *lab.Cluster {
	t.Helper()
	destination := filepath.Join(lab.ScratchDir(t), "data")
	host.Must(t, append(append([]string{"recover"}, args...), "main", backup, destination)...)
	restored := lab.OpenCluster(t, destination, lab.ClusterOptions{})
	if err := restored.WaitSQL(t.Context(), "SELECT pg_is_in_recovery()", "f"); err != nil {
		t.Fatal(err)
	}
	return restored
}

func stat(t *testing.T, path string) *syscall.Stat_t {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t)
}

// treeSize sums up regular files, and those of them that have no other name.
func treeSize(t *testing.T, dir string) (total, own int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		s := stat(t, path)
		total += s.Size
		if s.Nlink == 1 {
			own += s.Size
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return total, own
}

// TestRetentionKeepAndDelete lets cron enforce REDUNDANCY 2, keeps one backup in spite of it, and shows what delete refuses.
func TestRetentionKeepAndDelete(t *testing.T) {
	host, primary := small(t, map[string]any{
		"retention_policy": "REDUNDANCY 2", "minimum_redundancy": 1, "reuse_backup": "link", "compression": "gzip",
	})
	for _, name := range []string{"one", "two", "three"} {
		mark(t, primary, name)
		host.Must(t, "backup", "--wait", "--name", name, "main")
	}
	host.Must(t, "keep", "--target", "standalone", "main", "one")
	three, two, one := host.Backups(t, "main")[0], host.Backups(t, "main")[1], host.Backups(t, "main")[2]
	host.Must(t, "cron")
	if got := labels(host.Backups(t, "main")); got != "- - KEEP:STANDALONE" {
		t.Errorf("retention with a kept backup: %s", got)
	}
	if out := host.Must(t, "keep", "--status", "main", "one"); !strings.Contains(out, "standalone") {
		t.Errorf("keep --status: %s", out)
	}
	host.Refused(t, 1, []string{one.ID, "keep"}, "delete", "main", "one")

	firstWAL := host.Must(t, "list-files", "--target", "standalone", "main", "one")
	host.Must(t, "keep", "--release", "main", "one")
	host.Must(t, "cron")
	left := host.Backups(t, "main")
	if len(left) != 2 || left[0].ID != three.ID || left[1].ID != two.ID {
		t.Fatalf("after cron: %v", left)
	}
	for path := range strings.Lines(firstWAL) {
		path = strings.TrimSpace(path)
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Fatalf("%s outlived its backup: %v", path, err)
		}
	}
	host.Must(t, "delete", "main", "oldest")
	host.Refused(t, 1, []string{three.ID, "minimum redundancy"}, "delete", "main", "oldest")
	if got := marks(t, startRestored(t, host, "three")); got != "one two three" {
		t.Errorf("marks in the last backup: %q", got)
	}
}

func labels(backups []backuphost.Backup) string {
	var words []string
	for _, b := range backups {
		words = append(words, b.Retention)
	}
	return strings.Join(words, " ")
}

// TestBackupWaitsForItsWAL takes a backup while WAL is held up on its way: it is not DONE, and cannot be restored, before its WAL is
// there.
func TestBackupWaitsForItsWAL(t *testing.T) {
	host, primary := small(t, nil)
	parked := filepath.Join(host.Dir, "parked")
	host.MakeDir(t, parked)
	if err := primary.Set(t.Context(), map[string]string{"archive_command": "cp %p " + parked + "/%f"}); err != nil {
		t.Fatal(err)
	}
	mark(t, primary, "late")
	if r := host.Barman(t, "backup", "main"); r.Exit != 0 || !strings.Contains(r.Stdout+r.Stderr, "WAITING_FOR_WALS") {
		t.Errorf("backup: exit code %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
	}
	status := func() string { return host.Backups(t, "main")[0].Status }
	host.Must(t, "check-backup", "main", "latest")
	host.Must(t, "cron")
	if got := status(); got != "WAITING_FOR_WALS" {
		t.Errorf("without its WAL the backup is %s", got)
	}
	destination := filepath.Join(lab.ScratchDir(t), "data")
	host.Refused(t, 1, []string{host.Latest(t, "main").BeginWAL.String()}, "recover", "main", "latest", destination)
	if _, err := os.Lstat(destination); !os.IsNotExist(err) {
		t.Errorf("a refused restore has left %s: %v", destination, err)
	}

	entries, err := os.ReadDir(parked)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(parked, e.Name()), filepath.Join(host.Layout("main").Incoming, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	host.Must(t, "archive-wal", "main")
	host.Must(t, "check-backup", "main", "latest")
	if got := status(); got != "DONE" {
		t.Errorf("with its WAL the backup is %s", got)
	}
	if got := marks(t, startRestored(t, host, "latest")); got != "late" {
		t.Errorf("marks %q", got)
	}
}

// waitArchived waits until PostgreSQL's archiver has delivered a segment.
func waitArchived(ctx context.Context, c *lab.Cluster, segment string) error {
	// A failed archiver pauses for a minute; a switch wakes it.
	if _, err := c.SQL(ctx, "SELECT pg_switch_wal()"); err != nil {
		return err
	}
	return c.WaitSQL(ctx, "SELECT last_archived_wal >= '"+segment+"' FROM pg_stat_archiver", "t")
}

// TestOneBrokenServerLeavesTheOthersAlone has three servers: one works, one is down, one is misconfigured.
func TestOneBrokenServerLeavesTheOthersAlone(t *testing.T) {
	host := backuphost.New(t)
	primary := startPrimary(t, host.ArchiveCommand(t, "main"))
	port, err := lab.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	down := (&lab.Cluster{Port: port}).Conninfo("", "")
	host.Configure(t,
		backuphost.Server("main", localServer(primary, nil)),
		backuphost.Server("down", localServer(primary, map[string]any{"conninfo": down})),
		backuphost.Server("wrong", map[string]any{"description": "has no conninfo"}),
	)
	host.Must(t, "switch-wal", "--force", "--archive", "main")
	host.Refused(t, 1, []string{"down", "wrong", "conninfo"}, "backup", "--wait", "all")
	if got := host.Backups(t, "main"); len(got) != 1 || got[0].Status != "DONE" {
		t.Errorf("the working server has the backups %v", got)
	}
	if r := host.Barman(t, "list-backups", "all"); !strings.Contains(r.Stdout, "main "+host.Latest(t, "main").ID) {
		t.Errorf("list-backups all: exit code %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
	}
	if r := host.Barman(t, "list-servers"); !strings.Contains(r.Stdout, "wrong") || !strings.Contains(r.Stdout, "main") {
		t.Errorf("list-servers: exit code %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
	}
	mark(t, primary, "cron")
	segment := primary.MustSQL(t, "SELECT pg_walfile_name(pg_current_wal_lsn())")
	if err := waitArchived(t.Context(), primary, segment); err != nil {
		t.Fatal(err)
	}
	host.Must(t, "cron")
	if _, err := os.Stat(filepath.Join(host.Layout("main").WALs, segment[:16], segment)); err != nil {
		t.Errorf("cron did not archive the WAL of the working server: %v", err)
	}
}
