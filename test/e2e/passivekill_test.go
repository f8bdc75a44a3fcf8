package e2e

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/test/e2e/backuphost"
)

// syncRounds is how often a copy is disturbed; more with BARMAN_SYNC_ROUNDS.
func syncRounds() int {
	n, err := strconv.Atoi(os.Getenv("BARMAN_SYNC_ROUNDS"))
	if err != nil {
		return 3
	}
	return n
}

// TestKillsAndCutsDuringSync kills what copies, and cuts its connection, at random moments. Whatever was hit, the next run goes on, sends
// nothing that has arrived, and in the end the copy is whole and recorded once.
func TestKillsAndCutsDuringSync(t *testing.T) {
	t.Parallel()
	s := newSites(t)
	s.use(t, "postgres")
	s.backUp(t)
	for range 3 {
		if err := s.ledger.WaitCommits(t.Context(), 5); err != nil {
			t.Fatal(err)
		}
		s.first.Must(t, "switch-wal", "--force", "--archive", "main")
	}
	if err := s.ledger.Stop(); err != nil {
		t.Fatal(err)
	}
	s.first.Must(t, "switch-wal", "--force", "--archive", "main")
	// Slow enough that there is a middle.
	s.second.Configure(t, backuphost.Server("main", map[string]any{
		"primary_ssh_command": s.reach(), "compression": "zstd", "basebackup_retry_times": 0, "bandwidth_limit": 8000,
		"tablespace_bandwidth_limit": "space:4000",
	}))
	backup := s.first.Latest(t, "main")
	s.second.Must(t, "sync-info", "--primary", "main")
	before := int64(0)
	for round := range syncRounds() {
		before = s.disturb(t, round, backup)
	}
	s.second.Must(t, "sync-backup", "main", backup.ID)
	total, sent := s.sent(t, backup.ID)
	t.Logf("the last copy has sent %d of %d bytes; %d had arrived before", sent, total, before)
	if sent > total-before {
		t.Errorf("%d bytes were sent again", sent-(total-before))
	}
	cronUntil(t, s.second, "complete the copy", func() bool { return s.allDone(t) })
	s.second.Must(t, "sync-wals", "main")
	s.checkCopy(t)
	s.sameContent(t, backup.ID)
	if err := s.ledger.AtEnd().Compare(s.recoverSecond(t, backup.ID)); err != nil {
		t.Error(err)
	}
}

// disturb begins a copy and kills it, or cuts its connection, when some of it has arrived. It returns how much is here, as whole files.
func (s *sites) disturb(t *testing.T, round int, backup *catalog.BackupInfo) int64 {
	t.Helper()
	before, _ := s.arrived(t, backup.ID)
	copiesWAL := round%3 == 2
	if before > backup.Size.N*8/10 && !copiesWAL {
		s.second.Must(t, "delete", "main", backup.ID) // from the start again
		before = 0
	}
	args := []string{"sync-backup", "main", backup.ID}
	enough := before + 1 + rand.Int64N(max(1, backup.Size.N*9/10-before))
	reached := func() bool {
		here, _ := s.arrived(t, backup.ID)
		return here >= enough
	}
	if copiesWAL {
		args = []string{"sync-wals", "main"}
		reached = func() bool {
			_, err := os.Stat(filepath.Join(s.second.Layout("main").Backup, ".sync-wals"))
			return err == nil
		}
	}
	cmd := s.second.Command(t.Context(), args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	how := []string{"kill", "cut"}[round%2]
	for {
		select {
		case err := <-ended:
			here, files := s.arrived(t, backup.ID)
			if b, loadErr := s.second.Catalog("main").Load(backup.ID); loadErr == nil && b.Status.In(catalog.Usable...) && here != backup.Size.N {
				t.Errorf("with %d of %d bytes the backup is %s", here, backup.Size.N, b.Status)
			}
			t.Logf("%s of %s: %v; %d of %d bytes are here, in %d files", how, args[0], err, here, backup.Size.N, files)
			return here
		case <-time.After(5 * time.Millisecond):
		}
		switch {
		case !reached():
		case how == "cut":
			s.cut(t)
		default:
			_ = cmd.Process.Kill() // it may have ended
		}
	}
}

// cut kills the ssh clients that are connected to the first host. It finds them by the port, which is this test's own.
func (s *sites) cut(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	port := []byte("\x00-p\x00" + strconv.Itoa(s.sshd.Port) + "\x00")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err == nil && bytes.HasPrefix(line, []byte("ssh\x00")) && bytes.Contains(line, port) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
		}
	}
}

// arrived counts the files of a backup that are here with the size and the time that they have there.
func (s *sites) arrived(t *testing.T, id string) (size int64, files int) {
	t.Helper()
	there, here := s.first.Layout("main").BackupPath(id), s.second.Layout("main").BackupPath(id)
	err := filepath.WalkDir(here, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil //nolint:nilerr // not there yet, or gone in this moment
		}
		rel, err := filepath.Rel(here, path)
		if err != nil {
			return err
		}
		a, errA := os.Stat(path)
		b, errB := os.Stat(filepath.Join(there, rel))
		if errA == nil && errB == nil && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) {
			size += a.Size()
			files++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return size, files
}

// sameContent compares the files of a backup on both hosts byte by byte.
func (s *sites) sameContent(t *testing.T, id string) {
	t.Helper()
	out, err := exec.Command("diff", "-r", "--no-dereference", "--exclude=pg_tblspc", s.first.Layout("main").BackupPath(id), s.second.Layout("main").BackupPath(id)).CombinedOutput()
	if err != nil {
		t.Errorf("the copies differ: %v\n%.2000s", err, out)
	}
}

var copiedLine = regexp.MustCompile(`copied: .*backup=(\S+) files=\d+ bytes=(\d+) files_sent=\d+ bytes_sent=(\d+)`)

// sent is what the log says about the copy that has completed a backup.
func (s *sites) sent(t *testing.T, id string) (total, sent int64) {
	t.Helper()
	text, err := os.ReadFile(s.second.LogFile())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if m := copiedLine.FindStringSubmatch(line); m != nil && m[1] == id {
			total, _ = strconv.ParseInt(m[2], 10, 64)
			sent, _ = strconv.ParseInt(m[3], 10, 64)
		}
	}
	if total == 0 {
		t.Error("the log does not say what was sent")
	}
	return total, sent
}
