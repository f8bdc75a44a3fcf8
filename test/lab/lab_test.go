package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/barman-go/barman/core/wal"
)

func TestClusterSurvivesKillAndKeepsAcknowledgedCommits(t *testing.T) {
	c := StartCluster(t, ClusterOptions{WALSegmentSizeMB: 1, DataChecksums: true})
	ledger := c.StartLedger(t, LedgerOptions{Writers: 3})
	if err := ledger.WaitCommits(t.Context(), 30); err != nil {
		t.Fatal(err)
	}
	segment, found := c.sharedMemory()
	var stat unix.SysvShmDesc
	if _, err := unix.SysvShmCtl(segment, unix.IPC_STAT, &stat); !found || err != nil {
		t.Errorf("the shared memory of a running server is not found: %d, %v", segment, err)
	}
	c.Kill9()
	if _, err := unix.SysvShmCtl(segment, unix.IPC_STAT, &stat); err == nil {
		t.Error("a killed server leaves its shared memory")
	}
	if err := ledger.Stop(); err != nil {
		t.Fatal(err)
	}
	if c.Running() {
		t.Fatal("the server runs after Kill9")
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := ledger.AtEnd()
	if len(want.Must) < 30 {
		t.Fatalf("only %d acknowledged commits", len(want.Must))
	}
	if err := want.Compare(c.LedgerRows(t)); err != nil {
		t.Error(err)
	}
	if got := c.MustSQL(t, "SHOW wal_segment_size"); got != "1MB" {
		t.Errorf("wal_segment_size = %s", got)
	}
	c.MustSQL(t, "DELETE FROM lab_ledger WHERE value = 1")
	if err := want.Compare(c.LedgerRows(t)); err == nil {
		t.Error("a lost commit was not noticed")
	}
}

func TestLedgerTellsWhatWasThereAtALSN(t *testing.T) {
	c := StartCluster(t, ClusterOptions{})
	ledger := c.StartLedger(t, LedgerOptions{})
	if err := ledger.WaitCommits(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	lsn, err := wal.ParseLSN(c.MustSQL(t, "SELECT pg_current_wal_insert_lsn()"))
	if err != nil {
		t.Fatal(err)
	}
	if err := ledger.WaitCommits(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	if err := ledger.Stop(); err != nil {
		t.Fatal(err)
	}
	commits := ledger.Commits()
	want := ledger.AtLSN(lsn)
	if len(want.Must) < 4 || len(want.Must)+len(want.May) > len(commits)-4 {
		t.Errorf("must %v, may %v of %d commits", want.Must, want.May, len(commits))
	}
	if err := want.Compare(c.LedgerRows(t)); err == nil {
		t.Error("rows committed after the target were not noticed")
	}
	last := commits[4]
	if got := ledger.AtCommit(last); fmt.Sprint(got.Must) != "[1 2 3 4 5]" {
		t.Errorf("up to xid %d: %v", last.XID, got.Must)
	}
	if got := ledger.AtTime(last.Ended); fmt.Sprint(got.Must) != "[1 2 3 4 5]" {
		t.Errorf("up to %s: %v", last.Ended, got.Must)
	}
}

func TestStandbyWithTablespaceFollowsUnderLoad(t *testing.T) {
	primary := StartCluster(t, ClusterOptions{})
	if _, err := primary.CreateTablespace(t.Context(), "space"); err != nil {
		t.Fatal(err)
	}
	if err := primary.InitPgbench(t.Context(), 1, "space"); err != nil {
		t.Fatal(err)
	}
	load := primary.StartPgbench(t, 2, 0)
	standby := primary.StartStandby(t, ClusterOptions{})
	if err := primary.WaitSQL(t.Context(), "SELECT count(*) > 20 FROM pgbench_history", "t"); err != nil {
		t.Fatal(err)
	}
	if err := load.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := standby.WaitCaughtUp(t.Context(), primary); err != nil {
		t.Fatal(err)
	}
	const count = "SELECT count(*) FROM pgbench_history"
	if p, s := primary.MustSQL(t, count), standby.MustSQL(t, count); p != s {
		t.Errorf("primary has %s rows, standby %s", p, s)
	}
}

func TestOpenClusterStartsACopiedDataDirectory(t *testing.T) {
	c := StartCluster(t, ClusterOptions{})
	c.MustSQL(t, "CREATE TABLE t AS SELECT 42 AS answer")
	if err := c.Stop(Fast); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(ScratchDir(t), "copy")
	if _, err := mustRun(c.Tool(t.Context(), "cp", "-a", c.Data, data)); err == nil {
		t.Fatal("cp is not a PostgreSQL tool")
	}
	if _, err := mustRun(c.Owner.Command(t.Context(), c.Dir, "cp", "-a", c.Data, data)); err != nil {
		t.Fatal(err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	restored := OpenCluster(t, data, ClusterOptions{})
	if got := restored.MustSQL(t, "SELECT answer FROM t"); got != "42" {
		t.Errorf("answer = %s", got)
	}
}

func TestSSHDLetsEveryUserIn(t *testing.T) {
	s := StartSSHD(t)
	users, err := clients()
	if err != nil {
		t.Fatal(err)
	}
	home := ScratchDir(t)
	for _, client := range users {
		for _, remote := range users {
			argv := append(s.Command(client, remote), "id", "-un")
			out, err := mustRun(client.Command(t.Context(), home, argv...))
			if err != nil {
				t.Fatalf("%s to %s: %v\n%s", client.Name, remote.Name, err, s.Log())
			}
			if got := strings.TrimSpace(out); got != remote.Name {
				t.Errorf("%s to %s: logged in as %q", client.Name, remote.Name, got)
			}
		}
	}
}

func TestEveryInstalledVersionRuns(t *testing.T) {
	for _, i := range Installations() {
		t.Run(fmt.Sprint(i.Major), func(t *testing.T) {
			c := StartCluster(t, ClusterOptions{Version: i.Major})
			if got := c.MustSQL(t, "SELECT current_setting('server_version_num')::int / 10000"); got != fmt.Sprint(i.Major) {
				t.Errorf("the server in %s is version %s", i.Bin, got)
			}
			if c.MustSQL(t, "SELECT count(*) > 300 FROM pg_timezone_names") != "t" {
				t.Error("the share directory has no time zones")
			}
		})
	}
}

func TestStartReportsWhyTheServerEnded(t *testing.T) {
	c, err := NewCluster(t.Context(), ClusterOptions{Dir: ScratchDir(t), Settings: map[string]string{"no_such_setting": "1"}})
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("error = %v", err)
	}
	if c == nil {
		t.Fatal("no cluster to destroy")
	}
	if err := c.Destroy(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(c.Dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", c.Dir, err)
	}
}
