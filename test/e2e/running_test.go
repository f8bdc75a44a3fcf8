package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// TestRunningBackups looks at backups while they run: several at the same time, one whose session PostgreSQL ends, one that is
// killed, and one that cannot share files with the one before.
func TestRunningBackups(t *testing.T) {
	t.Parallel() // most of the time it waits: for a copy that is slow on purpose, for WAL, for a probe
	host := backuphost.New(t)
	primary := startPrimary(t, host.ArchiveCommand(t, "main")+" && "+host.ArchiveCommand(t, "twin"))
	host.Configure(t, backuphost.Server("main", localServer(primary, nil)), backuphost.Server("twin", localServer(primary, nil)))
	if err := primary.InitPgbench(t.Context(), 1, ""); err != nil {
		t.Fatal(err)
	}
	host.Must(t, "switch-wal", "--force", "--archive", "main")
	const sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'barman'"

	t.Run("side by side", func(t *testing.T) {
		backups := start(t.Context(), t, host, "backup", "--jobs-servers", "2", "--bwlimit", "10000", "all")
		deadline := time.Now().Add(2 * time.Minute)
		for inProgress(t, host, "main") == nil || inProgress(t, host, "twin") == nil {
			if time.Now().After(deadline) {
				t.Fatal("the two backups are not taken at the same time")
			}
			time.Sleep(10 * time.Millisecond)
		}
		waitForCopy(t, host)
		id := inProgress(t, host, "main").ID
		if out := host.Must(t, "status", "main"); !strings.Contains(out, "\tBackup in progress: "+id+" (rsync-concurrent), process ") {
			t.Errorf("status main:\n%s", out)
		}
		if out := host.Must(t, "list-backups", "main"); !strings.Contains(out, "main "+id+" - R - STARTED") {
			t.Errorf("list-backups main:\n%s", out)
		}
		r := backups.wait(t)
		if r.Exit != 0 {
			t.Errorf("exit code %d", r.Exit)
		}
		for line := range strings.Lines(r.Stdout + strings.ReplaceAll(r.Stderr, "WARNING: ", "")) {
			if !strings.HasPrefix(line, "main: ") && !strings.HasPrefix(line, "twin: ") {
				t.Errorf("nobody knows which server this line is about: %q", line)
			}
		}
		for _, server := range []string{"main", "twin"} {
			if !strings.Contains(r.Stdout, server+": Backup completed") {
				t.Errorf("%s is not completed:\n%s%s", server, r.Stdout, r.Stderr)
			}
		}
		if out := host.Must(t, "status", "main"); strings.Contains(out, "in progress") {
			t.Errorf("status main afterwards:\n%s", out)
		}
	})
	t.Run("the session is lost", func(t *testing.T) {
		backup := start(t.Context(), t, host, "backup", "--keepalive-interval", "1", "--bwlimit", "4000", "main")
		waitForCopy(t, host)
		primary.MustSQL(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'barman'")
		backuphost.CheckRefusal(t, backup.wait(t), 1, []string{"the connection to PostgreSQL was lost during the backup"}, "backup", "main")
		if b := newest(t, host, "main"); b.Status != catalog.StatusFailed || !strings.Contains(b.Error, "connection to PostgreSQL was lost") {
			t.Errorf("the backup is %s: %s", b.Status, b.Error)
		}
		if got := primary.MustSQL(t, sessions); got != "0" {
			t.Errorf("%s sessions are left", got)
		}
		if left, _ := exec.Command("pgrep", "-f", host.Layout("main").Base).Output(); len(left) > 0 {
			t.Errorf("processes are left: %s", left)
		}
	})
	t.Run("killed", func(t *testing.T) {
		backup := start(t.Context(), t, host, "backup", "--bwlimit", "4000", "main")
		waitForCopy(t, host)
		killed := newest(t, host, "main")
		if err := backup.cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		backup.wait(t)
		if b := newest(t, host, "main"); b.Status != catalog.StatusStarted {
			t.Fatalf("the killed backup is %s", b.Status)
		}
		r := host.Barman(t, "backup", "--wait", "main")
		backuphost.CheckRefusal(t, r, 0, []string{"Backup " + killed.ID + " of server main was interrupted and has been marked as FAILED"}, "backup", "main")
		if b, err := host.Catalog("main").Load(killed.ID); err != nil || b.Status != catalog.StatusFailed || b.Error == "" {
			t.Errorf("the killed backup: %+v, error %v", b, err)
		}
		host.Must(t, "delete", "main", killed.ID)
	})
	t.Run("hard links are impossible", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("a file system of its own needs root: run the tests as root")
		}
		mark(t, primary, "linked")
		moveToOtherFileSystem(t, host, host.Layout("main").BackupPath(host.Latest(t, "main").ID))
		r := host.Barman(t, "backup", "--wait", "--reuse-backup=link", "main")
		backuphost.CheckRefusal(t, r, 0, []string{"WARNING: Hard links to backup", "All files are copied"}, "backup", "main")
		b := host.Latest(t, "main")
		if size, own := treeSize(t, host.Layout("main").BackupPath(b.ID)); size != own || size < 10<<20 {
			t.Errorf("%d of %d bytes are the backup's own", own, size)
		}
		if got := marks(t, startRestored(t, host, b.ID)); got != "linked" {
			t.Errorf("marks %q", got)
		}
	})
}

// inProgress is the backup that a server takes at the moment and whose data is being copied; nil when there is none.
func inProgress(t *testing.T, host *backuphost.Host, server string) *catalog.BackupInfo {
	t.Helper()
	list, err := host.Catalog(server).List()
	if err != nil {
		t.Fatal(err)
	}
	return list.Last(catalog.StatusStarted)
}

// newest is the newest backup, whatever its status.
func newest(t *testing.T, host *backuphost.Host, server string) *catalog.BackupInfo {
	t.Helper()
	list, err := host.Catalog(server).List()
	if err != nil || len(list.All) == 0 {
		t.Fatalf("no backup of %s, error %v", server, err)
	}
	return list.All[len(list.All)-1]
}

// moveToOtherFileSystem mounts a file system in the place of a directory, and moves the content there.
func moveToOtherFileSystem(t *testing.T, host *backuphost.Host, dir string) {
	t.Helper()
	saved := filepath.Join(lab.ScratchDir(t), "saved")
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
			t.Skipf("%s: %v: %s", name, err, out)
		}
	}
	run("cp", "-a", dir, saved)
	run("mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", dir)
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "--lazy", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	host.MakeDir(t, dir) // the new root directory belongs to root
	run("cp", "-a", saved+"/.", dir)
}
