package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// killing is one kill -9 in an archive-wal with a compression.
type killing struct {
	compression string
	victim      victim
}

// killings are five of nine, by chance; BARMAN_TEST_KILLS is another number. The filters of "custom" are the only tools that
// archive-wal has.
func killings(t *testing.T, random *rand.Rand) []killing {
	t.Helper()
	var all []killing
	for _, compression := range []string{"gzip", "zstd", "lz4"} {
		all = append(all, killing{compression, barman}, killing{compression, plugin})
	}
	all = append(all, killing{"custom", tool}, killing{"custom", tool}, killing{"custom", plugin})
	number := 5
	if text := os.Getenv("BARMAN_TEST_KILLS"); text != "" {
		var err error
		if number, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	for len(all) < number {
		all = append(all, all...)
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:number]
}

// TestKill9LosesNothing kills barman, its plugins and its tools in archive-wal, at random moments, while the server works.
// Each time: nothing of ours remains, nothing acknowledged is lost, no lock is stuck, and cron works. TestFaultStorm does the same, and
// worse, to backups.
func TestKill9LosesNothing(t *testing.T) {
	s := newScene(t, backuphost.New(t), lab.NewRandom(t))
	for i, k := range killings(t, s.random) {
		t.Run(fmt.Sprintf("%02d %s, %s", i+1, k.compression, k.victim), func(t *testing.T) {
			s.configure(t, "local-rsync", k.compression)
			w := &witness{known: map[int]bool{}}
			kill := k.victim.kill("barman-compress-" + k.compression)
			s.checkAftermath(t, w, s.until(t, w, kill, 400*time.Millisecond, s.fillIncoming, "archive-wal", "main"))
		})
		if t.Failed() {
			break // what follows would only repeat it
		}
	}
	if !t.Failed() {
		s.checkNextBackup(t)
		s.epilogue(t)
	}
}

// fillIncoming makes the server deliver a few segments of WAL that do not compress well.
func (s *scene) fillIncoming(t *testing.T) {
	t.Helper()
	s.primary.MustSQL(t, "SELECT pg_logical_emit_message(false, 'fill', (SELECT string_agg(md5(random()::text || m || n), '') "+
		"FROM generate_series(1, 30000) m)) FROM generate_series(1, 16) n")
	last := s.primary.MustSQL(t, "SELECT pg_walfile_name(pg_switch_wal())")
	if err := s.primary.WaitSQL(t.Context(), "SELECT last_archived_wal >= '"+last+"' FROM pg_stat_archiver", "t"); err != nil {
		t.Fatal(err)
	}
}
