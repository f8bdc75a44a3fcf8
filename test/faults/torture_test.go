package faults

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// TestTortureOfTheWALPath kills archive-wal, put-wal, receive-wal and cron, eight times, at random moments, while a server writes WAL
// without a pause and delivers it in both ways. Afterwards each file that was acknowledged comes back byte for byte, the index agrees
// with the files, and nothing is left: no temporary file, no lock, no process. BARMAN_TEST_ROUNDS changes the number of kills.
func TestTortureOfTheWALPath(t *testing.T) {
	rounds := 8
	if text := os.Getenv("BARMAN_TEST_ROUNDS"); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	random := lab.NewRandom(t)
	w := newWALPath(t)
	load := w.primary.StartPgbench(t, 2, 100)
	for range rounds {
		w.primary.MustSQL(t, "SELECT pg_logical_emit_message(false, 'fill', repeat(md5(random()::text), 15000))") // half a segment
		victim := []string{"archive-wal", "put-wal", "receive-wal", "cron"}[random.IntN(4)]
		w.kill(t, random, victim)
		w.host.Must(t, "cron") // starts a receiver when there is none
		if t.Failed() {
			t.FailNow() // what follows would only repeat it
		}
	}
	if err := load.Stop(); err != nil {
		t.Fatal(err)
	}
	w.settle(t)
	w.inspect(t)
	t.Logf("kills: %v", w.kills)
}

// walPath is a server and the host to which it delivers WAL by archive_command and by streaming.
type walPath struct {
	host    *backuphost.Host
	primary *lab.Cluster
	kills   map[string]int
}

func newWALPath(t *testing.T) *walPath {
	t.Helper()
	host := backuphost.New(t)
	ownPrograms(t, host)
	w := &walPath{host: host, kills: map[string]int{}}
	w.primary = lab.StartCluster(t, lab.ClusterOptions{ArchiveCommand: host.ArchiveCommand(t, "main"), WALSegmentSizeMB: 1})
	host.Configure(t, backuphost.Server("main", map[string]any{
		"conninfo": w.primary.Conninfo("", ""), "streaming_conninfo": w.primary.Conninfo("", ""), "backup_method": "postgres", "archiver": true,
		"streaming_archiver": true, "slot_name": "barman", "compression": "gzip",
	}))
	host.Must(t, "receive-wal", "--create-slot", "main")
	host.Must(t, "cron")
	t.Cleanup(func() {
		for _, p := range w.running("receive-wal") {
			kill9(p.pid)
		}
	})
	if err := w.primary.InitPgbench(t.Context(), 1, ""); err != nil {
		t.Fatal(err)
	}
	return w
}

// running are the barmans of this host that execute a command.
func (w *walPath) running(command string) (found []process) {
	for _, p := range processes() {
		if p.name == "barman" && strings.Contains(p.args, w.host.Config) && strings.Contains(p.args, " "+command+" ") {
			found = append(found, p)
		}
	}
	return found
}

// kill kills a victim: one that runs already, or one that is started for it.
func (w *walPath) kill(t *testing.T, random *rand.Rand, victim string) {
	t.Helper()
	switch victim {
	case "archive-wal", "cron":
		args := map[string][]string{"archive-wal": {"archive-wal", "main"}, "cron": {"cron"}}[victim]
		cmd := w.host.Command(t.Context(), args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(random.Int64N(int64(150 * time.Millisecond))))
		if err := cmd.Process.Kill(); err == nil {
			w.kills[victim]++
		}
		_ = cmd.Wait() // killed, or through already
	default:
		time.Sleep(time.Duration(random.Int64N(int64(100 * time.Millisecond))))
		// archive_command comes soon; cron has started a receiver.
		for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if found := w.running(victim); len(found) > 0 && kill9(found[0].pid) {
				w.kills[victim]++
				return
			}
		}
		t.Errorf("no %s was seen", victim)
	}
}

// settle lets everything arrive.
func (w *walPath) settle(t *testing.T) {
	t.Helper()
	last := w.primary.MustSQL(t, "SELECT pg_walfile_name(pg_switch_wal())")
	if err := w.primary.WaitSQL(t.Context(), "SELECT last_archived_wal >= '"+last+"' FROM pg_stat_archiver", "t"); err != nil {
		t.Fatal(err)
	}
	received := "SELECT pg_walfile_name(restart_lsn) > '" + last + "' FROM pg_replication_slots"
	if err := w.primary.WaitSQL(t.Context(), received, "t"); err != nil {
		t.Fatal(err)
	}
	w.host.Must(t, "receive-wal", "--stop", "main")
	w.host.Must(t, "archive-wal", "main")
}

func (w *walPath) inspect(t *testing.T) {
	t.Helper()
	layout := w.host.Layout("main")
	files := w.host.Acknowledged(t, "main")
	t.Logf("%d files were acknowledged", len(files))
	w.host.CheckAcknowledged(t, "main", files)
	for path := range regularFiles(t, layout.Incoming) {
		t.Errorf("%s was not archived", path)
	}
	for path := range regularFiles(t, layout.Errors) {
		t.Errorf("%s was taken for an error", path)
	}
	checkIndex(t, layout)
	checkNoTemps(t, w.host.Home)
	checkLocks(t, w.host)
	if left := new(witness).survivors(deathWatch, w.host.Dir); len(left) > 0 {
		t.Errorf("still there %s later: %+v", deathWatch, left)
	}
	if len(files) < 10 {
		t.Errorf("only %d files came", len(files))
	}
}
