package faults

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/lock"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// deathWatch is how long anything of barman may live on after it, its plugin or its tool was killed.
const deathWatch = 5 * time.Second

// victim is what a round kills.
type victim string

const (
	barman victim = "barman"
	plugin victim = "the plugin"
	tool   victim = "the tool"
)

// find looks for the victim in the family of a barman.
func (r round) find(root int, family []process) (process, bool) {
	pluginName := "barman-compress-" + r.archive
	if r.backup != "" {
		pluginName = "barman-transfer-" + r.backup
	}
	for _, p := range family {
		var wanted bool
		switch r.victim {
		case barman:
			wanted = p.pid == root
		case plugin:
			wanted = p.name == pluginName
		case tool:
			wanted = slices.Contains([]string{"rsync", "pg_basebackup", "gzip"}, p.name)
		}
		if wanted {
			return p, true
		}
	}
	return process{}, false
}

// round is one murder.
type round struct {
	// backup is the method of a backup, archive the compression of an archive-wal; the other one is empty.
	backup, archive string
	victim          victim
}

// rounds are thirty: fifteen of backup with each method, fifteen of archive-wal with several compressors. The filters of "custom" are
// the only tools that archive-wal has.
func rounds() []round {
	var all []round
	for _, method := range []string{"local-rsync", "rsync", "postgres"} {
		for _, v := range []victim{barman, plugin, tool, barman, plugin} {
			all = append(all, round{backup: method, victim: v})
		}
	}
	for _, compression := range []string{"gzip", "zstd", "lz4"} {
		for _, v := range []victim{barman, plugin, barman, plugin} {
			all = append(all, round{archive: compression, victim: v})
		}
	}
	for _, v := range []victim{tool, tool, plugin} {
		all = append(all, round{archive: "custom", victim: v})
	}
	return all
}

// TestKill9LosesNothing kills barman, its plugins and its tools, thirty times, at random moments, while the server works. Each time:
// nothing of ours remains, nothing acknowledged is lost, no lock is stuck, no backup is falsely DONE, and cron and backup work.
func TestKill9LosesNothing(t *testing.T) {
	s := newScene(t, newRandom(t))
	all := rounds()
	if len(all) != 30 {
		t.Fatalf("%d rounds", len(all))
	}
	s.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for i, r := range all {
		t.Run(fmt.Sprintf("%02d %s%s, %s", i+1, r.backup, r.archive, r.victim), func(t *testing.T) { s.play(t, r) })
		if t.Failed() {
			break // what follows would only repeat it
		}
	}
	if !t.Failed() {
		s.epilogue(t)
	}
}

// scene is a working server and the host that backs it up.
type scene struct {
	host    *backuphost.Host
	primary *lab.Cluster
	ledger  *lab.Ledger
	ssh     string
	random  *rand.Rand
	// seen are the acknowledged WAL files that were compared already.
	seen map[string]bool
}

func newScene(t *testing.T, random *rand.Rand) *scene {
	host := backuphost.New(t)
	ownPrograms(t, host)
	s := &scene{host: host, random: random, seen: map[string]bool{}}
	s.primary = lab.StartCluster(t, lab.ClusterOptions{ArchiveCommand: host.ArchiveCommand(t, "main"), WALSegmentSizeMB: 1})
	s.ssh = strings.Join(lab.StartSSHD(t).Command(s.primary.Owner, s.primary.Owner), " ")
	s.configure(t, "local-rsync", "gzip")
	if err := s.primary.InitPgbench(t.Context(), 1, ""); err != nil {
		t.Fatal(err)
	}
	s.ledger = s.primary.StartLedger(t, lab.LedgerOptions{Writers: 2, Pause: 20 * time.Millisecond})
	host.Must(t, "switch-wal", "--force", "--archive", "main")
	host.Must(t, "backup", "--wait", "main")
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
	options := map[string]any{
		"conninfo": s.primary.Conninfo("", ""), "streaming_conninfo": s.primary.Conninfo("", ""), "backup_method": method,
		"backup_options": "concurrent_backup", "archiver": true, "immediate_checkpoint": true, "compression": compression,
		"retention_policy": "REDUNDANCY 2", "parallel_jobs": 2,
	}
	if method == "rsync" {
		options["ssh_command"] = s.ssh
	}
	if compression == "custom" {
		options["custom_compression_filter"], options["custom_decompression_filter"] = "gzip -c", "gzip -d -c"
		options["custom_compression_magic"] = "0x1f8b0800"
	}
	s.host.Configure(t, backuphost.Server("main", options))
}

// play kills once and looks what has become of everything.
func (s *scene) play(t *testing.T, r round) {
	method, compression := r.backup, r.archive
	if method == "" {
		method = "local-rsync"
	}
	if compression == "" {
		compression = "zstd"
	}
	s.configure(t, method, compression)
	before := s.ids(t)
	w := &witness{known: map[int]bool{}}
	result := s.murder(t, r, w)
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
	const sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'barman%' OR backend_type = 'walsender'"
	if err := s.primary.WaitSQL(t.Context(), sessions, "0"); err != nil {
		t.Errorf("sessions of barman are left: %v", err)
	}
	unfinished := s.checkKilledBackup(t, before, result)

	// The next cron repairs what there is to repair, and reports every killed backup as FAILED.
	s.host.Must(t, "cron")
	after := s.ids(t)
	for _, id := range unfinished {
		if after[id] != catalog.StatusFailed {
			t.Errorf("after cron the killed backup %s is %s", id, after[id])
		}
	}
	s.checkAcknowledged(t)
	s.host.Must(t, "backup", "--wait", "main")
	if got := s.host.Backups(t, "main")[0]; got.Status != "DONE" {
		t.Errorf("the next backup is %s", got.Status)
	}
	for _, b := range s.host.Backups(t, "main") {
		if b.Status == "FAILED" {
			s.host.Must(t, "delete", "main", b.ID)
		}
	}
}

// murder runs the operation and kills its victim somewhere in the middle. When the operation was over too early, it is run again.
func (s *scene) murder(t *testing.T, r round, w *witness) lab.Result {
	t.Helper()
	for range 40 {
		args := []string{"backup", "--bwlimit", "15000", "main"}
		// A copy of about 40 MB at this rate, by two processes.
		longest := 2500 * time.Millisecond
		if r.archive != "" {
			s.fillIncoming(t)
			args, longest = []string{"archive-wal", "main"}, 400*time.Millisecond
		}
		result, killed := s.attack(t, r, w, time.Duration(s.random.Int64N(int64(longest))), args)
		if killed {
			return result
		}
		// It succeeded, as it should when nobody disturbs it.
		if result.Exit != 0 {
			t.Fatalf("barman %s without a murder: exit code %d\n%s%s", args, result.Exit, result.Stdout, result.Stderr)
		}
	}
	t.Fatal("the victim never lived long enough to be killed")
	return lab.Result{}
}

// attack starts barman, lets it work for a while, and from then on kills the first victim it sees.
func (s *scene) attack(t *testing.T, r round, w *witness, delay time.Duration, args []string) (result lab.Result, killed bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := s.host.Command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // the exit code says it all
	}()
	for next := delay; !killed; next = 2 * time.Millisecond {
		select {
		case <-ended:
			return lab.Result{Stdout: stdout.String(), Stderr: stderr.String(), Exit: cmd.ProcessState.ExitCode()}, false
		case <-time.After(next):
		}
		if p, found := r.find(cmd.Process.Pid, w.look(cmd.Process.Pid)); found && kill9(p.pid) {
			killed = true
			t.Logf("killed %s (%s) of barman %s after %s", r.victim, p.name, args[0], delay)
		}
	}
	<-ended
	return lab.Result{Stdout: stdout.String(), Stderr: stderr.String(), Exit: cmd.ProcessState.ExitCode()}, true
}

// fillIncoming makes the server deliver a few segments of WAL that do not compress well.
func (s *scene) fillIncoming(t *testing.T) {
	t.Helper()
	s.primary.MustSQL(t, "SELECT pg_logical_emit_message(false, 'fill', (SELECT string_agg(md5(random()::text || m || n), '') "+
		"FROM generate_series(1, 30000) m)) FROM generate_series(1, 16) n")
	last := s.primary.MustSQL(t, "SELECT pg_walfile_name(pg_switch_wal())")
	if err := s.primary.WaitSQL(t.Context(), "SELECT last_archived_wal >= '"+last+"' FROM pg_stat_archiver", "t"); err != nil {
		t.Fatal(err)
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

// checkLocks looks for locks that somebody still holds.
func checkLocks(t *testing.T, host *backuphost.Host) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(host.Locks, ".*.lock"))
	if err != nil || len(files) == 0 {
		t.Errorf("lock files: %v, %v", files, err)
	}
	for _, path := range files {
		if held, holder, err := lock.Probe(path); err != nil || held {
			t.Errorf("%s is held by %v (%v)", path, holder, err)
		}
	}
}

// checkKilledBackup looks at what a disturbed backup has left. A barman that lives has to record the failure itself, unless it overcame
// it; one that died leaves a backup that nobody takes for a whole one, or died after the backup was whole. What counts as whole is
// restored and started; the others are returned.
func (s *scene) checkKilledBackup(t *testing.T, before map[string]catalog.Status, result lab.Result) (unfinished []string) {
	t.Helper()
	for id, status := range s.ids(t) {
		if _, old := before[id]; old {
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
