package e2e

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// sites are a server, the backup host that takes its backups, and a second backup host that is a passive node of the first.
type sites struct {
	postgres *lab.Cluster
	first    *backuphost.Host
	second   *backuphost.Host
	sshd     *lab.SSHD
	ledger   *lab.Ledger
	// options are those of the server on the first host.
	options map[string]any
}

// newSites starts everything; the server has a tablespace.
func newSites(t *testing.T) *sites {
	t.Helper()
	s := &sites{first: backuphost.New(t), second: backuphost.New(t)}
	s.postgres = startPrimary(t, s.first.ArchiveCommand(t, "main"))
	if _, err := s.postgres.CreateTablespace(t.Context(), "space"); err != nil {
		t.Fatal(err)
	}
	s.sshd = reachable(t, s.first)
	s.use(t, "local-rsync")
	s.second.Configure(t, backuphost.Server("main", map[string]any{
		"primary_ssh_command": s.reach(), "compression": "zstd", "basebackup_retry_times": 0, "parallel_jobs": 2,
	}))
	s.ledger = s.postgres.StartLedger(t, lab.LedgerOptions{Tablespace: "space"})
	return s
}

// reachable is an sshd behind which "barman" is that of a host.
func reachable(t *testing.T, h *backuphost.Host) *lab.SSHD {
	t.Helper()
	bin := filepath.Join(h.Dir, "bin")
	h.MakeDir(t, bin)
	h.WriteFile(t, filepath.Join(bin, "barman"), fmt.Sprintf("#!/bin/sh\nexec %q -c %q \"$@\"\n", h.Build.Program("barman"), h.Config), 0o755)
	return lab.StartSSHD(t, "PATH="+bin+":/usr/local/bin:/usr/bin:/bin")
}

// reach is primary_ssh_command.
func (s *sites) reach() string {
	return strings.Join(s.sshd.Command(s.first.User, s.first.User), " ")
}

// use sets the backup method of the first host.
func (s *sites) use(t *testing.T, method string) {
	t.Helper()
	s.options = localServer(s.postgres, map[string]any{
		"backup_method": method, "compression": "zstd", "streaming_conninfo": s.postgres.Conninfo("", ""), "retention_policy": "REDUNDANCY 9",
	})
	switch method {
	case "rsync":
		s.options["ssh_command"] = s.reach()
		s.options["reuse_backup"] = "link"
	case "local-rsync":
		s.options["reuse_backup"] = "link"
	}
	s.first.Configure(t, backuphost.Server("main", s.options))
}

// backUp commits rows, takes a backup and archives what came before its end.
func (s *sites) backUp(t *testing.T) {
	t.Helper()
	if err := s.ledger.WaitCommits(t.Context(), 20); err != nil {
		t.Fatal(err)
	}
	s.first.Must(t, "switch-wal", "--force", "--archive", "main")
	s.first.Must(t, "backup", "--wait", "main")
}

// cronUntil runs cron on a host until a condition holds, as a timer would.
func cronUntil(t *testing.T, h *backuphost.Host, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !done(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("cron does not %s: %+v", what, h.Backups(t, "main"))
		}
		h.Must(t, "cron")
	}
}

// allDone tells whether the second host has all backups of the first, complete.
func (s *sites) allDone(t *testing.T) bool {
	t.Helper()
	there, here := s.first.Backups(t, "main"), s.second.Backups(t, "main")
	done := len(there) == len(here)
	for _, b := range here {
		done = done && b.Status == string(catalog.StatusDone)
	}
	return done
}

// sameInode lists, for all backups of a host, the files that are one: "ID/path = ID/path". Files of one name only are left out.
func sameInode(t *testing.T, h *backuphost.Host) []string {
	t.Helper()
	base := h.Layout("main").Base
	names := map[uint64][]string{}
	err := filepath.WalkDir(base, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(base, path)
		inode := info.Sys().(*syscall.Stat_t).Ino
		names[inode] = append(names[inode], rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var shared []string
	for _, list := range names {
		if len(list) > 1 {
			slices.Sort(list)
			shared = append(shared, strings.Join(list, " = "))
		}
	}
	slices.Sort(shared)
	return shared
}

// archivedFiles are the WAL files of a host's archive with their sizes, and the lines of its index.
func archivedFiles(t *testing.T, h *backuphost.Host) (files map[string]int64, lines []string) {
	t.Helper()
	layout := h.Layout("main")
	text, err := os.ReadFile(layout.WALIndexPath())
	if err != nil {
		t.Fatal(err)
	}
	for line, err := range catalog.ReadWALLines(text, layout.WALIndexPath()).All() {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line.Name)
	}
	files = map[string]int64{}
	err = filepath.WalkDir(layout.WALs, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && path != layout.WALIndexPath() && path != layout.SyncWALsInfoPath() {
			info, err := e.Info()
			if err != nil {
				return err
			}
			files[e.Name()] = info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return files, lines
}

// checkCopy compares the second host with the first: backups, files that are shared, WAL and index.
func (s *sites) checkCopy(t *testing.T) {
	t.Helper()
	if diff := cmp.Diff(sameInode(t, s.first), sameInode(t, s.second)); diff != "" {
		t.Errorf("files that are one inode (-first +second):\n%s", diff)
	}
	there, _ := archivedFiles(t, s.first)
	here, lines := archivedFiles(t, s.second)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(here)), lines); diff != "" {
		t.Errorf("archive and index of the second host (-files +lines):\n%s", diff)
	}
	oldest, err := s.second.Catalog("main").List()
	if err != nil || len(oldest.All) == 0 {
		t.Fatal(err, "no backups")
	}
	maps.DeleteFunc(there, func(name string, _ int64) bool { return name < oldest.All[0].BeginWAL.String() })
	if diff := cmp.Diff(there, here); diff != "" {
		t.Errorf("WAL (-first +second):\n%s", diff)
	}
	for _, b := range oldest.All {
		for _, host := range []*backuphost.Host{s.first, s.second} {
			size, err := os.ReadDir(host.Layout("main").BackupPath(b.ID))
			if err != nil || len(size) == 0 {
				t.Errorf("backup %s: %v", b.ID, err)
			}
		}
	}
	entries, err := os.ReadDir(s.second.Layout("main").Backup)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.Contains(e.Name(), ".tmp") || e.Name() == ".sync-wals" {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

// loseFirstSite destroys the server and the first backup host.
func (s *sites) loseFirstSite(t *testing.T) {
	t.Helper()
	if err := s.ledger.Stop(); err != nil {
		t.Fatal(err)
	}
	s.sshd.Stop()
	if err := s.postgres.Destroy(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(s.first.Dir); err != nil {
		t.Fatal(err)
	}
}

// recoverSecond restores a backup from the second host and returns the rows of the ledger.
func (s *sites) recoverSecond(t *testing.T, id string) []int64 {
	t.Helper()
	dir := lab.ScratchDir(t)
	destination := filepath.Join(dir, "data")
	s.second.Must(t, "recover", "--tablespace", "space:"+filepath.Join(dir, "space"), "main", id, destination)
	restored := lab.OpenCluster(t, destination, lab.ClusterOptions{})
	if err := restored.WaitSQL(t.Context(), "SELECT pg_is_in_recovery()", "f"); err != nil {
		t.Fatal(err)
	}
	rows := restored.LedgerRows(t)
	if err := restored.Destroy(); err != nil {
		t.Error(err)
	}
	return rows
}

// TestASecondSiteSurvivesTheFirst copies backups of every method and their WAL to a passive node, which goes on alone when the server
// and its backup host are lost.
func TestASecondSiteSurvivesTheFirst(t *testing.T) {
	t.Parallel()
	s := newSites(t)
	for _, method := range []string{"local-rsync", "rsync", "postgres"} {
		s.use(t, method)
		s.backUp(t)
	}
	cronUntil(t, s.second, "copy all backups", func() bool { return s.allDone(t) })
	if err := s.ledger.WaitCommits(t.Context(), 20); err != nil {
		t.Fatal(err)
	}
	if err := s.ledger.Stop(); err != nil {
		t.Fatal(err)
	}
	s.first.Must(t, "switch-wal", "--archive", "main")
	want := slices.Sorted(maps.Keys(mustFiles(t, s.first)))
	cronUntil(t, s.second, "copy the last WAL", func() bool {
		return slices.Contains(slices.Sorted(maps.Keys(mustFiles(t, s.second))), want[len(want)-1])
	})
	s.checkCopy(t)
	if len(sameInode(t, s.second)) == 0 {
		t.Error("no files are shared between the backups by rsync")
	}
	ids := s.second.Backups(t, "main")
	s.loseFirstSite(t)
	for _, b := range ids {
		if err := s.ledger.AtEnd().Compare(s.recoverSecond(t, b.ID)); err != nil {
			t.Errorf("backup %s: %v", b.ID, err)
		}
	}
	// Without the first site everything here goes on.
	s.second.Refused(t, 1, []string{"Failed to retrieve the primary node status: sync-info execution on remote primary server main failed"}, "cron")
	s.second.Must(t, "keep", "--target", "full", "main", ids[0].ID)
	s.second.Must(t, "delete", "main", ids[len(ids)-1].ID)
	s.failOver(t)
}

// failOver does what docs/geo-redundancy.md says under "Fail-over", word for word but for directories.
func (s *sites) failOver(t *testing.T) {
	t.Helper()
	before, after, found := strings.Cut(chapter(t, "geo-redundancy.md", "## Fail-over"), "```hcl")
	if !found {
		t.Fatal("the chapter has no configuration")
	}
	dir := lab.ScratchDir(t)
	replace := strings.NewReplacer("/srv", dir)
	follow(t, s.second, before, replace)
	archive := s.second.CopyCommand(t, "main")
	restored := lab.OpenCluster(t, filepath.Join(dir, "data"), lab.ClusterOptions{Settings: map[string]string{"archive_mode": "on", "archive_command": archive}})
	if err := restored.WaitSQL(t.Context(), "SELECT pg_is_in_recovery()", "f"); err != nil {
		t.Fatal(err)
	}
	s.second.Configure(t, backuphost.Server("main", localServer(restored, map[string]any{"compression": "zstd"})))
	follow(t, s.second, after, replace)
	if b := s.second.Latest(t, "main"); b.Status != catalog.StatusDone {
		t.Errorf("the first backup after the fail-over is %s", b.Status)
	}
}

func mustFiles(t *testing.T, h *backuphost.Host) map[string]int64 {
	t.Helper()
	files, _ := archivedFiles(t, h)
	return files
}

// TestASecondSiteLosesSeconds loses the first site in the middle of the load. The segment that was being written has never been archived
// anywhere, and a node that is a copy of the copy has it, too.
func TestASecondSiteLosesSeconds(t *testing.T) {
	t.Parallel()
	s := &sites{first: backuphost.New(t), second: backuphost.New(t)}
	third := backuphost.New(t)
	s.postgres = startPrimary(t, "")
	if _, err := s.postgres.CreateTablespace(t.Context(), "space"); err != nil {
		t.Fatal(err)
	}
	s.sshd = reachable(t, s.first)
	s.first.Configure(t, backuphost.Server("main", streamingServer(s.postgres, map[string]any{"backup_method": "postgres", "compression": "gzip"})))
	s.first.Must(t, "receive-wal", "--create-slot", "main")
	startReceiver(t, s.first)
	s.ledger = s.postgres.StartLedger(t, lab.LedgerOptions{Tablespace: "space"})
	s.backUp(t)
	s.second.Configure(t, backuphost.Server("main", map[string]any{"primary_ssh_command": s.reach(), "compression": "gzip"}))
	behindSecond := reachable(t, s.second)
	third.Configure(t, backuphost.Server("main", map[string]any{
		"primary_ssh_command": strings.Join(behindSecond.Command(s.second.User, s.second.User), " "), "compression": "gzip",
	}))
	cronUntil(t, s.second, "copy the backup", func() bool { return s.allDone(t) })
	cronUntil(t, third, "copy the copy", func() bool {
		b := third.Backups(t, "main")
		return len(b) == 1 && b[0].Status == string(catalog.StatusDone)
	})
	// Mirrors are running now, and follow the load over the ends of segments and what is archived of them.
	for range 3 {
		if err := s.ledger.WaitCommits(t.Context(), 50); err != nil {
			t.Fatal(err)
		}
		s.postgres.MustSQL(t, "SELECT pg_switch_wal()")
	}
	if err := s.ledger.WaitCommits(t.Context(), 100); err != nil {
		t.Fatal(err)
	}
	safe := s.ledger.Commits()
	reached := safe[len(safe)-1].Before + 8192 // a position is told by pages
	begin := time.Now()
	for _, h := range []*backuphost.Host{s.second, third} {
		t.Cleanup(func() { _ = h.Command(context.Background(), "receive-wal", "--stop", "main").Run() })
		waitMirrored(t, h, reached)
		t.Logf("a site has WAL of %v ago", time.Since(begin).Round(time.Millisecond))
	}
	s.sshd.Stop()
	behindSecond.Stop()
	s.loseFirstSite(t)
	for name, h := range map[string]*backuphost.Host{"second": s.second, "third": third} {
		s.second = h
		rows := map[int64]bool{}
		for _, v := range s.recoverSecond(t, "latest") {
			rows[v] = true
		}
		lost := 0
		for _, c := range safe {
			if c.Acknowledged() && !rows[c.Value] {
				lost++
			}
		}
		all := s.ledger.Commits()
		newest := time.Time{}
		for _, c := range all {
			if rows[c.Value] && c.Ended.After(newest) {
				newest = c.Ended
			}
		}
		t.Logf("%s site: %d of %d commits; the last %v are lost", name, len(rows), len(all), all[len(all)-1].Started.Sub(newest))
		if lost > 0 {
			t.Errorf("%s site: %d commits are lost that it had, by its status", name, lost)
		}
	}
}

var upTo = regexp.MustCompile(`WAL up to ([0-9A-F]+/[0-9A-F]+)`)

// waitMirrored waits until a host says that it has WAL up to a position.
func waitMirrored(t *testing.T, h *backuphost.Host, position wal.LSN) {
	t.Helper()
	out := ""
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		out = h.Must(t, "status", "main")
		m := upTo.FindStringSubmatch(out)
		if m == nil {
			continue
		}
		if at, err := wal.ParseLSN(m[1]); err != nil {
			t.Fatal(err)
		} else if at >= position {
			return
		}
	}
	t.Fatalf("WAL up to %s does not arrive:\n%s", position, out)
}
