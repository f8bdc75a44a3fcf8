package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/shlex"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// chapter is a part of a page, from its heading to the next.
func chapter(t *testing.T, page, heading string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + page)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n"+heading+"\n")
	if !found {
		t.Fatalf("%s has no chapter %q", page, heading)
	}
	rest, _, _ = strings.Cut(rest, "\n##")
	return rest
}

// follow runs the commands of barman in a text, with some words replaced, and returns what they print.
func follow(t *testing.T, host *backuphost.Host, text string, replace *strings.Replacer) string {
	t.Helper()
	out, commands := "", 0
	for line := range strings.Lines(text) {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ barman ")
		if !ok {
			continue
		}
		words, err := shlex.Split(replace.Replace(command))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		out += host.Must(t, words...)
		commands++
	}
	if commands == 0 {
		t.Error("no commands in", text)
	}
	return out
}

// runbook does what docs/recovery.md says, word for word but for directories, the other host and the time. The target is the moment
// of a mark: it and what was committed before are wanted.
func runbook(t *testing.T, host *backuphost.Host, primary *lab.Cluster, target lab.Commit, wanted, all string) {
	dir := lab.ScratchDir(t)
	sshd := lab.StartSSHD(t)
	replace := strings.NewReplacer("/srv", dir, "ssh postgres@db2", strings.Join(sshd.Command(host.User, primary.Owner), " "),
		"2026-01-10 14:29:00+01:00", target.Ended.Format("2006-01-02 15:04:05.000000+00:00"))
	step := func(heading string) string {
		t.Helper()
		return follow(t, host, chapter(t, "recovery.md", heading), replace)
	}
	start := func(name string, settings map[string]string) *lab.Cluster {
		t.Helper()
		return lab.OpenCluster(t, filepath.Join(dir, name, "data"), lab.ClusterOptions{Settings: settings})
	}
	expect := func(c *lab.Cluster, query, value string) {
		t.Helper()
		if err := c.WaitSQL(t.Context(), query, value); err != nil {
			t.Fatalf("%v\n%s", err, c.LogTail(20))
		}
	}
	host.MakeDir(t, dir)

	step("## 1. Look what there is")
	if out := step("## 3. Ask for the plan"); !strings.Contains(out, "OK  The restore can start") {
		t.Errorf("the plan:\n%s", out)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the plan has left %v, %v", left, err)
	}
	if out := step("### On this host"); !strings.Contains(out, "archives no WAL") {
		t.Errorf("the report does not say that nothing is archived:\n%s", out)
	}
	step("### On another host")
	step("### Without copying the WAL")
	step("### A standby")
	compressed := map[string]any{"backup_method": "postgres", "streaming_conninfo": primary.Conninfo("", ""), "backup_compression": "gzip"}
	host.Configure(t, backuphost.Server("main", localServer(primary, compressed)))
	host.Must(t, "backup", "--wait", "main")
	if out := step("### A compressed backup"); !strings.Contains(out, "Tools there rsync") || !strings.Contains(out, "gzip 1") {
		t.Errorf("the plan does not show the tools of the other host:\n%s", out)
	}

	for name, query := range map[string]string{"two": "f", "four": "t"} {
		c := start(name, nil)
		expect(c, "SELECT pg_is_in_recovery()", query)
		expect(c, "SELECT string_agg(name, ' ' ORDER BY number) FROM marks", all)
		if err := c.Stop(lab.Fast); err != nil {
			t.Error(err)
		}
	}
	one := start("one", map[string]string{"archive_mode": "on", "archive_command": host.ArchiveCommand(t, "main")})
	expect(one, "SELECT pg_get_wal_replay_pause_state()", "paused")
	if got := marks(t, one); got != wanted {
		t.Errorf("marks %q, want %q", got, wanted)
	}
	one.MustSQL(t, "SELECT pg_wal_replay_resume()")
	expect(one, "SELECT pg_is_in_recovery()", "f")
	host.Configure(t, backuphost.Server("main", localServer(one, nil)))
	step("## 6. Afterwards")
	if b := host.Latest(t, "main"); b.Status != catalog.StatusDone || b.Timeline < 2 {
		t.Errorf("the first backup of the restored server is %s on timeline %d", b.Status, b.Timeline)
	}
}
