package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// TestMistakesAreExplained types what people mistype: every command ends with the exit code of Barman and says what is wrong and where.
func TestMistakesAreExplained(t *testing.T) {
	host := backuphost.New(t)
	unreadable := filepath.Join(host.Dir, "unreadable.hcl")
	host.WriteFile(t, unreadable, `barman { barman_home = "/x" }`, 0o000)
	missing := filepath.Join(host.Dir, "missing.hcl")
	broken := filepath.Join(host.Dir, "broken.hcl")
	host.WriteFile(t, broken, "barman {\n  barman_home = \n}\n", 0o644)
	nowhere := &lab.Cluster{Port: 1}
	host.Configure(t,
		backuphost.Server("main", localServer(nowhere, nil)),
		backuphost.Server("typo", localServer(nowhere, map[string]any{"retention_polcy": "REDUNDANCY 2"})))
	for _, c := range []struct {
		story string
		args  []string
		exit  int
		says  []string
	}{
		{"configuration that is not there", []string{"-c", missing, "list-backups", "main"}, 1, []string{missing}},
		{"configuration that cannot be read", []string{"-c", unreadable, "list-backups", "main"}, 1, []string{unreadable, "permission denied"}},
		{"configuration that is no HCL", []string{"-c", broken, "list-backups", "main"}, 1, []string{"broken.hcl", "2"}},
		{"misspelt option in the file", []string{"config", "validate"}, 0, []string{"barman.hcl", "retention_polcy", "retention_policy"}},
		{"misspelt option", []string{"backup", "--imediate-checkpoint", "main"}, 2, []string{"--imediate-checkpoint", "barman backup --help"}},
		{"ambiguous option", []string{"backup", "--retry", "3", "main"}, 2, []string{"--retry-sleep", "--retry-times"}},
		{"misspelt command", []string{"lst-backups", "main"}, 2, []string{"lst-backups", "list-backups"}},
		{"value that is no number", []string{"backup", "--jobs", "many", "main"}, 2, []string{"many"}},
		{"missing argument", []string{"recover", "main"}, 2, []string{"barman recover --help"}},
		{"unknown server", []string{"backup", "mian"}, 1, []string{"Unknown server 'mian'"}},
		{"unknown backup", []string{"show-backup", "main", "20200101T000000"}, 1, []string{"Unknown backup '20200101T000000' for server 'main'"}},
		{"unknown target action", []string{"recover", "--target-action", "hope", "main", "latest", "/tmp/x"}, 2, []string{"hope"}},
	} {
		t.Run(c.story, func(t *testing.T) {
			host.Refused(t, c.exit, c.says, c.args...)
		})
	}
	// One misspelt option takes nothing else away.
	if r := host.Barman(t, "list-servers", "--minimal"); !strings.Contains(r.Stdout, "main") || !strings.Contains(r.Stdout, "typo") {
		t.Errorf("list-servers: exit code %d: %s%s", r.Exit, r.Stdout, r.Stderr)
	}
}

// TestPluginsThatAreMissingOrDoNotWork needs a plugin that is not there, then one that nobody may trust, then one that does not
// start. Nothing is lost: the WAL stays where it is, and is archived when the configuration is right.
func TestPluginsThatAreMissingOrDoNotWork(t *testing.T) {
	host, primary := small(t, nil)
	mark(t, primary, "one")
	segment := primary.MustSQL(t, "SELECT pg_walfile_name(pg_current_wal_lsn())")
	if err := waitArchived(t.Context(), primary, segment); err != nil {
		t.Fatal(err)
	}
	configure := func(more map[string]any) {
		host.Configure(t, backuphost.Server("main", localServer(primary, more)))
	}
	configure(map[string]any{"compression": "zsdt"})
	host.Refused(t, 1, []string{"zsdt", "zstd", "looked in", host.Build.Plugins}, "archive-wal", "main")
	configure(map[string]any{"backup_method": "zfs"})
	host.Refused(t, 1, []string{"transfer plugin", "zfs", "looked in", host.Build.Plugins}, "backup", "main")

	prefix := filepath.Join(host.Dir, "plugins")
	host.MakeDir(t, prefix)
	plugin := filepath.Join(prefix, "barman-compress-acme")
	host.WriteFile(t, plugin, "#!/bin/sh\necho cannot read my licence file >&2\nexit 3\n", 0o777)
	if err := os.Chmod(plugin, 0o777); err != nil {
		t.Fatal(err)
	}
	configure(map[string]any{"compression": "acme", "path_prefix": []string{prefix, filepath.Dir(pgTool(t, "pg_basebackup"))}})
	host.Refused(t, 1, []string{plugin, "writ"}, "archive-wal", "main")
	if err := os.Chmod(plugin, 0o755); err != nil {
		t.Fatal(err)
	}
	host.Refused(t, 1, []string{plugin, "cannot read my licence file"}, "archive-wal", "main")

	if _, err := os.Stat(filepath.Join(host.Layout("main").Incoming, segment)); err != nil {
		t.Errorf("the WAL is not where it was: %v", err)
	}
	configure(map[string]any{"compression": "zstd"})
	host.Must(t, "archive-wal", "main")
	host.CheckAcknowledged(t, "main", host.Acknowledged(t, "main"))
}

func pgTool(t *testing.T, name string) string {
	t.Helper()
	installation, err := lab.FindPostgres(0)
	if err != nil {
		t.Skip(err)
	}
	return filepath.Join(installation.Bin, name)
}

// TestCorruptBackupInfoHidesNothingElse damages one backup.info: that backup is reported, the others are listed and usable.
func TestCorruptBackupInfoHidesNothingElse(t *testing.T) {
	host, primary := small(t, nil)
	mark(t, primary, "one")
	host.Must(t, "backup", "--wait", "main")
	first := host.Latest(t, "main")
	host.Must(t, "backup", "--wait", "main")
	second := host.Latest(t, "main")
	info := host.Layout("main").InfoPath(first.ID)
	sound, err := os.ReadFile(info)
	if err != nil {
		t.Fatal(err)
	}
	host.WriteFile(t, info, "begin_time=when the music plays\nstatus=\x00", 0o600)

	out := host.Refused(t, 1, []string{first.ID, "cannot be read"}, "list-backups", "main")
	if !strings.Contains(out, "main "+second.ID) {
		t.Errorf("the sound backup is not listed:\n%s", out)
	}
	host.Refused(t, 1, []string{first.ID}, "show-backup", "main", first.ID)
	host.Refused(t, 1, []string{first.ID}, "delete", "main", first.ID)
	host.Must(t, "cron")
	host.Must(t, "show-backup", "main", second.ID)
	if got := marks(t, startRestored(t, host, second.ID)); got != "one" {
		t.Errorf("marks %q", got)
	}
	// The damaged backup's files are all there for whoever repairs it.
	host.WriteFile(t, info, string(sound), 0o600)
	if got := marks(t, startRestored(t, host, first.ID)); got != "one" {
		t.Errorf("marks of the repaired backup: %q", got)
	}
}

// TestRestoreIsRefusedBeforeAByteIsCopied asks for what cannot be: the plan says so, and the restore does nothing. Then it does what the
// runbook says.
func TestRestoreIsRefusedBeforeAByteIsCopied(t *testing.T) {
	host, primary := small(t, map[string]any{"compression": "zstd"})
	if _, err := primary.CreateTablespace(t.Context(), "space"); err != nil {
		t.Fatal(err)
	}
	before := mark(t, primary, "before")
	host.Must(t, "backup", "--wait", "main")
	after := mark(t, primary, "after")
	host.Must(t, "switch-wal", "--archive", "main")
	lost := mark(t, primary, "not archived")
	const layout = "2006-01-02 15:04:05.000000+00:00"
	sshd := lab.StartSSHD(t)
	silent := strings.Join(sshd.Command(host.User, primary.Owner), " ")
	sshd.Stop()
	for _, c := range []struct {
		story string
		args  []string
		says  []string
	}{
		{"time before the end of the backup", []string{"--target-time", before.Ended.Format(layout)}, []string{"is before the backup end time"}},
		{"time after the last WAL", []string{"--target-time", lost.Ended.Format(layout)}, []string{"last WAL", "switch-wal"}},
		{"time in the future", []string{"--target-time", "2999-01-01 00:00:00+00"}, []string{"future"}},
		{"time that is none", []string{"--target-time", "tomorrow-ish"}, []string{"tomorrow-ish"}},
		{"LSN before the end of the backup", []string{"--target-lsn", before.After.String()}, []string{before.After.String()}},
		{"LSN after the last WAL", []string{"--target-lsn", lost.After.String()}, []string{lost.After.String()}},
		{"LSN that is none", []string{"--target-lsn", "here"}, []string{"here"}},
		{"two targets", []string{"--target-xid", "700", "--target-time", after.Ended.Format(layout)}, []string{"target"}},
		{"unknown timeline", []string{"--target-tli", "7"}, []string{"7"}},
		{"unknown tablespace", []string{"--tablespace", "fast:/tmp/fast"}, []string{"fast"}},
		{"host that does not answer", []string{"--remote-ssh-command", silent}, []string{"Unable to connect to the target host", "refused"}},
	} {
		t.Run(c.story, func(t *testing.T) {
			dir := lab.ScratchDir(t)
			host.MakeDir(t, dir)
			args := append(c.args, "--tablespace", "space:"+filepath.Join(dir, "space"), "main", "latest", filepath.Join(dir, "data"))
			refused(t, host, dir, c.says, args...)
		})
	}
	t.Run("destination that is not empty", func(t *testing.T) {
		dir := lab.ScratchDir(t)
		host.WriteFile(t, filepath.Join(dir, "precious"), "do not lose me", 0o600)
		refused(t, host, dir, []string{dir, "not empty"}, "main", "latest", dir)
	})
	t.Run("destination that cannot be written", func(t *testing.T) {
		dir := lab.ScratchDir(t)
		host.MakeDir(t, filepath.Join(dir, "sealed"))
		if err := os.Chmod(filepath.Join(dir, "sealed"), 0o555); err != nil {
			t.Fatal(err)
		}
		refused(t, host, dir, []string{"cannot be written"}, "main", "latest", filepath.Join(dir, "sealed", "data"))
	})
	t.Run("PostgreSQL runs in the destination", func(t *testing.T) {
		says := []string{"PostgreSQL is running in the destination", "Stop it first"}
		refused(t, host, filepath.Join(primary.Data, "global"), says, "--delta-restore", "main", "latest", primary.Data)
		if got := marks(t, primary); got != "before after not archived" {
			t.Errorf("marks %q", got)
		}
	})
	t.Run("cluster of another version", func(t *testing.T) {
		dir := lab.ScratchDir(t)
		host.WriteFile(t, filepath.Join(dir, "PG_VERSION"), "9.6\n", 0o600)
		refused(t, host, dir, []string{"holds a cluster of PostgreSQL 9.6"}, "--delta-restore", "main", "latest", dir)
	})
	t.Run("base file that was cut", func(t *testing.T) {
		host.Must(t, "generate-manifest", "main", "latest")
		dir, file := lab.ScratchDir(t), filepath.Join(host.Layout("main").DataPath(host.Latest(t, "main").ID), "PG_VERSION")
		sound, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		host.MakeDir(t, dir)
		host.WriteFile(t, file, "1", 0o600)
		defer host.WriteFile(t, file, string(sound), 0o600)
		refused(t, host, dir, []string{"is damaged", "PG_VERSION", "verify-backup"}, "main", "latest", filepath.Join(dir, "data"))
	})
	t.Run("runbook", func(t *testing.T) { runbook(t, host, primary, after, "before after", "before after not archived") })
}

// refused asks for the plan of a restore and then for the restore: both end with exit code 1 and name the words, and leave dir as it was.
func refused(t *testing.T, host *backuphost.Host, dir string, says []string, args ...string) {
	t.Helper()
	state := func() string {
		var lines []string
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err == nil {
				lines = append(lines, fmt.Sprint(path, info.Mode(), info.Size(), info.ModTime()))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(lines, "\n")
	}
	was := state()
	plan := host.Barman(t, append([]string{"recover", "--plan"}, args...)...)
	// The plan breaks its lines to fit a terminal.
	plan.Stdout = strings.Join(strings.Fields(plan.Stdout), " ")
	backuphost.CheckRefusal(t, plan, 1, says, append([]string{"recover", "--plan"}, args...)...)
	host.Refused(t, 1, says, append([]string{"recover"}, args...)...)
	if is := state(); is != was {
		t.Errorf("the destination has changed from\n%s\nto\n%s", was, is)
	}
}
