package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barman-go/barman/test/lab"
)

// codec is a compression under the names of both programs.
type codec struct {
	ours, pgbackrest, python string
	// goal is by how much we want to be faster than pgbackrest.
	goal float64
}

var codecs = []codec{{"gzip", "gz", "gzip", 3}, {"lz4", "lz4", "", 1.3}, {"zstd", "zst", "", 1.1}, {"none", "none", "none", 2}}

// benchArchive archives the same segments with each program and compression.
func benchArchive(t *testing.T, b *bed, doc *document) {
	b.needWAL(t)
	doc.section("Archiving", fmt.Sprintf("%d segments of 16 MiB written by pgbench. This program verifies each segment, encodes it, decodes it again and compares, "+
		"with two workers; pgbackrest's `archive-push:async` runs with `process-max=2`. Both fsync. Debian's barman encodes one after the other.", segments))
	var rows [][]string
	for _, c := range codecs {
		contenders := []contender{b.oursArchiving(t, c)}
		if installed("pgbackrest") {
			contenders = append(contenders, b.pgbackrestArchiving(t, c))
		}
		if c.python != "" && installed("barman") {
			contenders = append(contenders, b.pythonArchiving(t, c))
		}
		results := compare(t, *rounds, contenders...)
		for i, r := range results {
			rows = append(rows, []string{
				c.ours, r.name, fmt.Sprintf("%.1f", segments/r.medianWall()), fmt.Sprintf("%.0f ms", r.medianCPU()/segments*1000),
				fmt.Sprintf("%.2f %%", b.ratios[contenders[i].name+c.ours]*100), ratio(results[0].medianWall(), r.medianWall()),
				ratio(results[0].medianCPU(), r.medianCPU()),
			})
		}
		if len(results) > 1 && c.goal > 0 {
			faster := results[1].medianWall() / results[0].medianWall()
			size := b.ratios[contenders[0].name+c.ours] / b.ratios[contenders[1].name+c.ours]
			doc.bar(fmt.Sprintf("archiving with %s ≥ %.1f× pgbackrest, size within 5 %%", c.ours, c.goal), faster >= c.goal && size <= 1.05,
				fmt.Sprintf("%.2f×, size %+.1f %%", faster, (size-1)*100))
			doc.bar(fmt.Sprintf("archiving with %s uses less CPU than pgbackrest", c.ours), results[0].medianCPU() < results[1].medianCPU(),
				ratio(results[0].medianCPU(), results[1].medianCPU()))
		}
	}
	doc.table([]string{"compression", "program", "segments/s", "CPU per segment", "size", "ours is faster by", "ours uses less CPU by"}, rows)
}

func (b *bed) noteRatio(t *testing.T, key, dir string, pass func(string) bool) {
	t.Helper()
	files, bytes := treeSize(t, dir, pass)
	if files != segments {
		t.Fatalf("%s: %d of %d segments archived in %s", key, files, segments, dir)
	}
	if b.ratios == nil {
		b.ratios = map[string]float64{}
	}
	b.ratios[key] = float64(bytes) / float64(segments<<24)
}

func (b *bed) oursArchiving(t *testing.T, c codec) contender {
	home := filepath.Join(b.dir, "ours-"+c.ours)
	config := b.write(t, "ours-"+c.ours+".hcl", fmt.Sprintf("barman {\n barman_home = %q\n barman_user = %q\n}\nserver \"main\" {\n conninfo = \"host=x\"\n backup_method = \"local-rsync\"\n backup_options = \"concurrent_backup\"\n archiver = true\n compression = %q\n}\n",
		home, b.owner.Name, c.ours))
	if c.ours == "none" {
		text, err := os.ReadFile(config)
		if err != nil {
			t.Fatal(err)
		}
		b.write(t, "ours-none.hcl", strings.Replace(string(text), " compression = \"none\"\n", "", 1))
	}
	name := "barman (this)"
	return contender{
		name: name,
		prepare: func(t *testing.T) {
			b.as(t, "rm", "-rf", home)
			incoming := b.mkdir(t, "ours-"+c.ours, "main", "incoming")
			b.copyWAL(t, incoming)
			b.as(t, "sync", "-f", incoming)
		},
		command: func(ctx context.Context) *exec.Cmd { return b.barman(ctx, config, "archive-wal", "main") },
		check: func(t *testing.T) {
			b.noteRatio(t, name+c.ours, filepath.Join(home, "main", "wals"), func(n string) bool { return len(n) == 24 })
		},
	}
}

func (b *bed) pgbackrestArchiving(t *testing.T, c codec) contender {
	root := filepath.Join(b.dir, "pgbackrest-"+c.ours)
	pg := filepath.Join(b.cluster.Data)
	config := b.pgbackrestConfig(t, root, c.pgbackrest)
	name := "pgbackrest"
	return contender{
		name: name,
		prepare: func(t *testing.T) {
			b.as(t, "rm", "-rf", root)
			for _, d := range []string{"repo", "spool", "log", "lock"} {
				b.mkdir(t, "pgbackrest-"+c.ours, d)
			}
			b.as(t, "pgbackrest", "--config="+config, "--stanza=bench", "--no-online", "stanza-create")
			b.stageWAL(t, pg)
			b.as(t, "sync", "-f", root)
		},
		command: func(ctx context.Context) *exec.Cmd {
			return b.owner.Command(ctx, b.dir, "pgbackrest", "--config="+config, "--stanza=bench", "archive-push:async", filepath.Join(pg, "pg_wal"))
		},
		check: func(t *testing.T) {
			b.noteRatio(t, name+c.ours, filepath.Join(root, "repo", "archive"), func(n string) bool { return len(n) > 24 && n[24] == '-' })
		},
	}
}

func (b *bed) pgbackrestConfig(t *testing.T, root, compress string) string {
	t.Helper()
	return b.pgbackrestConfigFor(t, b.cluster, root, compress)
}

func (b *bed) pgbackrestConfigFor(t *testing.T, cluster *lab.Cluster, root, compress string) string {
	t.Helper()
	return b.write(t, filepath.Base(root)+".conf", fmt.Sprintf("[global]\nrepo1-path=%[1]s/repo\nspool-path=%[1]s/spool\nlog-path=%[1]s/log\nlock-path=%[1]s/lock\n"+
		"compress-type=%[2]s\nprocess-max=2\narchive-async=y\nlog-level-console=off\nlog-level-file=off\n[bench]\npg1-path=%[3]s\npg1-port=%[4]d\npg1-socket-path=%[5]s\n",
		root, compress, cluster.Data, cluster.Port, cluster.SocketDir))
}

// stageWAL puts the segments where PostgreSQL has them when they are ready to be archived.
func (b *bed) stageWAL(t *testing.T, pg string) {
	t.Helper()
	b.as(t, "sh", "-c", "rm -f "+pg+"/pg_wal/0* "+pg+"/pg_wal/archive_status/*")
	b.copyWAL(t, filepath.Join(pg, "pg_wal"))
	ready := []string{"touch"}
	for _, n := range b.names {
		ready = append(ready, filepath.Join(pg, "pg_wal", "archive_status", n+".ready"))
	}
	b.as(t, ready...)
}

// copyWAL copies the segments into a directory.
func (b *bed) copyWAL(t *testing.T, dir string) {
	t.Helper()
	argv := []string{"cp", "--target-directory", dir}
	for _, n := range b.names {
		argv = append(argv, filepath.Join(b.wal, n))
	}
	b.as(t, argv...)
}

func (b *bed) pythonArchiving(t *testing.T, c codec) contender {
	home := filepath.Join(b.dir, "python-"+c.ours)
	compression := "compression = " + c.python + "\n"
	if c.python == "none" {
		compression = ""
	}
	config := b.write(t, "python-"+c.ours+".conf", fmt.Sprintf("[barman]\nbarman_home = %s\nbarman_user = %s\nlog_file = %s/python.log\n\n[main]\nconninfo = host=x\nssh_command = ssh x\nbackup_method = rsync\nbackup_options = concurrent_backup\narchiver = on\n%s",
		home, b.owner.Name, b.dir, compression))
	name := "barman (Debian)"
	return contender{
		name: name,
		prepare: func(t *testing.T) {
			b.as(t, "rm", "-rf", home)
			incoming := b.mkdir(t, "python-"+c.ours, "main", "incoming")
			b.mkdir(t, "python-"+c.ours, "main", "wals")
			b.copyWAL(t, incoming)
			b.as(t, "sync", "-f", incoming)
		},
		command: func(ctx context.Context) *exec.Cmd {
			return b.owner.Command(ctx, b.dir, "barman", "-c", config, "archive-wal", "main")
		},
		check: func(t *testing.T) {
			b.noteRatio(t, name+c.ours, filepath.Join(home, "main", "wals"), func(n string) bool { return len(n) == 24 })
		},
	}
}

// benchPutWAL takes in one segment.
func benchPutWAL(t *testing.T, b *bed, doc *document) {
	b.needWAL(t)
	name := b.names[0]
	home := filepath.Join(b.dir, "put")
	config := b.write(t, "put.hcl", fmt.Sprintf("barman {\n barman_home = %q\n barman_user = %q\n}\nserver \"main\" {\n conninfo = \"host=x\"\n backup_method = \"local-rsync\"\n backup_options = \"concurrent_backup\"\n archiver = true\n compression = \"zstd\"\n}\n", home, b.owner.Name))
	stream := filepath.Join(b.dir, "segment.tar")
	b.as(t, "sh", "-c", fmt.Sprintf("cd %s && sha256sum %s > %s/SHA256SUMS && tar -cf %s %s -C %s SHA256SUMS", b.wal, name, b.dir, stream, name, b.dir))
	contenders := []contender{
		{
			name:    "barman put-wal (this): receive, verify, fsync",
			prepare: func(t *testing.T) { b.as(t, "rm", "-rf", home); b.mkdir(t, "put", "main", "incoming") },
			command: func(ctx context.Context) *exec.Cmd {
				cmd := b.barman(ctx, config, "put-wal", "main")
				cmd.Stdin = open(t, stream)
				return cmd
			},
			check: func(t *testing.T) {
				b.as(t, "cmp", filepath.Join(b.wal, name), filepath.Join(home, "main", "incoming", name))
			},
		},
		{
			name:    "cp and fsync",
			prepare: func(t *testing.T) { b.as(t, "rm", "-rf", home); b.mkdir(t, "put", "main", "incoming") },
			command: func(ctx context.Context) *exec.Cmd {
				to := filepath.Join(home, "main", "incoming", name)
				return b.owner.Command(ctx, b.dir, "sh", "-c", fmt.Sprintf("cp %s %s && sync %s %s", filepath.Join(b.wal, name), to, to, filepath.Dir(to)))
			},
		},
	}
	if installed("pgbackrest") {
		root := filepath.Join(b.dir, "pgbackrest-put")
		conf := b.write(t, "pgbackrest-put-sync.conf", strings.ReplaceAll(readText(t, b.pgbackrestConfig(t, root, "zst")), "archive-async=y\n", ""))
		contenders = append(contenders, contender{
			name: "pgbackrest archive-push (zst)",
			prepare: func(t *testing.T) {
				b.as(t, "rm", "-rf", root)
				for _, d := range []string{"repo", "spool", "log", "lock"} {
					b.mkdir(t, "pgbackrest-put", d)
				}
				b.as(t, "pgbackrest", "--config="+conf, "--stanza=bench", "--no-online", "stanza-create")
				b.as(t, "cp", filepath.Join(b.wal, name), filepath.Join(b.cluster.Data, "pg_wal"))
			},
			command: func(ctx context.Context) *exec.Cmd {
				return b.owner.Command(ctx, b.dir, "pgbackrest", "--config="+conf, "--stanza=bench", "archive-push", filepath.Join(b.cluster.Data, "pg_wal", name))
			},
		})
	}
	results := compare(t, 2**rounds, contenders...)
	doc.section("One segment", "What archive_command waits for.")
	doc.table([]string{"program", "wall", "CPU", "ours is faster by"}, rowsAgainst(results))
	doc.bar("`put-wal` ≤ 2 × cp and fsync", results[0].medianWall() <= 2*results[1].medianWall(), ratio(results[1].medianWall(), results[0].medianWall()))
	if len(results) > 2 {
		doc.bar("`put-wal` faster than `pgbackrest archive-push`", results[0].medianWall() < results[2].medianWall(), ratio(results[0].medianWall(), results[2].medianWall()))
	}
}

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
