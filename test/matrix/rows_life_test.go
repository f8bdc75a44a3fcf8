package matrix

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// lifeRows are what happens around a backup, whatever the method.
func lifeRows() []row {
	return []row{
		{name: "immediate_checkpoint", options: option("immediate_checkpoint", true), taken: checkpoint(fast)},
		{name: "--immediate-checkpoint", backup: []string{"--immediate-checkpoint"}, taken: checkpoint(fast)},
		{
			name: "--no-immediate-checkpoint", options: option("immediate_checkpoint", true), backup: []string{"--no-immediate-checkpoint"},
			taken: checkpoint(spread),
		},
		{name: "--name", backup: []string{"--name", "weekly"}, taken: named},
		{name: "--wait-timeout, WAITING_FOR_WALS, check-backup", by: waitInVain},
		{name: "interrupted: FAILED, and the next one is good", before: interrupt},
		{name: "a failed backup is not built upon", options: option("reuse_backup", "link"), before: failBefore, taken: builtOnTheLastGoodOne},
		{name: "a running backup is shown", before: showRunning},
		{name: "recover --target-immediate", immediate: true},
		{name: "generate-manifest, verify-backup", taken: manifested},
		{name: "backup --jobs-servers 2 all", by: everyServer},
	}
}

// The kinds of checkpoint by what the server logs about them; version 18 has another word.
var (
	fast   = []string{"checkpoint starting: immediate force wait", "checkpoint starting: fast force wait"}
	spread = []string{"checkpoint starting: force wait"}
)

func checkpoint(kind []string) func(*testing.T, *trial) {
	return func(t *testing.T, tr *trial) {
		if !slices.ContainsFunc(kind, func(line string) bool { return strings.Contains(tr.log, line) }) {
			t.Errorf("the server did not log %q during the backup:\n%s", kind, tr.log)
		}
	}
}

func named(t *testing.T, tr *trial) {
	if tr.info.BackupName != "weekly" {
		t.Errorf("the backup's name is %q", tr.info.BackupName)
	}
	if out := tr.host.Must(t, "show-backup", "main", "weekly"); !strings.Contains(out, tr.info.ID) {
		t.Errorf("show-backup of the name says\n%s", out)
	}
	tr.host.Must(t, "check-backup", "main", "weekly")
}

// manifested has a manifest made of the backup, and everybody agree that it is right: we ourselves, and PostgreSQL.
func manifested(t *testing.T, tr *trial) {
	tr.host.Must(t, "generate-manifest", "main", tr.info.ID)
	tr.host.Must(t, "verify-backup", "main", tr.info.ID)
	result, err := lab.Run(tr.primary.Tool(t.Context(), "pg_verifybackup", "--no-parse-wal", tr.data()))
	if err != nil || result.Exit != 0 {
		t.Errorf("pg_verifybackup: %v\n%s", err, result.Stderr)
	}
}

// everyServer backs up a second server beside the first one.
func everyServer(t *testing.T, tr *trial) {
	second := lab.StartCluster(t, lab.ClusterOptions{Version: tr.major, ArchiveCommand: tr.host.ArchiveCommand(t, "second"), WALSegmentSizeMB: 4})
	options, _, _ := tr.merged(t, nil)
	other := maps.Clone(options)
	other["conninfo"], other["streaming_conninfo"] = second.Conninfo("", ""), second.Conninfo("", "")
	tr.host.Configure(t, backuphost.Server("main", options), backuphost.Server("second", other))
	tr.host.Must(t, "switch-wal", "--force", "--archive", "second") // check wants to see WAL
	tr.output = tr.host.Must(t, slices.Concat([]string{"backup", "--wait", "--jobs-servers", "2"}, tr.args, []string{"all"})...)
	if b := tr.host.Latest(t, "second"); b.Status != catalog.StatusDone {
		t.Errorf("the backup of the second server is %s:\n%s", b.Status, tr.output)
	}
	if err := tr.outOfBackup(t.Context(), second); err != nil {
		t.Error(err)
	}
}

// waitInVain takes a backup while WAL is held up on its way: it is not DONE before its WAL is there.
func waitInVain(t *testing.T, tr *trial) {
	parked := filepath.Join(tr.host.Dir, "parked")
	tr.host.MakeDir(t, parked)
	archive := tr.primary.MustSQL(t, "SHOW archive_command")
	if err := tr.primary.Set(t.Context(), map[string]string{"archive_command": "cp %p " + parked + "/%f"}); err != nil {
		t.Fatal(err)
	}
	args := slices.Concat([]string{"backup", "--wait", "--wait-timeout", "1"}, tr.args, []string{"main"})
	r := tr.host.Barman(t, args...)
	tr.output = r.Stdout
	for _, want := range []string{"has not been received in 1 seconds", "WAITING_FOR_WALS"} {
		if !strings.Contains(r.Stdout+r.Stderr, want) || r.Exit != 1 {
			t.Errorf("exit code %d; %q is missing in\n%s%s", r.Exit, want, r.Stdout, r.Stderr)
		}
	}
	tr.host.Must(t, "check-backup", "main", "latest")
	if got := tr.newest(t).Status; got != catalog.StatusWaitingForWALs {
		t.Errorf("without its WAL the backup is %s", got)
	}
	if err := tr.primary.Set(t.Context(), map[string]string{"archive_command": archive}); err != nil {
		t.Fatal(err)
	}
	tr.deliver(t, parked)
	tr.host.Must(t, "archive-wal", "main")
	tr.host.Must(t, "check-backup", "main", "latest")
}

// deliver moves WAL that was held up into incoming/, once PostgreSQL's archiver leaves the old place alone.
func (s *scene) deliver(t *testing.T, parked string) {
	t.Helper()
	s.primary.MustSQL(t, "SELECT pg_switch_wal()")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		newest := s.primary.MustSQL(t, "SELECT last_archived_wal FROM pg_stat_archiver")
		if _, err := os.Stat(filepath.Join(parked, newest)); err != nil {
			break // it went the proper way
		}
		if time.Now().After(deadline) {
			t.Fatal("PostgreSQL does not take the new archive_command")
		}
	}
	entries, err := os.ReadDir(parked)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(parked, e.Name()), filepath.Join(s.host.Layout("main").Incoming, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
}

// running is a backup that has begun.
type running struct {
	id     string
	output *bytes.Buffer
	// end sends the signal, unless it is 0, waits, and returns the exit code.
	end func(syscall.Signal) int
}

// startSlowly starts a backup that takes a while, at a rate in kB/s, and waits until PostgreSQL is in backup mode.
func (s *scene) startSlowly(t *testing.T, rate int) running {
	t.Helper()
	return s.start(t, "--immediate-checkpoint", "--reuse-backup=off", "--bwlimit", strconv.Itoa(rate), "main")
}

// start starts a backup and waits until PostgreSQL is in backup mode.
func (s *scene) start(t *testing.T, args ...string) running {
	t.Helper()
	cmd := s.host.Command(context.Background(), append([]string{"backup"}, args...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // the exit code says it all
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		list, err := s.host.Catalog("main").List()
		if err != nil {
			t.Fatal(err)
		}
		started := list.With(catalog.StatusStarted)
		if len(started) == 0 {
			continue
		}
		return running{started[0].ID, &out, func(signal syscall.Signal) int {
			_ = cmd.Process.Signal(signal)
			<-ended
			return cmd.ProcessState.ExitCode()
		}}
	}
	t.Fatal("the backup does not start")
	return running{}
}

// failBefore sees to it that the newest backup has failed, and that there is a good one before it.
func failBefore(t *testing.T, s *scene) {
	backUpOnce(t, s)
	list, err := s.host.Catalog("main").List()
	if err != nil {
		t.Fatal(err)
	}
	if failed := list.Last(catalog.StatusFailed); failed == nil || failed.ID < s.newest(t).ID {
		interrupt(t, s)
	}
}

// interrupt ends a backup with SIGTERM in the middle of its copy.
func interrupt(t *testing.T, s *scene) {
	r := s.startSlowly(t, 2000)
	if exit := r.end(syscall.SIGTERM); exit <= 0 {
		t.Errorf("an interrupted backup ended with exit code %d:\n%s", exit, r.output)
	}
	b, err := s.host.Catalog("main").Load(r.id)
	if err != nil {
		t.Fatal(err)
	}
	if b.Status != catalog.StatusFailed || !strings.Contains(b.Error, "failure ") {
		t.Errorf("the interrupted backup %s is %s, because of %q", b.ID, b.Status, b.Error)
	}
	if err := s.outOfBackup(t.Context(), s.primary); err != nil {
		t.Error(err)
	}
}

// builtOnTheLastGoodOne wants nothing of the failed backup, which is the one just before.
func builtOnTheLastGoodOne(t *testing.T, tr *trial) {
	if shared, _ := tr.shared(t); shared == 0 {
		t.Errorf("nothing is shared with the last good backup, %s", tr.previous.ID)
	}
}

// showRunning looks at a backup while it runs.
func showRunning(t *testing.T, s *scene) {
	r := s.startSlowly(t, 2000)
	for _, b := range s.host.Backups(t, "main") {
		if b.ID == r.id && b.Status != string(catalog.StatusStarted) {
			t.Errorf("list-backups says %s about the running backup %s", b.Status, b.ID)
		}
	}
	if out := s.host.Must(t, "list-backups", "main"); !regexp.MustCompile(r.id + `.* STARTED\n`).MatchString(out) {
		t.Errorf("list-backups does not show %s:\n%s", r.id, out)
	}
	if out := s.host.Must(t, "status", "main"); !strings.Contains(out, "Backup in progress: "+r.id) {
		t.Errorf("status does not show %s:\n%s", r.id, out)
	}
	s.host.Refused(t, 1, []string{"Another backup process is running"}, "backup", "main")
	r.end(syscall.SIGINT)
}
