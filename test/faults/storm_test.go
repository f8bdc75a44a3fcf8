package faults

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// calamity is something that befalls a backup.
type calamity struct {
	// kind is what a sample has one of each of; name says the rest.
	kind, name, method string
	// prepare comes before the backup, harm in its middle, mend after barman has ended; prepare and mend may be nil.
	prepare func(*testing.T, *storm)
	harm    func(*storm) strike
	mend    func(*testing.T, *storm)
}

// calamities are forty: for each method nine signals, a crash of the server, a lost session, a full disk and the promotion of the standby
// that is backed up; and a lost connection of ssh.
func calamities() []calamity {
	all := []calamity{{kind: "ssh", name: "ssh drops", method: "rsync", harm: (*storm).dropSSH}}
	for _, method := range []string{"local-rsync", "rsync", "postgres"} {
		for _, v := range []victim{barman, plugin, tool} {
			for name, signal := range map[string]syscall.Signal{"SIGINT": syscall.SIGINT, "SIGTERM": syscall.SIGTERM, "SIGKILL": syscall.SIGKILL} {
				all = append(all, calamity{kind: string(v), name: name + " to " + string(v), method: method, harm: func(*storm) strike {
					return v.signal(signal, "barman-transfer-"+method)
				}})
			}
		}
		all = append(all,
			calamity{kind: "crash", name: "the server crashes", method: method, harm: (*storm).crash, mend: restart},
			calamity{kind: "session", name: "its sessions are terminated", method: method, harm: (*storm).terminate},
			calamity{kind: "disk", name: "the disk is full", method: method, harm: (*storm).fillDisk, mend: makeRoom},
			calamity{
				kind: "promotion", name: "the standby is promoted", method: method,
				prepare: backUpStandby, harm: (*storm).promote, mend: forgetStandby,
			})
	}
	// Maps have no order, and a seed has to find the same one again.
	slices.SortFunc(all, func(a, b calamity) int { return cmp.Compare(a.method+a.name, b.method+b.name) })
	return all
}

// storm is a scene whose barman_home lies on a small disk.
type storm struct {
	*scene
	disk *smallDisk
}

// TestFaultStorm takes backups by all methods while processes get signals, the server crashes, sessions and connections are lost, a standby
// is promoted, and the disk is full, at random moments. Each time the backup is FAILED with the reason (or whole, when it overcame the
// fault), PostgreSQL is out of backup mode, nothing of barman remains, and the next backup is good. The default is one fault of each
// kind, eight in all; BARMAN_TEST_STORM=40 has all forty. Then a passive node copies what there is, onto a disk that is full.
func TestFaultStorm(t *testing.T) {
	random := lab.NewRandom(t)
	host := backuphost.New(t)
	s := &storm{disk: mountSmallDisk(t, host)}
	faults := sampleStorm(t, random, s.disk != nil)
	s.scene = newScene(t, host, random)
	for i, c := range faults {
		t.Run(fmt.Sprintf("%02d %s, %s", i+1, c.method, c.name), func(t *testing.T) { s.suffer(t, c) })
		if t.Failed() {
			break // what follows would only repeat it
		}
	}
	if !t.Failed() {
		t.Run("a second site, the disk is full", s.syncOntoFullDisk)
	}
	if !t.Failed() {
		s.epilogue(t)
	}
}

// sampleStorm chooses the faults: one of each kind first, then others, in random order.
func sampleStorm(t *testing.T, random *rand.Rand, disk bool) []calamity {
	t.Helper()
	number := 8
	if text := os.Getenv("BARMAN_TEST_STORM"); text != "" {
		var err error
		if number, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	all := calamities()
	if len(all) != 40 {
		t.Fatalf("%d faults", len(all))
	}
	if !disk {
		t.Log("without a disk that can be full: only root can mount one")
		all = slices.DeleteFunc(all, func(c calamity) bool { return c.kind == "disk" })
	}
	shuffle := func(some []calamity) {
		random.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
	}
	shuffle(all)
	var first, rest []calamity
	kinds := map[string]bool{}
	for _, c := range all {
		if kinds[c.kind] {
			rest = append(rest, c)
		} else {
			kinds[c.kind] = true
			first = append(first, c)
		}
	}
	chosen := slices.Concat(first, rest)
	chosen = chosen[:min(number, len(chosen))]
	shuffle(chosen)
	return chosen
}

// suffer is one fault and what remains of it.
func (s *storm) suffer(t *testing.T, c calamity) {
	if c.prepare != nil {
		c.prepare(t, s)
	}
	s.configure(t, c.method, "zstd")
	w := &witness{known: map[int]bool{}}
	// A copy of about 40 MB at this rate takes two seconds and a half.
	result := s.until(t, w, c.harm(s), 2500*time.Millisecond, func(*testing.T) {}, "backup", "--bwlimit", "15000", "main")
	if c.mend != nil {
		c.mend(t, s)
		s.configure(t, c.method, "zstd")
	}
	s.checkAftermath(t, w, result)
	s.checkNextBackup(t)
}

// started tells whether the backup has got as far as to be in the catalog as STARTED.
func (s *storm) started(t *testing.T) bool {
	for id, status := range s.ids(t) {
		if _, old := s.before[id]; !old && status == catalog.StatusStarted {
			return true
		}
	}
	return false
}

func (s *storm) dropSSH() strike {
	return func(*testing.T, int, []process) bool { return s.sshd.Drop() > 0 }
}

func (s *storm) crash() strike {
	return func(_ *testing.T, _ int, family []process) bool {
		if len(family) == 0 {
			return false
		}
		s.primary.Kill9()
		return true
	}
}

func restart(t *testing.T, s *storm) {
	if err := s.primary.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.ledger.Resume(); err != nil {
		t.Fatal(err)
	}
}

// terminate ends the sessions of barman and of its tools, those by which a tool streams included.
func (s *storm) terminate() strike {
	return func(t *testing.T, _ int, _ []process) bool {
		const sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'barman%'"
		return s.primary.MustSQL(t, sql) != "0"
	}
}

func (s *storm) fillDisk() strike {
	return func(t *testing.T, _ int, family []process) bool {
		if len(family) == 0 {
			return false
		}
		s.disk.fill(t)
		return true
	}
}

func makeRoom(t *testing.T, s *storm) { s.disk.empty(t) }

// backUpStandby gives the server a standby and has barman back that one up. It must never archive: its timeline would be another one.
func backUpStandby(t *testing.T, s *storm) {
	s.standby = s.primary.StartStandby(t, lab.ClusterOptions{Settings: map[string]string{"archive_command": "/bin/false"}})
	if err := s.standby.WaitCaughtUp(t.Context(), s.primary); err != nil {
		t.Fatal(err)
	}
}

func (s *storm) promote() strike {
	return func(t *testing.T, _ int, _ []process) bool {
		if !s.started(t) {
			return false
		}
		s.standby.MustSQL(t, "SELECT pg_promote()")
		return true
	}
}

func forgetStandby(t *testing.T, s *storm) {
	const sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'barman%' OR backend_type = 'walsender'"
	if err := s.standby.WaitSQL(t.Context(), sessions, "0"); err != nil {
		t.Errorf("sessions of barman are left on the standby: %v", err)
	}
	if err := s.standby.Destroy(); err != nil {
		t.Error(err)
	}
	s.standby = nil
}
