package e2e

import (
	"strings"
	"testing"

	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// TestSwitchWAL closes segments and waits for them: for the one that was closed, for any one when there was nothing to close, and
// in vain.
func TestSwitchWAL(t *testing.T) {
	host := backuphost.New(t)
	command := host.ArchiveCommand(t, "main")
	primary := startPrimary(t, command)
	replica := primary.StartStandby(t, lab.ClusterOptions{})
	host.Configure(t,
		backuphost.Server("main", localServer(primary, nil)),
		backuphost.Server("replica", localServer(replica, nil)),
		backuphost.Server("viaprimary", localServer(replica, map[string]any{"primary_conninfo": primary.Conninfo("", "")})))
	host.Must(t, "switch-wal", "--force", "--archive", "main")

	// nothingToClose switches until nothing was written since the last time: PostgreSQL now and then writes a record of its own.
	nothingToClose := func(prepare func(), args ...string) string {
		for range 5 {
			prepare()
			if out := host.Must(t, append([]string{"switch-wal"}, args...)...); strings.Contains(out, "No switch required for server 'main'") {
				return out
			}
		}
		t.Fatal("there is always something to close")
		return ""
	}
	expect := func(out string, lines ...string) {
		t.Helper()
		for _, line := range lines {
			if !strings.Contains(out, line+"\n") {
				t.Errorf("output without %q:\n%s", line, out)
			}
		}
	}

	expect(nothingToClose(func() {}, "--archive", "--archive-timeout", "1", "main"),
		"Waiting for a WAL file from server 'main' to be archived (max: 1 seconds)",
		"A WAL file has not been received in 1 seconds")

	// What PostgreSQL closed by itself arrives a little later.
	set := func(command string) {
		t.Helper()
		if err := primary.Set(t.Context(), map[string]string{"archive_command": command}); err != nil {
			t.Fatal(err)
		}
		if err := primary.WaitSQL(t.Context(), "SHOW archive_command", command); err != nil {
			t.Fatal(err)
		}
	}
	set("sleep 1 && " + command)
	out := nothingToClose(func() {
		mark(t, primary, "late")
		primary.MustSQL(t, "SELECT pg_switch_wal()")
	}, "--archive", "--archive-timeout", "0", "main")
	expect(out, "Waiting for a WAL file from server 'main' to be archived")
	if strings.Contains(out, "has not been received") {
		t.Errorf("the file was not waited for:\n%s", out)
	}

	mark(t, primary, "closed")
	set("/bin/false")
	words := []string{"has been closed on server 'main'", "(max: 1 seconds)", "has not been received in 1 seconds"}
	host.Refused(t, 1, words, "switch-xlog", "--archive", "--archive-timeout", "1", "main")

	expect(host.Must(t, "switch-wal", "replica"), "No switch performed because server 'replica' is a standby.")
	mark(t, primary, "through the primary")
	if out := host.Must(t, "switch-wal", "viaprimary"); !strings.Contains(out, "has been closed on server 'viaprimary'") {
		t.Errorf("switch through the primary:\n%s", out)
	}
	primary.MustSQL(t, "CREATE ROLE watcher LOGIN IN ROLE pg_monitor")
	host.Configure(t, backuphost.Server("main", localServer(primary, map[string]any{"conninfo": primary.Conninfo("watcher", "postgres")})))
	host.Refused(t, 1, []string{"--force requires superuser rights or the 'pg_checkpoint' role"}, "switch-wal", "--force", "main")
	host.Refused(t, 1, []string{"Unable to perform pg_switch_wal for server 'main'."}, "switch-wal", "main")
}
