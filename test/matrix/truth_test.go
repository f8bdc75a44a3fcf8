package matrix

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// The number of targets and the seed of the truth test, unless $BARMAN_TRUTH_TARGETS and $BARMAN_TEST_SEED say otherwise; a seed of
// "random" is a new one.
const (
	truthTargets = 8
	truthSeed    = 1
)

// TestTruth lets a server work under a chronicle on two timelines, takes backups in each way, and recovers them to random targets: the rows
// have to be those of the chronicle there.
func TestTruth(t *testing.T) {
	targets, seed := truthTargets, uint64(truthSeed)
	if text := os.Getenv("BARMAN_TRUTH_TARGETS"); text != "" {
		var err error
		if targets, err = strconv.Atoi(text); err != nil {
			t.Fatalf("BARMAN_TRUTH_TARGETS: %v", err)
		}
	}
	switch text := os.Getenv("BARMAN_TEST_SEED"); text {
	case "":
	case "random":
		seed = uint64(time.Now().UnixNano())
	default:
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("BARMAN_TEST_SEED: %v", err)
		}
	}
	t.Logf("BARMAN_TEST_SEED=%d", seed)
	asked := askedFor(t)
	reached := make([][]string, len(asked))
	t.Run("PostgreSQL", func(t *testing.T) {
		for n, version := range asked {
			t.Run(strconv.Itoa(version), func(t *testing.T) {
				t.Parallel()
				mine := targets / len(asked)
				if n < targets%len(asked) {
					mine++
				}
				reached[n] = tellTruth(t, version, n, mine, rand.New(rand.NewPCG(seed, uint64(version))))
			})
		}
	})
	fmt.Printf("\n%d of %d targets recovered with the rows of the chronicle, seed %d\n", len(slices.Concat(reached...)), targets, seed)
	for n, version := range asked {
		for _, words := range reached[n] {
			fmt.Printf("  %d: %s\n", version, words)
		}
	}
}

// tellTruth is the test for one version, the n-th; it returns the targets at which the rows were right.
func tellTruth(t *testing.T, version, n, targets int, random *rand.Rand) (reached []string) {
	if targets == 0 {
		return nil
	}
	s := newTruthSite(t, version, rand.New(rand.NewPCG(random.Uint64(), 1)))
	// Each version begins with other ways and kinds, so that a few targets meet many of them.
	var used []int
	for i := range min((targets+1)/2, len(ways)) {
		used = append(used, (n+i)%len(ways))
	}
	for _, w := range used {
		s.backup(t, w)
	}
	s.split(t, random, used)
	for i := range targets {
		var c truthCase
		for found := false; !found; {
			c, found = s.draw(random, s.backups[random.IntN(len(s.backups))], kinds[(2*n+i)%len(kinds)])
		}
		// Log-ins take time.
		c.remote = (n+i)%4 == 0
		c.words = fmt.Sprintf("%s, get-wal %v, remote %v", c.words, c.getWAL, c.remote)
		if t.Run(c.words, func(t *testing.T) { s.recover(t, c) }) {
			reached = append(reached, c.words)
		}
	}
	return reached
}

// truthSite is a server with a history, and the host that backs it up.
type truthSite struct {
	major   int
	host    *backuphost.Host
	sshd    *lab.SSHD
	primary *lab.Cluster
	noise   *lab.Ledger
	// timelines are the chronicles of timeline 1 and of timeline 2, which begins with the former's up to the moment fork.
	timelines []*chronicle
	fork      int
	backups   []*taken
	// restores counts the recovered servers.
	restores int
}

// barmanHost is a name under which ssh finds the backup host.
const barmanHost = "backup.example"

func newTruthSite(t *testing.T, version int, random *rand.Rand) *truthSite {
	t.Helper()
	installation, err := lab.FindPostgres(version)
	if err != nil {
		t.Fatal(err)
	}
	s := &truthSite{major: version, host: backuphost.New(t)}
	s.sshd = lab.StartSSHD(t, "PATH="+s.host.Build.Bin+":/usr/bin:/bin", "BARMAN_CONFIG_FILE="+s.host.Config)
	s.host.Global = fmt.Sprintf("  path_prefix = [%q]\n", installation.Bin)
	s.primary = lab.StartCluster(t, lab.ClusterOptions{
		Version: version, ArchiveCommand: s.host.CopyCommand(t, "main"), WALSegmentSizeMB: 4,
		Settings: map[string]string{"track_commit_timestamp": "on"},
	})
	if _, err := s.primary.CreateTablespace(t.Context(), "space"); err != nil {
		t.Fatal(err)
	}
	s.primary.MustSQL(t, "CREATE SCHEMA truth")
	s.noise = s.primary.StartLedger(t, lab.LedgerOptions{Writers: 2, Pause: 50 * time.Millisecond})
	s.timelines = []*chronicle{{random: random, tables: tables{}}}
	s.connect(t, s.timelines[0], s.primary)
	s.configure(t, 0, s.primary)
	s.host.Must(t, "switch-wal", "--force", "--archive", "main")
	s.work(t, s.timelines[0], 5)
	return s
}

func (s *truthSite) connect(t *testing.T, c *chronicle, cluster *lab.Cluster) {
	t.Helper()
	session, err := cluster.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	c.session = session
}

func (s *truthSite) work(t *testing.T, c *chronicle, n int) {
	t.Helper()
	if err := c.run(n); err != nil {
		t.Fatal(err)
	}
}

// ssh reaches the PostgreSQL host, and every host that is restored to. One connection serves many commands.
func (s *truthSite) ssh() string {
	argv := s.sshd.Command(s.host.User, s.primary.Owner)
	shared := []string{"-o", "ControlMaster=auto", "-o", "ControlPersist=5", "-o", "ControlPath=" + filepath.Join(s.host.Dir, "ssh-%C")}
	return strings.Join(slices.Insert(argv, 1, shared...), " ")
}

// configure has backups taken in one of the ways, and WAL compressed in another way with each of them.
func (s *truthSite) configure(t *testing.T, way int, cluster *lab.Cluster) {
	t.Helper()
	options := map[string]any{
		"conninfo": cluster.Conninfo("", ""), "streaming_conninfo": cluster.Conninfo("", ""), "archiver": true,
		"backup_options": "concurrent_backup", "immediate_checkpoint": true,
	}
	if compression := []string{"gzip", "", "zstd", "lz4"}[way]; compression != "" {
		options["compression"] = compression
	}
	maps.Copy(options, ways[way].options(s))
	s.host.Configure(t, backuphost.Server("main", options))
}

// backup takes a backup while the newest chronicle goes on.
func (s *truthSite) backup(t *testing.T, way int) {
	t.Helper()
	s.configure(t, way, s.primary)
	c := s.timelines[len(s.timelines)-1]
	quit, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-quit:
				ended <- nil
				return
			default:
			}
			// Not all that fits into the time of a backup: every segment costs time in every recovery.
			if err := c.transaction(false, false); err != nil {
				ended <- err
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	b := &taken{way: ways[way].name, begin: c.length()}
	out := s.host.Must(t, "backup", "--wait", "main")
	b.end = c.length() + 1 // one may have been under way
	close(quit)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	list, err := s.host.Catalog("main").List()
	if err != nil {
		t.Fatal(err)
	}
	if b.info = list.Last(catalog.Usable...); b.info == nil || len(s.backups) > 0 && b.info.ID == s.backups[len(s.backups)-1].info.ID {
		t.Fatalf("there is no new backup:\n%s", out)
	}
	s.backups = append(s.backups, b)
	s.work(t, c, 6)
}

// split lets the server go on, loses it, restores the last backup to a point before its end, and lets that one go on on timeline 2; with many
// backups there is one of it, too.
func (s *truthSite) split(t *testing.T, random *rand.Rand, used []int) {
	t.Helper()
	first := s.timelines[0]
	s.work(t, first, 10)
	if err := first.transaction(true, false); err != nil {
		t.Fatal(err)
	}
	s.fork = first.length() - 1
	s.work(t, first, 12)
	if err := s.noise.Stop(); err != nil {
		t.Fatal(err)
	}
	s.host.Must(t, "switch-wal", "--archive", "main")
	first.session.Close()
	if err := s.primary.Destroy(); err != nil {
		t.Fatal(err)
	}

	point := first.moments[s.fork]
	c := truthCase{
		backup: s.backups[len(s.backups)-1], args: []string{"--target-name", point.point, "--target-action", "promote"}, want: []string{point.rows},
	}
	s.primary = s.open(t, c, map[string]string{"archive_command": s.host.CopyCommand(t, "main"), "track_commit_timestamp": "on"})
	second := first.branch(s.fork)
	s.timelines = append(s.timelines, second)
	s.connect(t, second, s.primary)
	s.configure(t, used[0], s.primary)
	s.work(t, second, 8)
	if len(used) == len(ways) {
		s.backup(t, used[random.IntN(len(used))])
	}
	s.work(t, second, 8)
	s.host.Must(t, "switch-wal", "--archive", "main")
	if err := s.primary.Stop(lab.Fast); err != nil {
		t.Fatal(err)
	}
}

// recover is one recovery, and the comparison.
func (s *truthSite) recover(t *testing.T, c truthCase) {
	restored := s.open(t, c, nil)
	if err := restored.Destroy(); err != nil {
		t.Error(err)
	}
}

// open recovers as a case says, starts the server with some settings, and compares its rows.
func (s *truthSite) open(t *testing.T, c truthCase, settings map[string]string) *lab.Cluster {
	t.Helper()
	s.restores++
	dir := lab.ScratchDir(t)
	data := filepath.Join(dir, "data")
	args := append([]string{"recover", "--tablespace", "space:" + filepath.Join(dir, "space")}, c.args...)
	if c.remote {
		args = append(args, "--remote-ssh-command", s.ssh())
	}
	if c.getWAL {
		args = append(args, "--get-wal")
	}
	if c.getWAL && c.remote {
		args = append(args, "--recovery-option-port", strconv.Itoa(s.sshd.Port))
	}
	s.host.Must(t, append(args, "main", c.backup.info.ID, data)...)
	settings = maps.Clone(settings)
	if c.getWAL && c.remote {
		settings = map[string]string{"restore_command": s.remoteCommand(t, data)}
	}
	cluster := lab.OpenCluster(t, data, lab.ClusterOptions{Version: s.major, Settings: settings})
	if err := cluster.WaitSQL(t.Context(), "SELECT pg_is_in_recovery()", "f"); err != nil {
		t.Fatalf("%v\n%s", err, cluster.LogTail(30))
	}
	got, err := contents(func(sql string) (string, error) { return cluster.SQL(t.Context(), sql) })
	if err == nil {
		err = c.check(s, got)
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", c.words, err, cluster.LogTail(15))
	}
	return cluster
}

// remoteCommand is the restore_command that was written, made to find this host, its programs, and a spool of its own.
func (s *truthSite) remoteCommand(t *testing.T, data string) string {
	t.Helper()
	conf, err := os.ReadFile(filepath.Join(data, "postgresql.auto.conf"))
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`restore_command = '(barman-wal-restore [^']*?)(\S+) main %f %p([^']*)'`).FindSubmatch(conf)
	if line == nil {
		t.Fatalf("there is no restore_command for another host:\n%s", conf)
	}
	path := s.sshd.Client(t, s.host.User) + ":" + s.host.Build.Bin
	return fmt.Sprintf("PATH=%s:$PATH %s%s main %%f %%p%s --spool-dir %s", path, line[1], barmanHost, line[3],
		filepath.Join(s.host.Dir, fmt.Sprintf("spool-%d", s.restores)))
}
