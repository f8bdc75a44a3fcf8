package matrix

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/test/lab"
)

// trial is one backup and what was restored from it.
type trial struct {
	*scene
	// args are the arguments of `barman backup` from the rows.
	args []string
	// output is what `barman backup` printed, log what the server logged meanwhile.
	output, log string
	info        *catalog.BackupInfo
	// previous is the newest usable backup before this one, nil when there was none.
	previous *catalog.BackupInfo
	// destination is where PGDATA was restored, spaces where the tablespaces were.
	destination string
	moved       map[string]string
	restored    *lab.Cluster
}

// jury collects what is found out about the rows of a trial: a question that fails breaks only the promise of the row it is about.
type jury struct {
	t      *testing.T
	broken map[string]bool
}

func (j *jury) ask(r row, question func(t *testing.T)) {
	if !j.t.Run(r.name, question) {
		j.broken[r.name] = true
	}
}

// run takes a backup, restores it, compares, and asks each row for its own opinion.
func (s *scene) run(t *testing.T, rows []row, cells *table) {
	j := &jury{t: t, broken: map[string]bool{}}
	complete := false
	defer func() {
		for _, r := range rows {
			cells.set(r.name, s.major, map[bool]string{true: proven, false: refuted}[complete && !j.broken[r.name]])
		}
	}()
	if rows[0].alone != nil {
		j.ask(rows[0], func(t *testing.T) { rows[0].alone(t, s) })
		complete = true
		return
	}
	tr := s.try(j, rows) // ends the test when there is no backup, or nothing that starts
	for _, r := range rows {
		if r.taken != nil {
			j.ask(r, func(t *testing.T) { r.taken(t, tr) })
		}
		if r.restored != nil {
			j.ask(r, func(t *testing.T) { r.restored(t, tr) })
		}
	}
	if err := tr.restored.Destroy(); err != nil {
		t.Fatal(err)
	}
	complete = true
}

// try is the backup, the way to the restore point behind it, and the recovery up to there.
func (s *scene) try(j *jury, rows []row) *trial {
	t := j.t
	t.Helper()
	tr := &trial{scene: s}
	args, recover := s.configure(t, rows)
	tr.args = args
	for _, r := range rows {
		if r.before != nil {
			j.ask(r, func(t *testing.T) { r.before(t, s) })
		}
	}
	tr.previous = s.newest(t)
	logged := s.logSize(t)
	tr.take(j, rows)
	if tr.info = s.newest(t); tr.info == nil || tr.previous != nil && tr.info.ID == tr.previous.ID {
		t.Fatalf("there is no new backup:\n%s", tr.output)
	}
	if tr.info.Status != catalog.StatusDone || tr.info.Version/10000 != s.major {
		t.Fatalf("backup %s is %s, of version %d:\n%s", tr.info.ID, tr.info.Status, tr.info.Version, tr.output)
	}
	tr.log = s.logSince(t, logged)
	if err := s.outOfBackup(t.Context(), s.primary); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.after != nil {
			j.ask(r, func(t *testing.T) { r.after(t, tr) })
		}
	}
	name, lsn := s.restorePoint(t)
	target, want := []string{"--target-name", name, "--target-action", "promote"}, s.ledger.AtLSN(lsn)
	if slices.ContainsFunc(rows, func(r row) bool { return r.immediate }) {
		target, want = []string{"--target-immediate", "--target-action", "promote"}, tr.atItsEnd()
	}
	tr.recover(t, slices.Concat(target, recover))
	if err := want.Compare(tr.restored.LedgerRows(t)); err != nil {
		t.Fatal(err)
	}
	const balanced = "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = sum(delta) AND (SELECT sum(tbalance) FROM pgbench_tellers) = sum(delta) " +
		"AND count(*) > 0 FROM pgbench_history"
	if got := tr.restored.MustSQL(t, balanced); got != "t" {
		t.Fatal("the accounts of pgbench do not add up")
	}
	return tr
}

// take takes the backup in the way of the rows.
func (tr *trial) take(j *jury, rows []row) {
	j.t.Helper()
	for _, r := range rows {
		if r.by != nil {
			j.ask(r, func(t *testing.T) { r.by(t, tr) })
			return
		}
	}
	tr.output = tr.host.Must(j.t, slices.Concat([]string{"backup", "--wait"}, tr.args, []string{"main"})...)
}

// newest is the newest usable backup, nil when there is none.
func (s *scene) newest(t *testing.T) *catalog.BackupInfo {
	t.Helper()
	list, err := s.host.Catalog("main").List()
	if err != nil {
		t.Fatal(err)
	}
	return list.Last(catalog.Usable...)
}

// restorePoint makes a restore point a few commits from now, and has all WAL up to it archived.
func (s *scene) restorePoint(t *testing.T) (name string, lsn wal.LSN) {
	t.Helper()
	if err := s.ledger.WaitCommits(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	s.points++
	name = fmt.Sprintf("point %d", s.points)
	lsn, err := wal.ParseLSN(s.primary.MustSQL(t, "SELECT pg_create_restore_point('"+name+"')"))
	if err != nil {
		t.Fatal(err)
	}
	segment := s.primary.MustSQL(t, "SELECT pg_walfile_name('"+lsn.String()+"')")
	archived := filepath.Join(s.host.Layout("main").WALs, segment[:16], segment)
	// Barman cannot switch the WAL of a primary that it does not know.
	s.host.Must(t, "switch-wal", "main")
	s.primary.MustSQL(t, "SELECT pg_switch_wal()")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		s.host.Must(t, "archive-wal", "main")
		if _, err := os.Stat(archived); err == nil {
			return name, lsn
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s, which has the restore point, is not archived", segment)
		}
	}
}

// atItsEnd expects what was committed before the backup began, and nothing that came after its end.
func (tr *trial) atItsEnd() lab.Expectation {
	begin, end := tr.ledger.AtLSN(tr.info.BeginLSN), tr.ledger.AtLSN(tr.info.EndLSN)
	return lab.Expectation{Target: "the end of the backup", Must: begin.Must, May: slices.Sorted(slices.Values(slices.Concat(end.Must, end.May)))}
}

// recover restores the backup, with its tablespaces in new places, and starts it.
func (tr *trial) recover(t *testing.T, more []string) {
	t.Helper()
	dir := lab.ScratchDir(t)
	tr.destination, tr.moved = filepath.Join(dir, "data"), map[string]string{}
	args := slices.Concat([]string{"recover"}, more)
	for name := range tr.spaces {
		tr.moved[name] = filepath.Join(dir, name)
		args = append(args, "--tablespace", name+":"+tr.moved[name])
	}
	tr.host.Must(t, append(args, "main", tr.info.ID, tr.destination)...)
	tr.restored = lab.OpenCluster(t, tr.destination, lab.ClusterOptions{Version: tr.major})
	if err := tr.restored.WaitSQL(t.Context(), "SELECT pg_is_in_recovery()", "f"); err != nil {
		t.Fatal(err)
	}
}

// data is the directory of the copy of PGDATA.
func (tr *trial) data(path ...string) string {
	return filepath.Join(append([]string{tr.host.Layout("main").DataPath(tr.info.ID)}, path...)...)
}

func (s *scene) logSize(t *testing.T) int64 {
	t.Helper()
	info, err := os.Stat(s.primary.LogFile)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func (s *scene) logSince(t *testing.T, size int64) string {
	t.Helper()
	text, err := os.ReadFile(s.primary.LogFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(text[size:])
}
