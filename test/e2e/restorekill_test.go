package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/barman-go/barman/core/recovery"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// How many restores on this host and through ssh are killed; BARMAN_RESTORE_KILLS asks for more of both.
const (
	defaultRestoreKills = 3
	defaultRemoteKills  = 1
)

// victimSite is a server with two backups, and a ledger of what was committed.
type victimSite struct {
	host        *backuphost.Host
	primary     *lab.Cluster
	ledger      *lab.Ledger
	first, last string
	random      *rand.Rand
	// kills is how many restores are killed. They go through sshd unless it is nil.
	kills int
	sshd  *lab.SSHD
}

// TestRestoresAreKilled kills restores: while one runs nobody deletes its backup, afterwards everybody can; PostgreSQL does
// not start on what it leaves, and the same command completes it.
func TestRestoresAreKilled(t *testing.T) {
	random := lab.NewRandom(t)
	host := backuphost.New(t)
	primary := startPrimary(t, host.ArchiveCommand(t, "main"))
	host.Configure(t, backuphost.Server("main", localServer(primary, map[string]any{"compression": "gzip"})))
	if _, err := primary.CreateTablespace(t.Context(), "space"); err != nil {
		t.Fatal(err)
	}
	ledger := primary.StartLedger(t, lab.LedgerOptions{Tablespace: "space"})
	host.Must(t, "switch-wal", "--force", "--archive", "main")
	s := &victimSite{host: host, primary: primary, ledger: ledger, random: random, kills: defaultRestoreKills}
	host.Must(t, "backup", "--wait", "main")
	host.Must(t, "backup", "--wait", "main")
	for range 4 { // some WAL, so that a kill can fall into its copy
		if err := ledger.WaitCommits(t.Context(), 3); err != nil {
			t.Fatal(err)
		}
		host.Must(t, "switch-wal", "--archive", "main")
	}
	if err := ledger.Stop(); err != nil {
		t.Fatal(err)
	}
	host.Must(t, "switch-wal", "--archive", "main")
	backups := host.Backups(t, "main")
	s.last, s.first = backups[0].ID, backups[1].ID

	t.Run("kills", s.killAtRandom)
	t.Run("kills through ssh", func(t *testing.T) {
		far := *s
		far.kills, far.sshd = defaultRemoteKills, lab.StartSSHD(t)
		far.killAtRandom(t)
	})
	t.Run("lease", s.deleteMeanwhile)
}

// args restore a backup to the end of the WAL, below dir.
func (s *victimSite) args(id, dir string, more ...string) []string {
	args := append([]string{"recover", "--target-tli", "current", "--target-action", "promote"}, more...)
	if s.sshd != nil {
		args = append(args, "--jobs", "1", "--remote-ssh-command", strings.Join(s.sshd.Command(s.host.User, s.host.User), " "))
	} else {
		args = append(args, "--jobs", "2")
	}
	return append(args, "--tablespace", "space:"+filepath.Join(dir, "space"), "main", id, filepath.Join(dir, "data"))
}

func (s *victimSite) killAtRandom(t *testing.T) {
	kills := s.kills
	if text := os.Getenv("BARMAN_RESTORE_KILLS"); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatalf("BARMAN_RESTORE_KILLS: %v", err)
		}
	}
	whole := lab.ScratchDir(t)
	s.host.MakeDir(t, whole)
	began := time.Now()
	s.host.Must(t, s.args(s.last, whole)...)
	duration := time.Since(began)
	if s.sshd != nil {
		// One asks what the host is like, and the copy has one of its own.
		if n := strings.Count(s.sshd.Log(), "Accepted publickey"); n != 2 {
			t.Errorf("a restore has logged in %d times", n)
		}
		s.wantNoConnection(t)
	}
	for range kills {
		// All moments are to be met, not only those of the copy: the beginning and the end are in it, and it may come too late.
		moment := time.Duration(s.random.Int64N(int64(duration)))
		t.Run(moment.Round(time.Millisecond).String(), func(t *testing.T) { s.kill(t, moment) })
	}
}

func (s *victimSite) kill(t *testing.T, after time.Duration) {
	dir := lab.ScratchDir(t)
	s.host.MakeDir(t, dir)
	data := filepath.Join(dir, "data")
	cmd := s.start(t, s.args(s.last, dir)...)
	time.Sleep(after)
	killed := kill9AndWait(t, cmd)
	if s.sshd != nil {
		s.wantNoConnection(t)
	}
	begun, whole := exists(t, filepath.Join(data, "PG_VERSION")), exists(t, filepath.Join(data, "global/pg_control"))
	marked := exists(t, filepath.Join(data, recovery.IncompleteFile))
	t.Logf("killed %v, begun %v, whole %v, marked %v", killed, begun, whole, marked)
	switch {
	case whole && !marked, !killed:
		// Nothing was missing.
	case begun && !marked:
		t.Error("a destination that is not complete says nothing about it")
	default:
		if marked && !whole {
			wantNoStart(t, data)
		}
		out := s.host.Must(t, s.args(s.last, dir)...)
		if resumed := strings.Contains(out, "Continuing the interrupted restore"); resumed != marked {
			t.Errorf("resumed %v, want %v:\n%s", resumed, marked, out)
		}
	}
	if exists(t, filepath.Join(data, recovery.IncompleteFile)) {
		t.Error("the marker is still there")
	}
	restored := lab.OpenCluster(t, data, lab.ClusterOptions{})
	if err := restored.WaitSQL(t.Context(), "SELECT pg_is_in_recovery()", "f"); err != nil {
		t.Fatalf("%v\n%s", err, restored.LogTail(30))
	}
	if err := s.ledger.AtEnd().Compare(restored.LedgerRows(t)); err != nil {
		t.Error(err)
	}
	if err := restored.Destroy(); err != nil {
		t.Error(err)
	}
}

// wantNoConnection waits until nobody keeps a connection to the other host, nor anything that works there.
func (s *victimSite) wantNoConnection(t *testing.T) {
	t.Helper()
	to := fmt.Sprintf("ssh .*-p %d ", s.sshd.Port)
	deadline := time.Now().Add(time.Minute)
	for {
		out, err := exec.Command("pgrep", "-a", "-f", to).Output()
		var none *exec.ExitError
		if errors.As(err, &none) && none.ExitCode() == 1 {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("connections are left:\n%s", out)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// start begins a command in the background.
func (s *victimSite) start(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := s.host.Command(t.Context(), args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// kill9AndWait kills barman only: what it has started has to end by itself. It returns false when barman was faster.
func kill9AndWait(t *testing.T, cmd *exec.Cmd) bool {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return true
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return false
}

func exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Lstat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// wantNoStart wants PostgreSQL to refuse a directory.
func wantNoStart(t *testing.T, data string) {
	t.Helper()
	half, err := lab.NewClusterOn(t.Context(), data, lab.ClusterOptions{})
	if err == nil {
		t.Error("PostgreSQL started on half a cluster")
	}
	if half != nil {
		_ = half.Destroy()
	}
}

// deleteMeanwhile deletes the older backup, by hand and by retention, while it is being restored and after that restore
// was killed.
func (s *victimSite) deleteMeanwhile(t *testing.T) {
	s.host.Configure(t, backuphost.Server("main", localServer(s.primary, map[string]any{"retention_policy": "REDUNDANCY 1"})))
	dir := lab.ScratchDir(t)
	s.host.MakeDir(t, dir)
	data := filepath.Join(dir, "data")
	cmd := s.start(t, s.args(s.first, dir, "--bwlimit", "500")...) // slow enough to be met
	deadline := time.Now().Add(time.Minute)
	for !exists(t, filepath.Join(data, recovery.IncompleteFile)) {
		if time.Now().After(deadline) {
			t.Fatal("the restore does not begin")
		}
		time.Sleep(10 * time.Millisecond)
	}
	reader := fmt.Sprintf("process %d (", cmd.Process.Pid)
	s.host.Refused(t, 1, []string{s.first, reader, "barman", "recover", "since "}, "delete", "main", s.first)
	s.host.Must(t, "cron")
	if len(s.host.Backups(t, "main")) != 2 {
		t.Error("a backup was deleted while it was being restored")
	}
	if log, err := os.ReadFile(s.host.LogFile()); err != nil || !strings.Contains(string(log), "holding the lock for backup "+s.first) {
		t.Errorf("cron does not say why it did not delete: %v", err)
	}
	// A second restore of the same backup is not in the way of the first, nor the first in its.
	second := lab.ScratchDir(t)
	s.host.MakeDir(t, second)
	s.host.Must(t, s.args(s.first, second)...)
	if !kill9AndWait(t, cmd) {
		t.Fatal("the restore ended before it was killed")
	}
	s.host.Must(t, "cron")
	for _, b := range s.host.Backups(t, "main") {
		if b.ID == s.first {
			t.Error("a restore that was killed keeps its backup from being deleted")
		}
	}
	wantNoStart(t, data)
}
