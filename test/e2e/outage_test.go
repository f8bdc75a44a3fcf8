package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// TestPostgreSQLIsDown asks for backups of a server that does not run, then of one that dies in the middle. Afterwards it is as if
// nothing had been: the next backup works.
func TestPostgreSQLIsDown(t *testing.T) {
	for _, method := range []string{"local-rsync", "postgres"} {
		t.Run(method, func(t *testing.T) {
			host, primary := small(t, nil)
			if err := primary.InitPgbench(t.Context(), 2, ""); err != nil {
				t.Fatal(err)
			}
			host.Configure(t, backuphost.Server("main", localServer(primary, map[string]any{
				"backup_method": method, "streaming_conninfo": primary.Conninfo("", ""),
			})))
			if err := primary.Stop(lab.Fast); err != nil {
				t.Fatal(err)
			}
			host.Refused(t, 1, []string{"PostgreSQL", "connection refused"}, "backup", "main")
			host.Refused(t, 1, []string{"pg_switch_wal", "main"}, "switch-wal", "main")
			if got := host.Backups(t, "main"); len(got) != 0 {
				t.Errorf("backups %v", got)
			}
			if err := primary.Start(t.Context()); err != nil {
				t.Fatal(err)
			}

			// Slow enough to die in the middle.
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			backup := start(ctx, t, host, "backup", "--bwlimit", "4000", "main")
			waitForCopy(t, host)
			primary.Kill9()
			r := backup.wait(t)
			backuphost.CheckRefusal(t, r, 1, []string{"main"}, "backup", "main")
			if got := host.Backups(t, "main"); len(got) != 1 || got[0].Status != "FAILED" {
				t.Errorf("backups %v\n%s%s", got, r.Stdout, r.Stderr)
			}
			host.Refused(t, 1, []string{"latest"}, "recover", "main", "latest", filepath.Join(lab.ScratchDir(t), "data"))

			if err := primary.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			mark(t, primary, "alive")
			host.Must(t, "cron")
			host.Must(t, "backup", "--wait", "main")
			if got := marks(t, startRestored(t, host, "latest")); got != "alive" {
				t.Errorf("marks %q", got)
			}
		})
	}
}

// running is a barman in the background.
type running struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
}

func start(ctx context.Context, t *testing.T, host *backuphost.Host, args ...string) *running {
	t.Helper()
	r := &running{cmd: host.Command(ctx, args...)}
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *running) wait(t *testing.T) lab.Result {
	t.Helper()
	_ = r.cmd.Wait() // the exit code says it all
	return lab.Result{Stdout: r.stdout.String(), Stderr: r.stderr.String(), Exit: r.cmd.ProcessState.ExitCode()}
}

// waitForCopy waits until some of a backup's data has arrived.
func waitForCopy(t *testing.T, host *backuphost.Host) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		list, err := host.Catalog("main").List()
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range list.With(catalog.StatusStarted, catalog.StatusEmpty) {
			if size, _ := treeSizeSoFar(host.Layout("main").BackupPath(b.ID)); size > 1<<20 {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("no backup has copied anything")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// treeSizeSoFar sums up a tree that is being written.
func treeSizeSoFar(dir string) (total int64, err error) {
	err = filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
		return nil
	})
	return total, err
}

// TestInterruptedBackup closes the terminal, or stops the service, in the middle of a backup: it ends at once, is FAILED, and leaves the
// server. TestFaultStorm presses Ctrl-C.
func TestInterruptedBackup(t *testing.T) {
	host, primary := small(t, nil)
	if err := primary.InitPgbench(t.Context(), 2, ""); err != nil {
		t.Fatal(err)
	}
	hangup := syscall.SIGHUP
	if signal.Ignored(hangup) {
		hangup = syscall.SIGINT // somebody has started the tests with nohup
	}
	for _, c := range []struct {
		method string
		signal os.Signal
	}{{"local-rsync", hangup}, {"postgres", syscall.SIGTERM}} {
		t.Run(c.method, func(t *testing.T) {
			host.Configure(t, backuphost.Server("main", localServer(primary, map[string]any{
				"backup_method": c.method, "streaming_conninfo": primary.Conninfo("", ""),
			})))
			backup := start(t.Context(), t, host, "backup", "--bwlimit", "4000", "main")
			waitForCopy(t, host)
			if err := backup.cmd.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			r := backup.wait(t)
			backuphost.CheckRefusal(t, r, 1, []string{"interrupted"}, "backup", "main")
			if got := host.Backups(t, "main")[0]; got.Status != "FAILED" {
				t.Errorf("the backup is %s", got.Status)
			}
			const sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'barman%' OR backend_type = 'walsender'"
			if err := primary.WaitSQL(t.Context(), sessions, "0"); err != nil {
				t.Error(err)
			}
			host.Must(t, "backup", "--wait", "main")
		})
	}
}

// TestInterruptedHook presses Ctrl-C while a hook that follows a backup fails again and again. The hook ends with it, and the backup is
// there; after an interrupted backup, where the hook has to run, Barman ends when somebody insists.
func TestInterruptedHook(t *testing.T) {
	host, primary := small(t, nil)
	if err := primary.InitPgbench(t.Context(), 2, ""); err != nil {
		t.Fatal(err)
	}
	ran := filepath.Join(host.Dir, "hook-ran")
	host.Configure(t, backuphost.Server("main", localServer(primary, map[string]any{
		"post_backup_retry_script": "touch " + ran + "; exit 1",
	})))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // what cannot be interrupted is killed
	defer cancel()
	waitForHook := func() {
		for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			if os.Remove(ran) == nil {
				return
			}
		}
		t.Fatal("the hook has not run")
	}
	interrupt := func(r *running) {
		if err := r.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}

	backup := start(ctx, t, host, "backup", "main")
	waitForHook()
	interrupt(backup)
	backuphost.CheckRefusal(t, backup.wait(t), 1, []string{"interrupted"}, "backup", "main")
	if got := host.Backups(t, "main")[0]; got.Status == "FAILED" {
		t.Error("a backup that was complete before its hook was interrupted is FAILED")
	}

	backup = start(ctx, t, host, "backup", "--reuse-backup=off", "--bwlimit", "4000", "main")
	waitForCopy(t, host)
	interrupt(backup)
	waitForHook()
	ended := make(chan struct{})
	go func() {
		for insist := time.Tick(200 * time.Millisecond); ; {
			select {
			case <-insist:
				_ = backup.cmd.Process.Signal(syscall.SIGINT) // it may just have ended
			case <-ended:
				return
			}
		}
	}()
	r := backup.wait(t)
	close(ended)
	if by := backup.cmd.ProcessState.Sys().(syscall.WaitStatus); by.Signal() != syscall.SIGINT {
		t.Errorf("exit code %d, %s; it should have ended by the signal: %s", r.Exit, backup.cmd.ProcessState, r.Stderr)
	}
	if got := host.Backups(t, "main")[0]; got.Status != "FAILED" {
		t.Errorf("the interrupted backup is %s", got.Status)
	}
}

// TestFullDisk gives Barman a disk that is too small for a backup, and then too small for WAL. Nothing is acknowledged that is not
// stored, nothing that is stored is lost, and with more space everything goes on by itself.
func TestFullDisk(t *testing.T) {
	host := backuphost.New(t)
	if os.Geteuid() != 0 {
		t.Skip("a file system of its own needs root: run the tests as root")
	}
	mount(t, host, "size=24m")
	primary := startPrimary(t, host.ArchiveCommand(t, "main"))
	// Twice the disk: the check for space comes before a copy.
	if err := primary.InitPgbench(t.Context(), 2, ""); err != nil {
		t.Fatal(err)
	}
	server := backuphost.Server("main", localServer(primary, map[string]any{"compression": "zstd"}))
	host.Configure(t, server)
	host.Barman(t, "switch-wal", "--force", "--archive", "main")
	r := host.Barman(t, "backup", "main")
	backuphost.CheckRefusal(t, r, 1, []string{"not enough space: the cluster's size is"}, "backup", "main")
	for _, b := range host.Backups(t, "main") {
		if b.Status != "FAILED" {
			t.Errorf("backup %s is %s", b.ID, b.Status)
		}
		if _, err := os.Stat(host.Layout("main").BackupPath(b.ID)); err == nil {
			t.Errorf("something of backup %s was copied", b.ID)
		}
	}

	// WAL until the disk is full: put-wal says so, and PostgreSQL keeps its segments.
	fillDisk(t, host)
	name, content := newSegment(t, primary)
	r = host.BarmanWithInput(t, stream(t, name, content), "put-wal", "main")
	if _, acknowledged := host.Acknowledged(t, "main")[name]; r.Exit == 0 || acknowledged {
		t.Errorf("put-wal on a full disk: exit code %d; acknowledged %t", r.Exit, acknowledged)
	}
	backuphost.CheckRefusal(t, r, 1, []string{"space"}, "put-wal", "main")
	r = host.Barman(t, "archive-wal", "main")
	if strings.Contains(r.Stdout+r.Stderr, "goroutine") {
		t.Errorf("archive-wal on a full disk:\n%s%s", r.Stdout, r.Stderr)
	}
	if err := os.Remove(filepath.Join(host.Home, "filler")); err != nil {
		t.Fatal(err)
	}
	mount(t, host, "remount,size=400m")

	if err := waitArchived(t.Context(), primary, name); err != nil {
		t.Fatal(err)
	}
	host.Must(t, "cron")
	mark(t, primary, "space")
	host.Must(t, "backup", "--wait", "main")
	host.CheckAcknowledged(t, "main", host.Acknowledged(t, "main"))
	if got := marks(t, startRestored(t, host, "latest")); !strings.HasSuffix(got, "space") {
		t.Errorf("marks %q", got)
	}
}

// mount mounts a file system in memory as barman_home, or changes it.
func mount(t *testing.T, host *backuphost.Host, options string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", options, "tmpfs", host.Home).CombinedOutput()
	if err != nil {
		t.Skipf("cannot mount a file system here: %v: %s", err, out)
	}
	if strings.HasPrefix(options, "remount") {
		return
	}
	host.MakeDir(t, host.Home) // the new root directory belongs to root
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "--lazy", host.Home).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
}

// fillDisk takes all space of barman_home.
func fillDisk(t *testing.T, host *backuphost.Host) {
	t.Helper()
	f, err := os.Create(filepath.Join(host.Home, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 64<<10)
	for err == nil {
		_, err = f.Write(block)
	}
	for err = nil; err == nil; {
		_, err = f.Write(block[:1])
	}
	_ = f.Close()
}
