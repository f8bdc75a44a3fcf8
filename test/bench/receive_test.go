package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/barman-go/barman/test/lab"
)

// liveSeconds is how long the receivers follow a server under load.
const liveSeconds = 10

// benchReceive lets the receivers take over the same WAL, once as fast as they can and once as pgbench writes it.
func benchReceive(t *testing.T, b *bed, doc *document) {
	primary := lab.StartCluster(t, lab.ClusterOptions{
		Dir:      b.mkdir(t, "streamed"),
		Settings: map[string]string{"max_wal_size": "'4GB'", "wal_keep_size": "'4GB'", "checkpoint_timeout": "'60s'"},
	})
	if err := primary.InitPgbench(t.Context(), 10, ""); err != nil {
		t.Fatal(err)
	}
	first := primary.MustSQL(t, "SELECT pg_walfile_name(pg_current_wal_lsn())")
	load := primary.StartPgbench(t, 4, 0)
	for segmentsSince(t, primary, first) < segments {
		time.Sleep(200 * time.Millisecond)
	}
	_ = load.Stop()
	last := primary.MustSQL(t, "SELECT pg_walfile_name(pg_switch_wal())")
	count := segmentsSince(t, primary, first)

	receivers := []receiver{b.ourReceiver(t, primary), b.pgReceiver(primary)}
	var catchUp, live []contender
	for _, r := range receivers {
		catchUp = append(catchUp, b.catchingUp(t, r, first, last))
		live = append(live, b.following(t, r))
	}
	results := compare(t, *rounds, catchUp...)
	doc.section("Receiving WAL", fmt.Sprintf("%d segments that the server has, received as fast as it goes; then %d seconds behind a server that pgbench "+
		"loads with 4 clients. Without synchronous commits.", count, liveSeconds))
	doc.table([]string{"program, catching up", "wall", "CPU", "ours is faster by"}, rowsAgainst(results))
	doc.bar("`receive-wal` at least as fast as pg_receivewal", results[0].medianWall() <= results[1].medianWall(),
		ratio(results[0].medianWall(), results[1].medianWall()))
	doc.bar("`receive-wal` uses less CPU than pg_receivewal, catching up", results[0].medianCPU() < results[1].medianCPU(),
		ratio(results[0].medianCPU(), results[1].medianCPU()))

	load = primary.StartPgbench(t, 4, 0)
	results = compare(t, *rounds, live...)
	_ = load.Stop()
	fmt.Fprintln(doc)
	var rows [][]string
	for _, r := range results {
		rows = append(rows, []string{r.name, seconds(r.medianCPU()), ratio(results[0].medianCPU(), r.medianCPU())})
	}
	doc.table([]string{"program, following pgbench", "CPU", "ours uses less by"}, rows)
	doc.bar("`receive-wal` uses less CPU than pg_receivewal, following pgbench", results[0].medianCPU() < results[1].medianCPU(),
		ratio(results[0].medianCPU(), results[1].medianCPU()))
}

func segmentsSince(t *testing.T, c *lab.Cluster, first string) int {
	t.Helper()
	var n int
	text := c.MustSQL(t, fmt.Sprintf("SELECT count(*) FROM pg_ls_waldir() WHERE name >= '%s' AND name < pg_walfile_name(pg_current_wal_lsn())", first))
	if _, err := fmt.Sscan(text, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// receiver is a program that fills a directory with WAL until it gets SIGINT.
type receiver struct {
	name, dir string
	argv      []string
}

func (b *bed) ourReceiver(t *testing.T, primary *lab.Cluster) receiver {
	home := filepath.Join(b.dir, "received")
	config := b.write(t, "received.hcl", fmt.Sprintf("barman {\n barman_home = %q\n barman_user = %q\n}\nserver \"main\" {\n conninfo = %q\n"+
		" streaming_conninfo = %[3]q\n backup_method = \"postgres\"\n streaming_archiver = true\n archiver = true\n}\n",
		home, b.owner.Name, primary.Conninfo("postgres", "postgres")))
	// Archiving is measured elsewhere: somebody else holds its lock.
	argv := []string{"flock", "--no-fork", filepath.Join(home, ".main-archive-wal.lock"), filepath.Join(b.build.Bin, "barman"), "-c", config, "receive-wal", "main"}
	return receiver{name: "barman receive-wal (this)", dir: filepath.Join(home, "main", "streaming"), argv: argv}
}

func (b *bed) pgReceiver(primary *lab.Cluster) receiver {
	dir := filepath.Join(b.dir, "pg_received")
	program := filepath.Join(primary.Bin, "pg_receivewal")
	return receiver{name: "pg_receivewal", dir: dir, argv: []string{
		program, "--no-loop", "--directory=" + dir, "--dbname=" + primary.Conninfo("postgres", "postgres"),
	}}
}

// catchingUp measures from the first segment to the last one.
func (b *bed) catchingUp(t *testing.T, r receiver, first, last string) contender {
	return contender{
		name: r.name,
		prepare: func(t *testing.T) {
			b.emptyDir(t, r.dir)
			// An empty partial segment tells both where to begin.
			b.as(t, "touch", filepath.Join(r.dir, first+".partial"))
		},
		command: func(ctx context.Context) *exec.Cmd {
			return b.until(ctx, r, fmt.Sprintf("while [ ! -e '%s/%s' ]; do kill -0 $pid || exit 1; sleep 0.05; done", r.dir, last))
		},
		check: func(t *testing.T) {
			if names := segmentNames(t, r.dir); len(names) < segments {
				t.Fatalf("%s received %d segments", r.name, len(names))
			}
		},
	}
}

// following measures some time of a server's life.
func (b *bed) following(t *testing.T, r receiver) contender {
	return contender{
		name:    r.name,
		prepare: func(t *testing.T) { b.emptyDir(t, r.dir) },
		command: func(ctx context.Context) *exec.Cmd { return b.until(ctx, r, fmt.Sprintf("sleep %d", liveSeconds)) },
		check: func(t *testing.T) {
			if entries, err := os.ReadDir(r.dir); err != nil || len(entries) == 0 {
				t.Fatalf("%s received nothing: %v", r.name, err)
			}
		},
	}
}

func (b *bed) emptyDir(t *testing.T, dir string) {
	t.Helper()
	b.as(t, "rm", "-rf", dir)
	b.as(t, "mkdir", "-p", dir)
}

// until runs a receiver until a shell script has ended.
func (b *bed) until(ctx context.Context, r receiver, script string) *exec.Cmd {
	quoted := make([]string, len(r.argv))
	for i, a := range r.argv {
		quoted[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
	}
	return b.owner.Command(ctx, b.dir, "sh", "-c",
		fmt.Sprintf("%s & pid=$!; %s; kill -INT $pid; wait $pid; exit 0", strings.Join(quoted, " "), script))
}
