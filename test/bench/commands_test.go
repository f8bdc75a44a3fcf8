package bench

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/barman-go/barman/test/lab"
)

// The catalogs of a host with many servers: 1,000 backups and 1,000,000 WAL files in all.
const (
	hostServers = 40
	hostBackups = 25
	hostWALs    = 1000 // of each backup
)

// benchCommands asks a host with many servers what people and monitoring ask all day. All servers are one PostgreSQL, which is up.
func benchCommands(t *testing.T, b *bed, doc *document) {
	cluster := lab.StartCluster(t, lab.ClusterOptions{Dir: b.mkdir(t, "asked")})
	home := b.mkdir(t, "host")
	hcl := fmt.Sprintf("barman {\n barman_home = %q\n barman_user = %q\n}\n", home, b.owner.Name)
	ini := fmt.Sprintf("[barman]\nbarman_home = %s\nbarman_user = %s\nlog_file = %[1]s/log\n", home, b.owner.Name)
	for n := range hostServers {
		name := fmt.Sprintf("s%02d", n)
		writeManyBackups(t, filepath.Join(home, name), hostBackups, hostWALs)
		hcl += fmt.Sprintf("server %q {\n conninfo = %q\n backup_method = \"local-rsync\"\n backup_options = \"concurrent_backup\"\n archiver = true\n"+
			" retention_policy = \"REDUNDANCY 100\"\n}\n", name, cluster.Conninfo("", ""))
		ini += fmt.Sprintf("\n[%s]\ndescription = %[1]s\nconninfo = %s\nbackup_method = local-rsync\nbackup_options = concurrent_backup\narchiver = on\n"+
			"retention_policy = REDUNDANCY 100\n", name, cluster.Conninfo("", ""))
	}
	b.chown(t, home)
	ours, theirs := b.write(t, "host.hcl", hcl), b.write(t, "host.conf", ini)

	doc.section("A host with many servers", fmt.Sprintf("%d servers with %d backups and %d WAL files together. `check` and `status` ask PostgreSQL for each server, and "+
		"wait for its answers: psql shows for how long at least, and the goal of 20× leaves them out. `cron` finds nothing to do. Debian's barman has one turn only.", hostServers, hostServers*hostBackups, hostServers*hostBackups*hostWALs))
	var rows [][]string
	for _, c := range []struct {
		args string
		// local means that nobody is waited for.
		local bool
	}{{"list-backups all", true}, {"show-backup s00 latest", true}, {"status all", false}, {"status s00", false}, {"check s00", false}, {"cron", true}} {
		run := func(program ...string) func(context.Context) *exec.Cmd {
			// What a check finds, and says in its exit code, does not matter here.
			return func(ctx context.Context) *exec.Cmd {
				return b.owner.Command(ctx, b.dir, "sh", "-c", strings.Join(program, " ")+" "+c.args+"; [ $? -lt 2 ]")
			}
		}
		contenders := []contender{{name: "barman (this)", command: run(filepath.Join(b.build.Bin, "barman"), "-c", ours)}}
		if installed("barman") {
			contenders = append(contenders, contender{name: "barman (Debian)", command: run("barman", "-c", theirs), check: awaitArchivers, once: true})
		}
		if !c.local {
			contenders = append(contenders, contender{name: "psql, `SELECT 1`", command: func(ctx context.Context) *exec.Cmd {
				return b.owner.Command(ctx, b.dir, filepath.Join(cluster.Bin, "psql"), "-XAtc", "SELECT 1", cluster.Conninfo("", ""))
			}})
		}
		results := compare(t, *rounds, contenders...)
		rows = append(rows, backupRows("`"+c.args+"`", results)...)
		doc.bar("`"+c.args+"` in less than 100 MB", median(results[0].rss) < 100e6, fmt.Sprintf("%.0f MB", median(results[0].rss)/1e6))
		if !c.local {
			continue
		}
		doc.bar("`"+c.args+"` under 300 ms", results[0].medianWall() < 0.3, seconds(results[0].medianWall()))
		for _, r := range results[1:] {
			doc.bar("`"+c.args+"` ≥ 20× "+r.name, r.medianWall() >= 20*results[0].medianWall(), ratio(results[0].medianWall(), r.medianWall()))
		}
	}
	backupTable(doc, rows)
}

// awaitArchivers waits until the processes that cron of Debian's barman leaves behind, one for each server, are done: the turns of others
// would be measured beside them.
func awaitArchivers(t *testing.T) {
	t.Helper()
	for exec.CommandContext(t.Context(), "pgrep", "-f", "^[^ ]*python[^ ]* /usr/bin/barman ").Run() == nil {
		time.Sleep(100 * time.Millisecond)
	}
}
