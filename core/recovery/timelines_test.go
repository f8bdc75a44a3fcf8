package recovery

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barman-go/barman/test/lab"
)

// TestRestoreChoosesBetweenTimelines has a standby promoted while its primary goes on, both archiving into one
// catalog: rows 1 and 2 are common, 3 is only on timeline 1, 4 only on timeline 2. It restores to another host (this
// one, through ssh), locally, and over an older restore.
func TestRestoreChoosesBetweenTimelines(t *testing.T) {
	sshd := lab.StartSSHD(t)
	s := newSite(t, lab.ClusterOptions{})
	insert := func(c *lab.Cluster, value string) { c.MustSQL(t, "INSERT INTO book VALUES ("+value+")") }
	s.cluster.MustSQL(t, "CREATE TABLE book (i int) TABLESPACE hot")
	insert(s.cluster, "1")
	s.backup(t, "20260110T100000", true)
	insert(s.cluster, "2")
	standby := s.cluster.StartStandby(t, lab.ClusterOptions{})
	if err := standby.WaitCaughtUp(t.Context(), s.cluster); err != nil {
		t.Fatal(err)
	}
	standby.MustSQL(t, "SELECT pg_promote()")
	insert(s.cluster, "3")
	s.cluster.MustSQL(t, "SELECT pg_create_restore_point('left behind')")
	insert(standby, "4")
	s.archiveAll(t)
	(&site{cluster: standby}).archiveAll(t)

	user, err := lab.PostgresUser()
	if err != nil {
		t.Fatal(err)
	}
	me, err := lab.CurrentUser()
	if err != nil {
		t.Fatal(err)
	}
	start := func(t *testing.T, data, rows, timeline string) *lab.Cluster {
		t.Helper()
		c := lab.OpenCluster(t, data, lab.ClusterOptions{})
		if err := c.WaitSQL(t.Context(), "SELECT pg_is_in_recovery()", "f"); err != nil {
			t.Fatalf("%v\n%s", err, c.LogTail(30))
		}
		if got := c.MustSQL(t, "SELECT string_agg(i::text, ' ' ORDER BY i) FROM book"); got != rows {
			t.Errorf("rows %s, want %s", got, rows)
		}
		// The new timeline must not have the number of one that is in the archive.
		if got := c.MustSQL(t, "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"); got != timeline {
			t.Errorf("the restored server goes on with timeline %s, want %s", got, timeline)
		}
		return c
	}

	t.Run("target on another timeline", func(t *testing.T) {
		r, _, _ := newRestorer(t, s.layout)
		dir := lab.ScratchDir(t)
		o := Options{
			Backup: "latest", Destination: filepath.Join(dir, "data"), Tablespaces: []string{"hot:" + filepath.Join(dir, "hot")}, TargetName: "left behind",
		}
		want := "looked for on timeline 2; the backup also leads to timeline 1, see --target-tli."
		if _, err := r.Plan(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
		o.TargetTimeline = "1"
		if plan, err := r.Plan(t.Context(), o); err != nil || plan.Timeline != 1 {
			t.Errorf("where the hint leads: %v", err)
		}
	})

	t.Run("newest timeline, remote", func(t *testing.T) {
		dir := lab.ScratchDir(t)
		r, out, _ := newRestorer(t, s.layout)
		remote := sshd.Command(me, user)
		o := Options{
			Backup: "latest", Destination: filepath.Join(dir, "data"), Tablespaces: []string{"hot:" + filepath.Join(dir, "hot")}, Workers: 2,
			Remote: remote, RemoteCommand: strings.Join(remote, " "), TargetTimeline: "2", NetworkCompression: true,
		}
		if _, err := r.Run(t.Context(), o); err != nil {
			t.Fatalf("%v\n%s", err, strings.Join(out.infos, "\n"))
		}
		wantNoFile(t, o.Destination, IncompleteFile)
		start(t, o.Destination, "1 2 4", "00000003")
	})

	dir := lab.ScratchDir(t)
	o := Options{
		Backup: "latest", Destination: filepath.Join(dir, "data"), Tablespaces: []string{"hot:" + filepath.Join(dir, "hot")}, Workers: 2,
		TargetTimeline: TimelineCurrent,
	}
	t.Run("timeline of the backup", func(t *testing.T) {
		r, _, _ := newRestorer(t, s.layout)
		if _, err := r.Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		give(t, dir)
		c := start(t, o.Destination, "1 2 3", "00000003")
		insert(c, "99")
		o.Delta = true
		if _, err := r.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "PostgreSQL is running in the destination") {
			t.Errorf("a restore over a running server: %v", err)
		}
		if err := c.Stop(lab.Fast); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("delta with the default timeline", func(t *testing.T) {
		if err := os.WriteFile(filepath.Join(o.Destination, "stray"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		o.TargetTimeline, o.TargetName, o.TargetAction = "", "", ""
		o.StandbyMode = true
		r, out, _ := newRestorer(t, s.layout)
		result, err := r.Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if result.Plan.Timeline != 2 || len(out.warnings) == 0 || !strings.Contains(strings.Join(out.warnings, "\n"), "Recovery follows timeline 2") {
			t.Errorf("timeline %d, warnings %q", result.Plan.Timeline, out.warnings)
		}
		wantNoFile(t, o.Destination, "stray", "recovery.signal")
		wantFile(t, filepath.Join(o.Destination, "standby.signal"))
		give(t, dir)
		c := lab.OpenCluster(t, o.Destination, lab.ClusterOptions{})
		if err := c.WaitSQL(t.Context(), "SELECT string_agg(i::text, ' ' ORDER BY i) FROM book", "1 2 4"); err != nil {
			t.Fatalf("%v\n%s", err, c.LogTail(30))
		}
	})
}
