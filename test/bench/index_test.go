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
)

// backupInfo describes a backup that began and ended in the n-th segment of a timeline.
func backupInfo(at time.Time, timeline, n int) string {
	const layout = "2006-01-02 15:04:05.000000+00:00"
	wal := fmt.Sprintf("%08X%08X%08X", timeline, n/256, n%256)
	return fmt.Sprintf("backup_label=None\nbegin_offset=40\nbegin_time=%s\nbegin_wal=%s\nbegin_xlog=%X/%X\nchildren_backup_ids=None\n"+
		"cluster_size=1000000\ncompression=None\nconfig_file=/d/postgresql.conf\ncopy_stats={'total_time': 1.5, 'copy_time': 1.5}\n"+
		"deduplicated_size=1000000\nend_offset=312\nend_time=%s\nend_wal=%s\nend_xlog=%X/%X\nerror=None\nhba_file=/d/pg_hba.conf\n"+
		"ident_file=/d/pg_ident.conf\nincluded_files=None\nmode=rsync-concurrent\npgdata=/d\nserver_name=main\nsize=1000000\nstatus=DONE\n"+
		"systemid=7000000000000000001\ntablespaces=None\ntimeline=%d\nversion=150018\nxlog_segment_size=16777216\n",
		at.Format(layout), wal, n/256, n%256<<24+40, at.Add(time.Minute).Format(layout), wal, n/256, n%256<<24+312, timeline)
}

// A great archive: a backup every three days, with the WAL of a busy server.
const (
	greatBackups   = 100
	greatPerBackup = 10_000
	greatTimeline  = 9 // no name is one of those that the benchmarks' own cluster writes
)

// greatArchive is a server's directory with a million lines in its index. Of the files, only those of the oldest backup
// exist.
type greatArchive struct {
	dir    string
	index  string
	oldest string
}

func (g *greatArchive) indexPath() string { return filepath.Join(g.dir, "wals", "main-xlog.db") }

func greatWAL(n int) string { return fmt.Sprintf("%08X%08X%08X", greatTimeline, n/256, n%256) }

func greatTime(backup int) time.Time {
	return time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 3*(backup-greatBackups))
}

func writeGreatArchive(t *testing.T, dir string) *greatArchive {
	t.Helper()
	g := &greatArchive{dir: dir, oldest: greatTime(0).Format("20060102T150405")}
	for _, d := range []string{"meta", "base", "wals", "incoming", "streaming", "errors"} {
		must(t, os.MkdirAll(filepath.Join(dir, d), 0o755))
	}
	var index strings.Builder
	for i := range greatBackups {
		at := greatTime(i)
		for n := range greatPerBackup {
			fmt.Fprintf(&index, "%s\t%d\t%d.5\tgzip\n", greatWAL(i*greatPerBackup+n), 5_000_000+n, at.Unix()+int64(n)*25)
		}
		g.writeBackup(t, i)
	}
	g.index = index.String()
	must(t, os.WriteFile(g.indexPath(), []byte(g.index), 0o644))
	return g
}

func (g *greatArchive) writeBackup(t *testing.T, i int) {
	t.Helper()
	at := greatTime(i)
	id := at.Format("20060102T150405")
	must(t, os.MkdirAll(filepath.Join(g.dir, "base", id, "data"), 0o755))
	info := backupInfo(at, greatTimeline, i*greatPerBackup)
	must(t, os.WriteFile(filepath.Join(g.dir, "meta", id+"-backup.info"), []byte(info), 0o644))
}

// restoreOldest brings back what a delete of the oldest backup removes.
func (g *greatArchive) restoreOldest(t *testing.T) {
	t.Helper()
	must(t, os.WriteFile(g.indexPath(), []byte(g.index), 0o644))
	g.writeBackup(t, 0)
	content := []byte(strings.Repeat("x", 1024))
	for n := range greatPerBackup {
		name := greatWAL(n)
		dir := filepath.Join(g.dir, "wals", name[:16])
		must(t, os.MkdirAll(dir, 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name), content, 0o644))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// benchWALIndex works on an archive of a million segments.
func benchWALIndex(t *testing.T, b *bed, doc *document) {
	b.needWAL(t)
	config := func(home string) string {
		return b.write(t, home+".hcl", fmt.Sprintf("barman {\n barman_home = %q\n barman_user = %q\n}\nserver \"main\" {\n conninfo = \"host=x\"\n backup_method = \"local-rsync\"\n backup_options = \"concurrent_backup\"\n archiver = true\n retention_policy = \"RECOVERY WINDOW OF 4 WEEKS\"\n}\n", filepath.Join(b.dir, home), b.owner.Name))
	}
	great := writeGreatArchive(t, filepath.Join(b.mkdir(t, "great"), "main"))
	b.chown(t, filepath.Join(b.dir, "great"))
	b.mkdir(t, "empty", "main", "incoming")
	run := func(name, home string, prepare func(t *testing.T), args ...string) contender {
		conf := config(home)
		return contender{name: name, prepare: prepare, command: func(ctx context.Context) *exec.Cmd { return b.barman(ctx, conf, args...) }}
	}
	archiving := func(home string, size int64) func(t *testing.T) {
		return func(t *testing.T) {
			dir := filepath.Join(b.dir, home, "main")
			must(t, os.RemoveAll(filepath.Join(dir, "wals", b.names[0][:16])))
			if err := os.Truncate(filepath.Join(dir, "wals", "main-xlog.db"), size); !os.IsNotExist(err) {
				must(t, err)
			}
			b.as(t, "cp", filepath.Join(b.wal, b.names[0]), filepath.Join(dir, "incoming"))
			b.as(t, "sync", "-f", dir)
		}
	}
	results := compare(t, 2**rounds,
		run("`archive-wal` of one segment, empty archive", "empty", archiving("empty", 0), "archive-wal", "main"),
		run("`archive-wal` of one segment", "great", archiving("great", int64(len(great.index))), "archive-wal", "main"),
		run("`list-backups`", "great", nil, "list-backups", "main"),
		run("`list-backups`, index not in memory", "great", func(t *testing.T) {
			b.as(t, "sync", great.indexPath())
			b.as(t, "dd", "if="+great.indexPath(), "iflag=nocache", "count=0", "status=none")
		}, "list-backups", "main"),
		run("`show-backup`", "great", nil, "show-backup", "main", "latest"),
	)
	results = append(results, compare(t, *rounds, run("`delete` of the oldest backup with its 10,000 segments", "great", func(t *testing.T) {
		great.restoreOldest(t)
		b.chown(t, great.dir)
		b.as(t, "sync", "-f", great.dir)
	}, "delete", "main", great.oldest))...)
	doc.section("A great archive", "An index of 1,000,000 lines and 100 backups, with a retention policy. The segments that `delete` removes have 1 KiB.")
	var rows [][]string
	for _, r := range results {
		rows = append(rows, []string{r.name, seconds(r.medianWall()), seconds(r.medianCPU())})
	}
	doc.table([]string{"command", "wall", "CPU"}, rows)
	more := results[1].medianWall() - results[0].medianWall()
	doc.bar("1,000,000 lines: `archive-wal` of one segment < 100 ms above the empty case", more < 0.1, seconds(more))
	doc.bar("1,000,000 lines: `list-backups` < 200 ms", results[2].medianWall() < 0.2, seconds(results[2].medianWall()))
	doc.bar("1,000,000 lines: `delete` of one backup < 2 s", results[5].medianWall() < 2, seconds(results[5].medianWall()))
}
