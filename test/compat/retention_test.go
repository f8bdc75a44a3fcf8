package compat

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/test/e2e/backuphost"
)

// madeUp is the catalog of a server that never was.
type madeUp struct {
	policy  string
	minimum int
	backups []*catalog.BackupInfo
	keeps   map[string]catalog.Keep
}

// makeUp invents a catalog. Every backup ended some whole days and five to nineteen hours ago, and windows are whole days: while
// the test runs, and whatever the time of the day, no backup crosses the border of a window.
func makeUp(random *rand.Rand, name string, now time.Time) madeUp {
	m := madeUp{minimum: random.IntN(6), keeps: map[string]catalog.Keep{}}
	// 0 is left out: see docs/differences.md.
	m.policy = []string{
		fmt.Sprintf("REDUNDANCY %d", 1+random.IntN(5)), fmt.Sprintf("RECOVERY WINDOW OF %d DAYS", 1+random.IntN(20)),
		fmt.Sprintf("recovery  window of %d weeks", 1+random.IntN(3)), "RECOVERY WINDOW OF 1 MONTH",
	}[random.IntN(4)]
	statuses := []catalog.Status{
		catalog.StatusEmpty, catalog.StatusStarted, catalog.StatusWaitingForWALs, catalog.StatusFailed, catalog.StatusSyncing,
	}
	for day := 50; day > 0; day -= 1 + random.IntN(9) {
		end := now.AddDate(0, 0, -day).Add(-time.Duration(5+random.IntN(15)) * time.Hour)
		b := catalog.NewBackupInfo(end.Add(-time.Hour).Format("20060102T150405"), name, catalog.ModePostgres)
		b.BeginTime, b.EndTime, b.Version, b.Timeline = end.Add(-time.Hour), end, 170002, 1
		b.SegmentSize = wal.DefaultSegmentSize
		b.BeginWAL = wal.Segment{Timeline: 1, Seg: uint32(200 - 3*day)}
		b.EndWAL = b.BeginWAL
		b.Size = catalog.Int(1 << 20)
		b.Status = catalog.StatusDone
		if random.IntN(5) == 0 {
			b.Status = statuses[random.IntN(len(statuses))]
		}
		switch parent := m.parent(random); {
		case parent != nil:
			b.ParentID = parent.ID
			parent.ChildrenIDs = append(parent.ChildrenIDs, b.ID)
		case b.Status == catalog.StatusDone && random.IntN(4) == 0:
			m.keeps[b.ID] = []catalog.Keep{catalog.KeepFull, catalog.KeepStandalone}[random.IntN(2)]
		}
		m.backups = append(m.backups, b)
	}
	return m
}

// parent chooses a backup that the next one may depend on; often none.
func (m madeUp) parent(random *rand.Rand) *catalog.BackupInfo {
	if len(m.backups) == 0 || random.IntN(3) > 0 {
		return nil
	}
	b := m.backups[random.IntN(len(m.backups))]
	if b.Status == catalog.StatusEmpty {
		return nil // Python ends with an exception where the root of a chain is EMPTY
	}
	return b
}

// TestBothProgramsRetainTheSameBackups compares the verdicts on two hundred catalogs.
func TestBothProgramsRetainTheSameBackups(t *testing.T) {
	withPython(t, "3.13", func(t *testing.T, version string) {
		const servers = 200
		host := backuphost.New(t)
		python := newPython(t, host, version)
		host.MakeDir(t, host.Locks)
		random := rand.New(rand.NewPCG(20260120, 3))
		invented := map[string]madeUp{}
		for n := range servers {
			name := fmt.Sprintf("s%03d", n)
			invented[name] = makeUp(random, name, time.Now().UTC())
			invented[name].write(t, host, name)
		}
		configureMadeUp(t, host, python, invented)

		theirs := verdicts(t, python.must(t, "-f", "json", "list-backups", "all"))
		ours := verdicts(t, host.Must(t, "-f", "json", "list-backups", "all"))
		if len(theirs) != servers {
			t.Fatalf("%d servers to compare", len(theirs))
		}
		counts := map[string]int{}
		for name, want := range theirs {
			if diff := cmp.Diff(want, ours[name]); diff != "" {
				t.Errorf("server %s, %s, minimum %d, keeps %v (-Python +this program):\n%s", name, invented[name].policy,
					invented[name].minimum, invented[name].keeps, diff)
			}
			for _, verdict := range want {
				counts[verdict]++
			}
		}
		t.Log(counts)
		for _, verdict := range []string{"-", "OBSOLETE", "OBSOLETE*", "KEEP:FULL", "KEEP:STANDALONE"} {
			if counts[verdict] < 20 {
				t.Errorf("only %d backups are %s", counts[verdict], verdict)
			}
		}
	})
}

// configureMadeUp makes both programs know all servers. No PostgreSQL is there.
func configureMadeUp(t *testing.T, host *backuphost.Host, python *python, catalogs map[string]madeUp) {
	t.Helper()
	var ini strings.Builder
	fmt.Fprint(&ini, section("barman", map[string]string{
		"barman_user": host.User.Name, "barman_home": host.Home, "barman_lock_directory": host.Locks, "log_file": python.logFile(),
	}))
	var blocks []string
	for _, name := range slices.Sorted(maps.Keys(catalogs)) {
		options := map[string]string{
			"conninfo": "host=" + host.Dir + "/nowhere", "backup_method": "postgres", "archiver": "on", "retention_policy": catalogs[name].policy,
			"minimum_redundancy": fmt.Sprint(catalogs[name].minimum),
		}
		fmt.Fprint(&ini, section(name, options))
		ours := map[string]any{}
		for option, value := range options {
			ours[option] = value
		}
		blocks = append(blocks, backuphost.Server(name, ours))
	}
	host.Configure(t, blocks...)
	host.WriteFile(t, python.config, ini.String(), 0o644)
}

// verdicts are the retention statuses of a list-backups in JSON, by server and backup.
func verdicts(t *testing.T, out string) map[string]map[string]string {
	t.Helper()
	found := map[string]map[string]string{}
	for server, list := range document(t, out) {
		backups, ok := list.([]any)
		if !ok || strings.HasPrefix(server, "_") {
			continue // messages
		}
		found[server] = map[string]string{}
		for _, item := range backups {
			fields := item.(map[string]any)
			verdict, _ := fields["retention_status"].(string)
			found[server][fields["backup_id"].(string)] = verdict
		}
	}
	return found
}

// write puts the catalog where both programs look for it. It is not made durable: that would take longer than all the rest.
func (m madeUp) write(t *testing.T, host *backuphost.Host, name string) {
	t.Helper()
	layout := host.Layout(name)
	for _, dir := range append(layout.Directories(), layout.Meta()) {
		host.MakeDir(t, dir)
	}
	host.WriteFile(t, layout.WALIndexPath(), "", 0o644)
	for _, b := range m.backups {
		host.MakeDir(t, layout.BackupPath(b.ID))
		host.MakeDir(t, layout.DataPath(b.ID))
		text, err := catalog.EncodeInfo(b)
		if err != nil {
			t.Fatal(err)
		}
		host.WriteFile(t, layout.InfoPath(b.ID), string(text), 0o644)
	}
	for id, keep := range m.keeps {
		host.WriteFile(t, layout.AnnotationPath(id, "keep"), string(keep), 0o644)
	}
}
