package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// method is one way to back up and to archive.
type method struct {
	name, compression string
	// archive is the archive_command; options say how the server is reached.
	archive func(*backuphost.Host, testing.TB, string) string
	options func(*testing.T, *lab.Cluster) map[string]any
}

var methods = []method{
	{"local-rsync", "zstd", (*backuphost.Host).ArchiveCommand, func(*testing.T, *lab.Cluster) map[string]any {
		return map[string]any{"parallel_jobs": 2}
	}},
	{"rsync", "gzip", (*backuphost.Host).ArchiveCommand, func(t *testing.T, c *lab.Cluster) map[string]any {
		return map[string]any{"ssh_command": strings.Join(lab.StartSSHD(t).Command(c.Owner, c.Owner), " "), "parallel_jobs": 2}
	}},
	{"postgres", "lz4", (*backuphost.Host).CopyCommand, func(_ *testing.T, c *lab.Cluster) map[string]any {
		return map[string]any{"streaming_conninfo": c.Conninfo("", "")}
	}},
}

// TestRecoverADestroyedServerToEveryTarget is the main story: a server with a tablespace is backed up while it works, archives
// its WAL, and is destroyed with everything that it had on disk. Then it is brought back to every kind of target.
func TestRecoverADestroyedServerToEveryTarget(t *testing.T) {
	for i, m := range methods {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel() // most of the time each of them waits for a disk, or for PostgreSQL
			s := backUpAndDestroy(t, m)
			for _, target := range s.targets() {
				if target.once && i > 0 {
					continue
				}
				t.Run(target.name, func(t *testing.T) { s.recover(t, target) })
			}
		})
	}
}

// disaster is what remains after the server was destroyed: the backup host, and what the story's books say.
type disaster struct {
	host   *backuphost.Host
	ledger *lab.Ledger
	// tablespace is where the lost server had its tablespace.
	tablespace string
	// The marks, in the order of their commits.
	first, xid, time, lsn, last lab.Commit
	// consistent is where the backup ends, restorePoint where the restore point is.
	consistent, restorePoint wal.LSN
}

func backUpAndDestroy(t *testing.T, m method) *disaster {
	host := backuphost.New(t)
	primary := startPrimary(t, m.archive(host, t, "main"))
	options := localServer(primary, m.options(t, primary))
	options["backup_method"], options["compression"] = m.name, m.compression
	host.Configure(t, backuphost.Server("main", options))
	s := &disaster{host: host}
	var err error
	if s.tablespace, err = primary.CreateTablespace(t.Context(), "space"); err != nil {
		t.Fatal(err)
	}

	// The server is busy all the time: pgbench for the load, the ledger for the books.
	if err := primary.InitPgbench(t.Context(), 1, ""); err != nil {
		t.Fatal(err)
	}
	load := primary.StartPgbench(t, 2, 100)
	s.ledger = primary.StartLedger(t, lab.LedgerOptions{Writers: 2, Tablespace: "space"})
	s.commits(t, 20)
	if err := primary.WaitSQL(t.Context(), "SELECT count(*) > 20 FROM pgbench_history", "t"); err != nil {
		t.Fatal(err)
	}
	host.Must(t, "switch-wal", "--archive", "main")
	if out := host.Must(t, "check", "main"); strings.Contains(out, "FAILED") {
		t.Errorf("check main:\n%s", out)
	}
	host.Must(t, "backup", "--wait", "main")
	backup := host.Latest(t, "main")
	if backup.Status != "DONE" {
		t.Fatalf("the backup is %s", backup.Status)
	}
	s.consistent = endOfBackup(t, host.Acknowledged(t, "main"), backup.BeginWAL)
	if backup.EndLSN < s.consistent {
		t.Errorf("the catalog says that the backup ended at %s; PostgreSQL says %s", backup.EndLSN, s.consistent)
	}

	s.commits(t, 20)
	s.first = mark(t, primary, "first")
	s.commits(t, 5)
	s.xid = mark(t, primary, "xid")
	s.commits(t, 5)
	s.time = mark(t, primary, "time")
	s.commits(t, 5)
	s.lsn = mark(t, primary, "lsn")
	s.commits(t, 5)
	if s.restorePoint, err = wal.ParseLSN(primary.MustSQL(t, "SELECT pg_create_restore_point('before the release')")); err != nil {
		t.Fatal(err)
	}
	s.commits(t, 5)
	s.last = mark(t, primary, "last")
	s.commits(t, 20)
	if err := s.ledger.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := load.Stop(); err != nil {
		t.Fatal(err)
	}
	host.Must(t, "switch-wal", "--archive", "main")
	host.Must(t, "archive-wal", "main")
	host.CheckAcknowledged(t, "main", host.Acknowledged(t, "main"))

	// Everything that the server had is gone.
	if err := primary.Destroy(); err != nil {
		t.Fatal(err)
	}
	return s
}

// endOfBackup reads the end of a backup from the backup history file that PostgreSQL has archived. (Barman may note a later place.)
func endOfBackup(t *testing.T, archived map[string]string, begin wal.Segment) wal.LSN {
	t.Helper()
	for name, path := range archived {
		if !strings.HasPrefix(name, begin.String()) || !strings.HasSuffix(name, ".backup") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, after, found := strings.Cut(string(text), "STOP WAL LOCATION: ")
		lsn, err := wal.ParseLSN(strings.Fields(after + " ?")[0])
		if !found || err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		return lsn
	}
	t.Fatalf("no backup history file for %s in the archive", begin)
	return 0
}

func (s *disaster) commits(t *testing.T, n int) {
	t.Helper()
	if err := s.ledger.WaitCommits(t.Context(), n); err != nil {
		t.Fatal(err)
	}
}

// target is one recovery and what has to be there after it.
type target struct {
	name string
	args []string
	// backup is the backup_id argument; empty means latest.
	backup string
	rows   lab.Expectation
	marks  string
	// end is when recovery is over: reached by promoting, unless paused.
	paused bool
	// once is for what is the same with every method: one of them is enough.
	once bool
	// keepTablespace restores the tablespace to where it was.
	keepTablespace bool
}

// targets are all kinds. A target is inclusive, as PostgreSQL's recovery_target_inclusive is by default: the transaction at the
// target counts. For an LSN this means the record that begins there, so the marks, each of which has other records behind it, are
// the same with and without --exclusive.
func (s *disaster) targets() []target {
	at := func(c lab.Commit) string { return c.Ended.Format("2006-01-02 15:04:05.000000+00:00") }
	return []target{
		{
			name: "time", args: []string{"--target-time", at(s.time), "--target-action", "promote"}, backup: "auto",
			rows: s.ledger.AtTime(s.time.Ended), marks: "first xid time",
		},
		{
			name: "time, exclusive", args: []string{"--target-time", at(s.time), "--exclusive", "--target-action", "promote"}, once: true,
			rows: s.ledger.AtTime(s.time.Ended), marks: "first xid",
		},
		{
			name: "xid", args: []string{"--target-xid", fmt.Sprint(s.xid.XID), "--target-action", "promote"},
			rows: s.ledger.AtCommit(s.xid), marks: "first xid",
		},
		{
			name: "xid, exclusive", args: []string{"--target-xid", fmt.Sprint(s.xid.XID), "--exclusive", "--target-action", "promote"}, once: true,
			rows: s.ledger.AtCommit(s.xid), marks: "first",
		},
		{
			name: "lsn", args: []string{"--target-lsn", s.lsn.After.String(), "--target-action", "promote"},
			rows: s.ledger.AtLSN(s.lsn.After), marks: "first xid time lsn",
		},
		{
			name: "name", args: []string{"--target-name", "before the release", "--target-tli", "current"}, paused: true,
			rows: s.ledger.AtLSN(s.restorePoint), marks: "first xid time lsn",
		},
		{
			name: "immediate", args: []string{"--target-immediate", "--target-action", "promote"},
			rows: s.ledger.AtLSN(s.consistent), marks: "",
		},
		{
			name: "latest", keepTablespace: true,
			rows: s.ledger.AtEnd(), marks: "first xid time lsn last",
		},
		{
			name: "latest with get-wal", args: []string{"--get-wal", "--target-tli", "latest"},
			rows: s.ledger.AtEnd(), marks: "first xid time lsn last",
		},
	}
}

// recover restores, starts, waits for the end of recovery, and compares.
func (s *disaster) recover(t *testing.T, want target) {
	dir := lab.ScratchDir(t)
	destination, relocated := filepath.Join(dir, "data"), filepath.Join(dir, "space")
	args := append([]string{"recover"}, want.args...)
	if want.keepTablespace {
		relocated = s.tablespace
	} else {
		args = append(args, "--tablespace", "space:"+relocated)
	}
	backup := want.backup
	if backup == "" {
		backup = "latest"
	}
	s.host.Must(t, append(args, "main", backup, destination)...)
	if want.keepTablespace {
		t.Cleanup(func() { _ = os.RemoveAll(filepath.Dir(filepath.Dir(s.tablespace))) })
	}

	restored := lab.OpenCluster(t, destination, lab.ClusterOptions{})
	end, value := "SELECT pg_is_in_recovery()", "f"
	if want.paused {
		end, value = "SELECT pg_get_wal_replay_pause_state()", "paused"
	}
	if err := restored.WaitSQL(t.Context(), end, value); err != nil {
		t.Fatal(err)
	}
	if err := want.rows.Compare(restored.LedgerRows(t)); err != nil {
		t.Error(err)
	}
	// Whatever the target, each of pgbench's transactions is there with all its parts, or not at all.
	const balanced = "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = sum(delta) AND (SELECT sum(tbalance) FROM pgbench_tellers) = sum(delta) " +
		"AND count(*) > 0 FROM pgbench_history"
	if got := restored.MustSQL(t, balanced); got != "t" {
		t.Error("the accounts of pgbench do not add up")
	}
	if got := marks(t, restored); got != want.marks {
		t.Errorf("marks %q, want %q", got, want.marks)
	}
	if got := restored.MustSQL(t, "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'space'"); got != relocated {
		t.Errorf("the tablespace is in %s, want %s", got, relocated)
	}
	// A restored server must not send its WAL into the archive of the lost one.
	if got := restored.MustSQL(t, "SHOW archive_command"); strings.Contains(got, s.host.Dir) {
		t.Errorf("archive_command = %s", got)
	}
	if !want.paused {
		restored.MustSQL(t, "INSERT INTO lab_ledger VALUES (0, 0, 'life goes on')")
	}
	if err := restored.Stop(lab.Fast); err != nil {
		t.Error(err)
	}
}
