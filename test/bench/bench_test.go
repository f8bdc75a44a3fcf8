package bench

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	reportPath = flag.String("bench-report", "", "write the report to this file; without it the benchmarks do not run")
	rounds     = flag.Int("bench-rounds", 3, "rounds of each comparison")
	only       = flag.String("bench-only", "", "run only these parts, separated by commas")
)

// TestBench is everything that `make bench` measures.
func TestBench(t *testing.T) {
	if *reportPath == "" {
		t.Skip("benchmarks run with `make bench`")
	}
	b := newBed(t)
	doc := &document{}
	for _, part := range []struct {
		name string
		run  func(*testing.T, *bed, *document)
	}{
		{"start", benchStart},
		{"list", benchListBackups},
		{"commands", benchCommands},
		{"index", benchWALIndex},
		{"archive", benchArchive},
		{"put-wal", benchPutWAL},
		{"receive-wal", benchReceive},
		{"restore", benchRestore},
		{"backup", benchBackup},
		{"million", benchMillion},
		{"recover", benchRecover},
		{"sync", benchSync},
		{"plugin", benchPluginStart},
	} {
		if *only == "" || slices.Contains(strings.Split(*only, ","), part.name) {
			part.run(t, b, doc)
		}
	}
	doc.write(t, *reportPath, machine())
}

func machine() string {
	version := func(argv ...string) string {
		out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
		if err != nil {
			return argv[0] + " not installed"
		}
		return strings.TrimSpace(strings.SplitN(string(out), "\n", 2)[0])
	}
	return fmt.Sprintf("%d processors, %s, %s, %s; peers: %s, Debian's barman %s.", runtime.NumCPU(), runtime.GOOS+"/"+runtime.GOARCH,
		runtime.Version(), time.Now().UTC().Format("2006-01-02"), version("pgbackrest", "version"), version("barman", "--version"))
}

// installed leaves out contenders whose program is not there.
func installed(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

func benchStart(t *testing.T, b *bed, doc *document) {
	contenders := []contender{{name: "barman (this)", command: func(ctx context.Context) *exec.Cmd {
		return b.build.Command(ctx, b.owner, b.dir, "barman", "--version")
	}}}
	for _, peer := range [][]string{{"pgbackrest", "version"}, {"barman", "--version"}} {
		if installed(peer[0]) {
			contenders = append(contenders, contender{name: strings.Join(peer, " ") + " (Debian)", command: func(ctx context.Context) *exec.Cmd {
				return b.owner.Command(ctx, b.dir, peer...)
			}})
		}
	}
	results := compare(t, 6**rounds, contenders...)
	doc.section("Start", "Printing the version: what every call costs before it does anything.")
	doc.table([]string{"program", "wall", "CPU", "ours is faster by"}, rowsAgainst(results))
	if len(results) > 1 {
		doc.bar("`--version` no slower than pgbackrest", results[0].medianWall() <= results[1].medianWall()*1.005,
			ratio(results[0].medianWall(), results[1].medianWall()))
	}
}

func rowsAgainst(results []figures) [][]string {
	var rows [][]string
	for _, r := range results {
		rows = append(rows, []string{r.name, seconds(r.medianWall()), seconds(r.medianCPU()), ratio(results[0].medianWall(), r.medianWall())})
	}
	return rows
}

// benchListBackups makes a catalog of 1000 backups with 10 WAL files each.
func benchListBackups(t *testing.T, b *bed, doc *document) {
	home := b.mkdir(t, "many")
	config := b.write(t, "many.hcl", fmt.Sprintf("barman {\n barman_home = %q\n barman_user = %q\n}\nserver \"main\" {\n conninfo = \"host=x\"\n backup_method = \"local-rsync\"\n backup_options = \"concurrent_backup\"\n archiver = true\n retention_policy = \"RECOVERY WINDOW OF 4 WEEKS\"\n}\n", home, b.owner.Name))
	ini := b.write(t, "many.conf", fmt.Sprintf("[barman]\nbarman_home = %s\nbarman_user = %s\n\n[main]\nconninfo = host=x\nssh_command = ssh x\nbackup_method = rsync\nbackup_options = concurrent_backup\narchiver = on\nretention_policy = RECOVERY WINDOW OF 4 WEEKS\n", home, b.owner.Name))
	writeManyBackups(t, filepath.Join(home, "main"), 1000, 10)
	b.chown(t, home)
	contenders := []contender{{name: "barman (this)", command: func(ctx context.Context) *exec.Cmd {
		return b.barman(ctx, config, "list-backups", "main")
	}}}
	if installed("barman") {
		contenders = append(contenders, contender{name: "barman (Debian)", command: func(ctx context.Context) *exec.Cmd {
			return b.owner.Command(ctx, b.dir, "barman", "-c", ini, "list-backup", "main")
		}})
	}
	results := compare(t, *rounds, contenders...)
	doc.section("list-backups", "A catalog of 1000 backups and 10,000 WAL files, with a retention policy.")
	doc.table([]string{"program", "wall", "CPU", "ours is faster by"}, rowsAgainst(results))
	doc.bar("`list-backups` of 1000 under 50 ms", results[0].medianWall() < 0.05, seconds(results[0].medianWall()))
}

// writeManyBackups makes a catalog with a backup an hour, until now, and WAL files for each.
func writeManyBackups(t *testing.T, dir string, backups, walsPerBackup int) {
	t.Helper()
	for _, d := range []string{"meta", "base", "wals", "incoming", "streaming", "errors"} {
		must(t, os.MkdirAll(filepath.Join(dir, d), 0o755))
	}
	var index strings.Builder
	start := time.Now().Add(-time.Duration(backups) * time.Hour)
	for i := range backups {
		at := start.Add(time.Duration(i) * time.Hour).UTC()
		id := at.Format("20060102T150405")
		wal := func(n int) string { return fmt.Sprintf("00000001%08X%08X", n/256, n%256) }
		first := i*walsPerBackup + 1
		info := backupInfo(at, 1, first)
		must(t, os.MkdirAll(filepath.Join(dir, "base", id, "data"), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "meta", id+"-backup.info"), []byte(info), 0o644))
		// Debian's Barman 3.4 knows only the older place, and fewer keys.
		legacy := strings.NewReplacer("children_backup_ids=None\n", "", "cluster_size=1000000\n", "").Replace(info)
		must(t, os.WriteFile(filepath.Join(dir, "base", id, "backup.info"), []byte(legacy), 0o644))
		for n := range walsPerBackup {
			fmt.Fprintf(&index, "%s\t16777216\t%d.5\tNone\tNone\n", wal(first+n), at.Unix()+int64(n))
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, "wals", filepath.Base(dir)+"-xlog.db"), []byte(index.String()), 0o644))
	// Barman before 3.13 wants four fields under another name.
	must(t, os.WriteFile(filepath.Join(dir, "wals", "xlog.db"), []byte(strings.ReplaceAll(index.String(), "\tNone\tNone\n", "\tNone\n")), 0o644))
}

func (b *bed) chown(t *testing.T, dir string) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, b.owner.UID, b.owner.GID)
	}); err != nil {
		t.Fatal(err)
	}
}

func benchPluginStart(t *testing.T, b *bed, doc *document) {
	bin := filepath.Join(b.build.Plugins, "barman-compress-zstd")
	home := b.mkdir(t, "start")
	config := b.write(t, "start.hcl", fmt.Sprintf("barman {\n barman_home = %q\n barman_user = %q\n}\n", home, b.owner.Name))
	results := compare(t, 4**rounds,
		contender{name: "`plugin info compress zstd`: find, trust, start, ask, stop", command: func(ctx context.Context) *exec.Cmd {
			return b.barman(ctx, config, "plugin", "info", "compress", "zstd")
		}},
		contender{name: "`list-servers`: the same without a plugin", command: func(ctx context.Context) *exec.Cmd {
			return b.barman(ctx, config, "list-servers")
		}},
		contender{name: "`barman-compress-zstd describe`: the bare process", command: func(ctx context.Context) *exec.Cmd {
			return b.owner.Command(ctx, b.dir, bin, "describe")
		}},
	)
	doc.section("Plugin start", "What the first use of a plugin in a run costs: the first row less the second.")
	var rows [][]string
	for _, r := range results {
		rows = append(rows, []string{r.name, seconds(r.medianWall()), seconds(r.medianCPU())})
	}
	doc.table([]string{"command", "wall", "CPU"}, rows)
}
