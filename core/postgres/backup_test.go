package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/test/lab"
)

func TestBackupSessionFromStartToStop(t *testing.T) {
	eachVersion(t, func(t *testing.T, version int) {
		c := lab.StartCluster(t, lab.ClusterOptions{Version: version})
		location, err := c.CreateTablespace(t.Context(), "hot")
		if err != nil {
			t.Fatal(err)
		}
		c.MustSQL(t, "CREATE TABLE t TABLESPACE hot AS SELECT generate_series(1, 1000)")
		conn := connect(t, c.Conninfo("", ""))
		backup, err := conn.StartBackup(t.Context(), "Barman backup main 20260107T095500", true)
		if err != nil {
			t.Fatal(err)
		}
		defer backup.Abort()
		guarded, done := backup.Keepalive(t.Context(), 5*time.Millisecond)
		defer done()

		start := backup.Start()
		if want := c.MustSQL(t, fmt.Sprintf("SELECT pg_walfile_name('%s')", start.LSN)); start.WAL.String() != want {
			t.Errorf("the backup starts in %s, want %s", start.WAL, want)
		}
		if start.Offset != start.LSN.Offset(start.SegmentSize) || start.Timeline != 1 || start.Time.IsZero() {
			t.Errorf("start %+v", start)
		}
		c.MustSQL(t, "INSERT INTO t SELECT generate_series(1, 1000)")
		probes := func() string {
			return c.MustSQL(t, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'barman' AND query = 'SELECT 1'")
		}
		for probes() != "1" { // the session's last statement becomes a probe
			time.Sleep(time.Millisecond)
		}
		stop, err := backup.Stop(guarded)
		if err != nil {
			t.Fatal(err)
		}
		if stop.LSN <= start.LSN || stop.Timeline != 1 || stop.WAL.Compare(start.WAL) < 0 || stop.Time.Before(start.Time) {
			t.Errorf("stop %+v after start %+v", stop, start)
		}
		for _, line := range []string{
			fmt.Sprintf("START WAL LOCATION: %s (file %s)", start.LSN, start.WAL), "LABEL: Barman backup main 20260107T095500",
		} {
			if !strings.Contains(stop.Label, line) {
				t.Errorf("backup_label lacks %q:\n%s", line, stop.Label)
			}
		}
		if !strings.HasSuffix(strings.TrimSpace(stop.TablespaceMap), " "+location) {
			t.Errorf("tablespace_map %q lacks %s", stop.TablespaceMap, location)
		}
		if guarded.Err() != nil {
			t.Errorf("the guarded context has ended: %v", context.Cause(guarded))
		}
		if _, err := backup.Stop(t.Context()); !errors.Is(err, postgres.ErrBackupEnded) {
			t.Errorf("second stop: %v", err)
		}
		if err := conn.Ping(t.Context()); err != nil {
			t.Errorf("the session is unusable after the backup: %v", err)
		}
	})
}

func TestBackupBeginsWithTheCheckpointAskedFor(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{Settings: map[string]string{"log_checkpoints": "on"}})
	for fast, want := range map[bool]string{true: "checkpoint starting: immediate force wait", false: "checkpoint starting: force wait"} {
		backup, err := connect(t, c.Conninfo("", "")).StartBackup(t.Context(), "label", fast)
		if err != nil {
			t.Fatal(err)
		}
		backup.Abort()
		if !strings.Contains(c.LogTail(50), want) {
			t.Errorf("immediate %v: the server's log lacks %q:\n%s", fast, want, c.LogTail(50))
		}
	}
}

func TestRoleTimeoutsDoNotEndTheBackup(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{})
	c.MustSQL(t, "ALTER ROLE postgres SET idle_session_timeout = '200ms'")
	conn := connect(t, c.Conninfo("", ""))
	backup, err := conn.StartBackup(t.Context(), "label", true)
	if err != nil {
		t.Fatal(err)
	}
	defer backup.Abort()
	time.Sleep(400 * time.Millisecond) // longer than the timeout that must not strike
	if _, err := backup.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestKeepaliveCancelsTheCopyWhenTheSessionIsKilled(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{})
	backup, err := connect(t, c.Conninfo("", "")).StartBackup(t.Context(), "label", true)
	if err != nil {
		t.Fatal(err)
	}
	guarded, done := backup.Keepalive(t.Context(), 10*time.Millisecond)
	defer done()
	c.MustSQL(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'barman'")
	<-guarded.Done()
	if cause := context.Cause(guarded); !errors.Is(cause, postgres.ErrConnectionLost) {
		t.Errorf("cause %v, want ErrConnectionLost", cause)
	}
	if _, err := backup.Stop(context.Background()); !errors.Is(err, postgres.ErrConnectionLost) {
		t.Errorf("stop: %v, want ErrConnectionLost and no new session", err)
	}
}

func TestAbortMakesTheServerDropTheBackup(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{})
	backup, err := connect(t, c.Conninfo("", "")).StartBackup(t.Context(), "label", true)
	if err != nil {
		t.Fatal(err)
	}
	guarded, done := backup.Keepalive(t.Context(), time.Millisecond)
	defer done()
	backup.Abort()
	backup.Abort()
	if err := c.WaitSQL(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'barman'", "0"); err != nil {
		t.Error(err)
	}
	if guarded.Err() != nil {
		t.Errorf("an abort of our own looks like a lost session: %v", context.Cause(guarded))
	}
	if !strings.Contains(c.LogTail(20), "aborting backup") {
		t.Errorf("the server did not drop the backup:\n%s", c.LogTail(20))
	}
}

func TestCancelledStopReturnsTheCauseAndEndsOnTheServer(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{ArchiveCommand: "/bin/false"}) // so that the stop waits for ever
	conn := connect(t, c.Conninfo("", ""))
	backup, err := conn.StartBackup(t.Context(), "label", true)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("the user pressed Ctrl-C")
	stopped := make(chan error)
	go func() {
		_, err := backup.Stop(ctx)
		stopped <- err
	}()
	waiting := "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'barman' AND query LIKE '%archive_statusdir() WHERE%'"
	if err := c.WaitSQL(t.Context(), waiting, "1"); err != nil {
		t.Fatal(err)
	}
	cancel(reason)
	if err := <-stopped; !errors.Is(err, reason) {
		t.Errorf("error %v, want the context's cause", err)
	}
	if err := c.WaitSQL(t.Context(), waiting, "0"); err != nil {
		t.Errorf("the server still waits: %v", err)
	}
}

// TestStopWaitsForTheArchiver: by itself where the role may look, and otherwise through PostgreSQL, which any role may ask to.
func TestStopWaitsForTheArchiver(t *testing.T) {
	dir := lab.ScratchDir(t)
	gate := filepath.Join(dir, "gate")
	c := lab.StartCluster(t, lab.ClusterOptions{ArchiveCommand: fmt.Sprintf(
		"touch %[1]s/%%f.waits; until test -e %[2]s; do sleep 0.05; done; touch %[1]s/%%f", dir, gate)})
	if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // PostgreSQL runs as another user
		t.Fatal(err)
	}
	c.MustSQL(t, `CREATE ROLE plain LOGIN; GRANT EXECUTE ON FUNCTION pg_backup_start, pg_backup_stop, pg_control_checkpoint TO plain;
		GRANT pg_read_all_settings TO plain`)
	for user, waiting := range map[string]string{
		"postgres": "query LIKE '%archive_statusdir() WHERE%'", "plain": "wait_event = 'BackupWaitWalArchive'",
	} {
		t.Run(user, func(t *testing.T) {
			if err := os.Remove(gate); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			backup, err := connect(t, c.Conninfo(user, "")).StartBackup(t.Context(), "label", true)
			if err != nil {
				t.Fatal(err)
			}
			defer backup.Abort()
			type result struct {
				stop postgres.StopPoint
				err  error
			}
			stopped := make(chan result, 1)
			go func() {
				stop, err := backup.Stop(t.Context())
				stopped <- result{stop, err}
			}()
			if err := c.WaitSQL(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'barman' AND "+waiting, "1"); err != nil {
				t.Fatal(err)
			}
			select {
			case r := <-stopped:
				t.Fatalf("the stop did not wait: %+v", r)
			default:
			}
			if err := os.WriteFile(gate, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			r := <-stopped
			if r.err != nil {
				t.Fatal(r.err)
			}
			start := backup.Start()
			for _, name := range []string{r.stop.WAL.String(), wal.BackupLabelName(1, start.LSN, start.SegmentSize)} {
				if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
					t.Errorf("the stop did not wait for %s: %v", name, err)
				}
			}
		})
	}
}

func TestBackupOfAStandbyEndsThroughThePrimary(t *testing.T) {
	primary := lab.StartCluster(t, lab.ClusterOptions{})
	standby := primary.StartStandby(t, lab.ClusterOptions{Settings: map[string]string{"archive_mode": "always"}})
	primary.MustSQL(t, "CREATE TABLE t AS SELECT 1; CHECKPOINT")
	if err := standby.WaitCaughtUp(t.Context(), primary); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, standby.Conninfo("", ""))
	if _, err := conn.SwitchWAL(t.Context()); !errors.Is(err, postgres.ErrInRecovery) {
		t.Errorf("switch on a standby: %v, want ErrInRecovery", err)
	}
	if _, err := conn.CreateRestorePoint(t.Context(), "x"); !errors.Is(err, postgres.ErrInRecovery) {
		t.Errorf("restore point on a standby: %v, want ErrInRecovery", err)
	}
	facts, err := conn.Facts(t.Context(), postgres.FactsOptions{})
	if err != nil || !facts.InRecovery || facts.CurrentWAL != "" || facts.CurrentLSN == 0 {
		t.Fatalf("facts of the standby %+v (error %v)", facts, err)
	}
	if at, err := conn.Position(t.Context()); err != nil || at.WAL != "" || at.LSN == 0 {
		t.Errorf("position of the standby %+v (error %v)", at, err)
	}
	backup, err := conn.StartBackup(t.Context(), "label", true)
	if err != nil {
		t.Fatal(err)
	}
	defer backup.Abort()
	primary.MustSQL(t, "INSERT INTO t SELECT generate_series(1, 10)")
	var mu sync.Mutex
	var events []string
	stop, err := backup.StopOnStandby(t.Context(), connect(t, primary.Conninfo("", "")), postgres.SwitchPolicy{
		First: 10 * time.Millisecond, Every: 500 * time.Millisecond, Times: 100,
		OnEvent: func(event, closed string) {
			mu.Lock()
			defer mu.Unlock()
			events = append(events, event+" "+closed)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if stop.Timeline != 1 || stop.LSN < backup.Start().LSN || !strings.Contains(stop.Label, "BACKUP FROM: standby") {
		t.Errorf("stop %+v", stop)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(events) == 0 || !strings.HasPrefix(events[0], "switched 00000001") {
		t.Errorf("events %v, want a switch of the primary", events)
	}
}

// TestIdlePrimaryIsMadeToGoOn: in the segment of an idle primary is nothing that a switch could close, so a record is written
// first; and when switches alone do not help, there is a checkpoint.
func TestIdlePrimaryIsMadeToGoOn(t *testing.T) {
	primary := lab.StartCluster(t, lab.ClusterOptions{})
	standby := primary.StartStandby(t, lab.ClusterOptions{Settings: map[string]string{"archive_mode": "always"}})
	// Nothing helps while the standby cannot archive.
	if err := standby.Set(t.Context(), map[string]string{"archive_command": "/bin/false"}); err != nil {
		t.Fatal(err)
	}
	primary.MustSQL(t, "CREATE TABLE t AS SELECT 1; CHECKPOINT")
	if err := standby.WaitCaughtUp(t.Context(), primary); err != nil {
		t.Fatal(err)
	}
	backup, err := connect(t, standby.Conninfo("", "")).StartBackup(t.Context(), "label", true)
	if err != nil {
		t.Fatal(err)
	}
	defer backup.Abort()
	primary.MustSQL(t, "SELECT pg_switch_wal()")
	var events []string
	_, err = backup.StopOnStandby(t.Context(), connect(t, primary.Conninfo("", "")), postgres.SwitchPolicy{
		First: time.Millisecond, Every: 10 * time.Millisecond, Times: 2, CheckpointAfter: 50 * time.Millisecond,
		OnEvent: func(event, closed string) {
			events = append(events, event)
			switch {
			case event == "switched" && closed == "":
				t.Error("the switch has closed no segment")
			case event == "checkpoint":
				if err := standby.Set(t.Context(), map[string]string{"archive_command": "/bin/true"}); err != nil {
					t.Error(err)
				}
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	// The last switch may come too late to be seen.
	if got := strings.Join(events, " "); !strings.HasPrefix(got, "switched switched checkpoint") {
		t.Errorf("events %q", got)
	}
}

func TestExclusiveBackup(t *testing.T) {
	eachVersion(t, func(t *testing.T, version int) {
		c := lab.StartCluster(t, lab.ClusterOptions{Version: version})
		conn := connect(t, c.Conninfo("", ""))
		backup, err := conn.StartExclusive(t.Context(), "label", true)
		if version >= 15 {
			if !errors.Is(err, postgres.ErrUnsupportedVersion) {
				t.Errorf("error %v, want ErrUnsupportedVersion", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		guarded, done := backup.Keepalive(t.Context(), 5*time.Millisecond)
		defer done()
		// The backup does not depend on its session.
		c.MustSQL(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'barman'")
		if err := c.WaitSQL(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'barman'", "1"); err != nil {
			t.Fatal(err)
		}
		stop, err := backup.Stop(guarded)
		if err != nil {
			t.Fatal(err)
		}
		if start := backup.Start(); stop.LSN <= start.LSN || stop.WAL.Compare(start.WAL) < 0 {
			t.Errorf("stop %+v after start %+v", stop, start)
		}
		done()

		// A backup that is given up is ended, also when the caller's context is over.
		conn = connect(t, c.Conninfo("", ""))
		ctx, cancel := context.WithCancel(t.Context())
		backup, err = conn.StartExclusive(ctx, "label", true)
		if err != nil {
			t.Fatal(err)
		}
		if since, err := conn.ExclusiveSince(t.Context()); err != nil || since.IsZero() {
			t.Errorf("the server says that it has no backup open (error %v)", err)
		}
		cancel()
		conn.Close()
		if err := errors.Join(backup.Abort(ctx), backup.Abort(ctx)); err != nil {
			t.Error(err)
		}
		if got := c.MustSQL(t, "SELECT pg_is_in_backup()"); got != "f" {
			t.Error("the server is still in backup mode")
		}

		// Somebody has ended it, and begun another one: that is not ours to end.
		conn = connect(t, c.Conninfo("", ""))
		backup, err = conn.StartExclusive(t.Context(), "label", true)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // PostgreSQL tells backups apart by the second in which they began
		c.MustSQL(t, "SELECT pg_stop_backup()")
		if _, err := backup.Stop(t.Context()); !errors.Is(err, postgres.ErrBackupEnded) {
			t.Errorf("stop: %v, want ErrBackupEnded", err)
		}
		c.MustSQL(t, "SELECT pg_start_backup('theirs', true)")
		if err := backup.Abort(t.Context()); err != nil {
			t.Error(err)
		}
		if got := c.MustSQL(t, "SELECT pg_is_in_backup()"); got != "t" {
			t.Error("a backup of somebody else was ended")
		}
	})
}
