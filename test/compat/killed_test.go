package compat

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// killRounds is how many times maintenance is killed; more with BARMAN_KILL_ROUNDS.
func killRounds() int {
	if n, err := strconv.Atoi(os.Getenv("BARMAN_KILL_ROUNDS")); err == nil {
		return n
	}
	return 6
}

// TestKilledMaintenanceLeavesACatalogThatBothRead kills delete, keep and cron at random moments, each on a catalog of its own. Both
// programs then read all of them and agree; the next cron ends what was begun, and they agree again.
func TestKilledMaintenanceLeavesACatalogThatBothRead(t *testing.T) {
	withPython(t, "3.13", func(t *testing.T, version string) {
		host := backuphost.New(t)
		python := newPython(t, host, version)
		host.MakeDir(t, host.Locks)
		random := lab.NewRandom(t)
		catalogs := map[string]madeUp{}
		for n := range killRounds() + 1 {
			name := fmt.Sprintf("s%03d", n)
			catalogs[name] = makeUp(random, name, time.Now().UTC())
		}
		configureMadeUp(t, host, python, catalogs)
		for name, m := range catalogs {
			m.write(t, host, name)
			m.writeWAL(t, host, name)
		}

		// How long an undisturbed command takes, on the last catalog.
		start := time.Now()
		host.Barman(t, slices.Concat([]string{"delete"}, deletable(catalogs, len(catalogs)-1))...)
		usual := time.Since(start)
		killed := 0
		for n := range killRounds() {
			if killOne(t, host, random, usual, catalogs, n) {
				killed++
			}
		}
		t.Logf("%d of %d were killed before they had ended", killed, killRounds())
		if killed == 0 {
			t.Error("nothing was killed")
		}
		agree(t, host, python, "after the kills")
		host.Barman(t, "cron") // it tells that no server can be reached
		agree(t, host, python, "after the next cron")
		for name := range catalogs {
			checkTidy(t, host.Layout(name), name)
		}
	})
}

// deletable are the server of a number and its oldest backup, as arguments.
func deletable(catalogs map[string]madeUp, n int) []string {
	name := fmt.Sprintf("s%03d", n)
	return []string{name, catalogs[name].backups[0].ID}
}

// killOne kills one command on one catalog, at a moment of its usual time. It reports whether the command was still there.
func killOne(t *testing.T, host *backuphost.Host, random *rand.Rand, usual time.Duration, catalogs map[string]madeUp, n int) bool {
	t.Helper()
	target := deletable(catalogs, n)
	args := [][]string{
		append([]string{"delete"}, target...), append([]string{"keep", "--target", "full"}, target...), {"cron"},
	}[n%3]
	after := time.Duration(random.Int64N(int64(usual)))
	cmd := host.Command(t.Context(), args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(after)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	t.Logf("%s: %s after %s", strings.Join(args, " "), cmd.ProcessState, after)
	return cmd.ProcessState.ExitCode() < 0
}

// agree compares what both programs say about all backups.
func agree(t *testing.T, host *backuphost.Host, python *python, when string) {
	t.Helper()
	theirs := verdicts(t, python.must(t, "-f", "json", "list-backups", "all"))
	ours := verdicts(t, host.Must(t, "-f", "json", "list-backups", "all"))
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Errorf("%s (-Python +this program):\n%s", when, diff)
	}
}

// checkTidy wants an index that agrees with the files, the directories of the backups that are listed and no others, and no temporary files.
func checkTidy(t *testing.T, layout catalog.Layout, name string) {
	t.Helper()
	text, err := os.ReadFile(layout.WALIndexPath())
	if err != nil {
		t.Fatal(err)
	}
	var indexed, files []string
	for line := range strings.Lines(string(text)) {
		indexed = append(indexed, strings.Fields(line)[0])
	}
	err = filepath.WalkDir(filepath.Dir(layout.Base), func(path string, e os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasSuffix(path, fsx.TempSuffix):
			t.Errorf("%s: %s is left", name, path)
		case strings.HasPrefix(path, layout.WALs) && len(e.Name()) == 24:
			files = append(files, e.Name())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(indexed)
	slices.Sort(files)
	if diff := cmp.Diff(files, indexed); diff != "" {
		t.Errorf("%s: the index (-files +lines):\n%s", name, diff)
	}
	dirs, err := os.ReadDir(layout.Base)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		if _, err := os.Stat(layout.InfoPath(dir.Name())); err != nil {
			t.Errorf("%s: %s is not a backup: %v", name, filepath.Join(layout.Base, dir.Name()), err)
		}
	}
}

// writeWAL puts WAL into the archive of a catalog, from the first backup's to the newest; not all, for nobody restores it.
func (m madeUp) writeWAL(t *testing.T, host *backuphost.Host, name string) {
	t.Helper()
	layout := host.Layout(name)
	var index []byte
	made := map[string]bool{}
	for seg := m.backups[0].BeginWAL.Seg; seg <= 200; seg += 5 {
		file, err := wal.ParseFileName(wal.Segment{Timeline: 1, Seg: seg}.String())
		if err != nil {
			t.Fatal(err)
		}
		path := layout.WALPath(file)
		if dir := filepath.Dir(path); !made[dir] {
			host.MakeDir(t, dir)
			made[dir] = true
		}
		host.WriteFile(t, path, "x", 0o644)
		index = catalog.WALRecord{Name: file.String(), Size: 1, ModTime: catalog.Seconds(time.Now())}.AppendTo(index)
	}
	host.WriteFile(t, layout.WALIndexPath(), string(index), 0o644)
}
