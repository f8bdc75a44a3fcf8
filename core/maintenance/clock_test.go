package maintenance_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/maintenance"
)

// TestAJumpOfTheClockExpiresNothing lets a clock go through a story, with cron at every step.
func TestAJumpOfTheClockExpiresNothing(t *testing.T) {
	const day = 24 * time.Hour
	type step struct {
		// wall and uptime are what the two clocks go on by; reboot begins a new uptime.
		wall, uptime time.Duration
		reboot       bool
		wantHeld     bool
	}
	for name, steps := range map[string][]step{
		"nothing happens":                     {{wall: time.Minute, uptime: time.Minute}, {wall: 60 * day, uptime: 60 * day}},
		"a small correction":                  {{wall: time.Minute + 30*time.Minute, uptime: time.Minute}},
		"ahead":                               {{wall: 60 * day, uptime: time.Minute, wantHeld: true}, {wall: time.Hour, uptime: time.Hour, wantHeld: true}},
		"ahead, and nobody objects for a day": {{wall: 60 * day, uptime: time.Minute, wantHeld: true}, {wall: day, uptime: day}},
		"ahead and set right": {
			{wall: 60 * day, uptime: time.Minute, wantHeld: true}, {wall: -60 * day, uptime: time.Minute}, {wall: time.Minute, uptime: time.Minute},
		},
		"ahead again before a day is over": {
			{wall: 60 * day, uptime: time.Minute, wantHeld: true},
			{wall: 50 * day, uptime: time.Minute, wantHeld: true},
			{wall: 23 * time.Hour, uptime: 23 * time.Hour, wantHeld: true},
		},
		"a short reboot":                {{wall: time.Hour, uptime: time.Minute, reboot: true}},
		"off for a week, or a bad time": {{wall: 7 * day, uptime: time.Minute, reboot: true, wantHeld: true}, {wall: day, uptime: day}},
		"back over a reboot":            {{wall: -400 * day, uptime: time.Minute, reboot: true, wantHeld: true}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "")
			clock := maintenance.Clock{Wall: now, Boot: "first", Uptime: time.Hour}
			s.Clock = func() maintenance.Clock { return clock }
			s.Now = func() time.Time { return clock.Wall }
			s.Policy.N, s.Policy.Kind, s.Policy.Unit = 30, 2, "DAYS"
			check(t, s.Enforce(t.Context()))
			for i, step := range steps {
				clock.Wall = clock.Wall.Add(step.wall)
				clock.Uptime += step.uptime
				if step.reboot {
					clock.Boot, clock.Uptime = "second", step.uptime
				}
				plan, err := s.Plan()
				check(t, err)
				if held := plan.Held != ""; held != step.wantHeld {
					t.Fatalf("step %d: held: %t (%q), want %t", i+1, held, plan.Held, step.wantHeld)
				}
				check(t, s.Enforce(t.Context()))
			}
		})
	}
}

func TestBackupsStayWhileTheClockIsNotTrusted(t *testing.T) {
	s := newSite(t, "RECOVERY WINDOW OF 30 DAYS")
	clock := maintenance.Clock{Wall: now, Boot: "first", Uptime: time.Hour}
	s.Clock = func() maintenance.Clock { return clock }
	s.Now = func() time.Time { return clock.Wall }
	s.backup(20, 2, 3)
	s.backup(10, 4, 5)
	s.archive(1, 6)
	check(t, s.Enforce(t.Context()))
	clock.Wall = clock.Wall.AddDate(1, 0, 0)
	check(t, s.Enforce(t.Context()))
	s.wantBackups(done(20), done(10))
	s.wantWAL(1, 2, 3, 4, 5, 6)
	if !strings.Contains(s.log.String(), "went 365 days ahead") {
		t.Errorf("the log says nothing of it: %s", s.log)
	}
	check(t, s.Enforce(t.Context()))
	if n := strings.Count(s.log.String(), "went 365 days ahead"); n != 1 {
		t.Errorf("it is logged %d times by passes a minute apart", n)
	}
	// Half a record is as good as none: retention goes on.
	check(t, os.WriteFile(filepath.Join(s.layout.Backup, ".retention-clock"), []byte("{"), 0o600))
	check(t, s.Enforce(t.Context()))
	s.wantBackups(done(10))
}

func TestABackupInTheFutureExpiresNothing(t *testing.T) {
	s := newSite(t, "REDUNDANCY 1")
	s.backup(20, 2, 3)
	s.backup(-5, 4, 5)
	check(t, s.Enforce(t.Context()))
	s.wantBackups(done(20), done(-5))
	check(t, s.Catalog.SetKeep(id(-5), catalog.KeepNone))
	check(t, s.Delete(t.Context(), id(-5))) // people decide
	s.wantBackups(done(20))
}

func TestCronSaysAThingOnce(t *testing.T) {
	s := newSite(t, "REDUNDANCY 1")
	s.Clock = func() maintenance.Clock { return maintenance.Clock{Wall: now, Boot: "first"} }
	b := s.backup(20, 2, 3)
	s.backup(1, 4, 5)
	check(t, s.Catalog.MarkDelete(b.ID))
	check(t, s.Catalog.SetKeep(b.ID, catalog.KeepFull))
	check(t, os.WriteFile(s.layout.InfoPath(id(30)), []byte("no description\n"), 0o600))
	pass := func(want int) {
		t.Helper()
		s.out.lines = nil
		s.log.Reset()
		check(t, s.Enforce(t.Context()))
		if logged := strings.Count(s.log.String(), id(30)+" cannot be read"); logged != want || len(s.out.lines) != want {
			t.Errorf("logged %d times, reported %q; want each %d times", logged, s.out.lines, want)
		}
	}
	pass(1)
	pass(0)
	check(t, os.Remove(filepath.Join(s.layout.Backup, ".retention-clock")))
	pass(1)
}

// TestTemporaryFilesOfTheDeadAreRemoved: a process that is killed while it replaces a file leaves the beginning of the new one.
func TestTemporaryFilesOfTheDeadAreRemoved(t *testing.T) {
	s := newSite(t, "REDUNDANCY 1")
	dead := exec.Command("true")
	check(t, dead.Run())
	for _, dir := range []string{s.layout.Backup, s.layout.Meta()} {
		for pid, stays := range map[int]bool{dead.Process.Pid: false, os.Getppid(): true} {
			check(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf(".identity.json.%d-00000000.tmp", pid)), nil, 0o600))
			check(t, s.Enforce(t.Context()))
			left, err := filepath.Glob(filepath.Join(dir, ".*.tmp"))
			check(t, err)
			if (len(left) > 0) != stays {
				t.Errorf("of process %d is left %v", pid, left)
			}
			for _, path := range left {
				check(t, os.Remove(path))
			}
		}
	}
}
