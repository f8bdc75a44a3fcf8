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

// The two clusters that are backed up: one with much data, one with many files.
const (
	backupScale     = 135 // about 2 GB
	backupRelations = 20_000
)

// backedUp is a running server and those who back it up.
type backedUp struct {
	*bed
	cluster *lab.Cluster
	sshd    *lab.SSHD
	dir     string
}

// newBackedUp starts a server whose archive_command gives every segment to all the barmans there are below its directory.
func (b *bed) newBackedUp(t *testing.T, name string) *backedUp {
	t.Helper()
	s := &backedUp{bed: b, dir: b.mkdir(t, name), sshd: lab.StartSSHD(t)}
	// pgbackrest wants to see its name in archive_command.
	archive := b.write(t, filepath.Join(name, "archive_for_barman_and_pgbackrest"), fmt.Sprintf("#!/bin/sh\nfor d in %s/*/main/incoming; do\n"+
		"\t[ ! -d \"$d\" ] || { cp \"$1\" \"$d/.$2\" && mv \"$d/.$2\" \"$d/$2\" || exit 1; }\ndone\n"+
		"for f in %[1]s/push-*; do\n\t[ ! -e \"$f\" ] || . \"$f\" || exit 1\ndone\n", s.dir))
	s.cluster = lab.StartCluster(t, lab.ClusterOptions{
		Dir: b.mkdir(t, name, "cluster"), ArchiveCommand: "sh " + archive + " %p %f",
		Settings: map[string]string{"max_wal_size": "'4GB'", "fsync": "off"},
	})
	return s
}

// needLarge is a server with 2 GB, for the first part that needs it.
func (b *bed) needLarge(t *testing.T) *backedUp {
	t.Helper()
	if b.large == nil {
		b.large = b.newBackedUp(t, "large")
		if err := b.large.cluster.InitPgbench(t.Context(), backupScale, ""); err != nil {
			t.Fatal(err)
		}
	}
	return b.large
}

// benchBackup takes full backups of a cluster of 2 GB with every method, and unchanged incremental ones of a cluster of many files.
func benchBackup(t *testing.T, b *bed, doc *document) {
	s := b.needLarge(t)
	doc.section("Full backups", "A pgbench cluster of 2 GB on the same machine, two workers each, nothing compressed. All but `cp` and `rsync` make the copy "+
		"durable by themselves; `sync -f` is measured with these.")
	var rows [][]string
	for _, kind := range []struct {
		name       string
		goal       float64
		contenders []contender
	}{
		{"local", 2, append(s.barmans(t, "local-rsync", true), append(s.pgbackrest(t, "full"), s.plainCopies()...)...)},
		{"through ssh", 1, s.barmans(t, "rsync", true)},
		{"replication protocol", 1, append(s.barmans(t, "postgres", true), s.pgBasebackup())},
	} {
		results := compare(t, *rounds, kind.contenders...)
		rows = append(rows, backupRows(kind.name, results)...)
		for _, r := range results[1:] {
			goal := 1.0
			if strings.Contains(r.name, "Debian") {
				goal = kind.goal
			}
			s.bar(doc, "full backup, "+kind.name, goal, results[0], r)
		}
	}
	backupTable(doc, rows)
	s.removeHomes(t)

	s = b.newBackedUp(t, "wide")
	s.createRelations(t)
	doc.section("Incremental backups of an unchanged cluster", fmt.Sprintf("%d relations, `reuse_backup = \"link\"`.", backupRelations))
	rows = nil
	for _, kind := range []struct {
		name       string
		contenders []contender
	}{
		{"local", append(s.barmans(t, "local-rsync", false), s.pgbackrest(t, "incr")...)},
		{"through ssh", s.barmans(t, "rsync", false)},
	} {
		results := compare(t, *rounds, kind.contenders...)
		rows = append(rows, backupRows(kind.name, results)...)
		for _, r := range results[1:] {
			goal := 1.0
			if strings.Contains(r.name, "Debian") {
				goal = 5
			}
			s.bar(doc, "incremental backup, "+kind.name, goal, results[0], r)
		}
	}
	backupTable(doc, rows)
}

func backupRows(kind string, results []figures) [][]string {
	var rows [][]string
	for _, r := range results {
		rows = append(rows, []string{
			kind, r.name, seconds(r.medianWall()), seconds(r.medianCPU()), fmt.Sprintf("%.0f MB", median(r.rss)/1e6),
			ratio(results[0].medianWall(), r.medianWall()), ratio(results[0].medianCPU(), r.medianCPU()),
		})
	}
	return rows
}

func backupTable(doc *document, rows [][]string) {
	doc.table([]string{"kind", "program", "wall", "CPU", "largest process", "ours is faster by", "ours uses less CPU by"}, rows)
	fmt.Fprintln(doc, "\nCPU leaves out what sshd and PostgreSQL do.")
}

func (s *backedUp) bar(doc *document, what string, goal float64, ours, theirs figures) {
	doc.bar(fmt.Sprintf("%s ≥ %.1f× %s", what, goal, theirs.name), theirs.medianWall() >= goal*ours.medianWall(), ratio(ours.medianWall(), theirs.medianWall()))
}

// createRelations makes tables of one row with a primary key: two files each.
func (s *backedUp) createRelations(t *testing.T) {
	t.Helper()
	s.cluster.MustSQL(t, fmt.Sprintf("DO $$ BEGIN FOR i IN 1..%d LOOP EXECUTE format('CREATE TABLE r%%s (id int PRIMARY KEY)', i); "+
		"EXECUTE format('INSERT INTO r%%s VALUES (1)', i); IF i %% 500 = 0 THEN COMMIT; END IF; END LOOP; END $$", backupRelations/2))
	s.cluster.MustSQL(t, "CHECKPOINT")
}

// barmans are ours and Debian's with a method. Full ones have no earlier backup; the others build upon the one of the round before.
func (s *backedUp) barmans(t *testing.T, method string, full bool) []contender {
	t.Helper()
	conninfo, reuse := s.cluster.Conninfo("", ""), "link"
	if full {
		reuse = "off"
	}
	// An option that only one method has, in both syntaxes.
	hcl, ini := "", ""
	option := func(name, value string) {
		hcl += fmt.Sprintf(" %s = %q\n", name, value)
		ini += name + " = " + value + "\n"
	}
	if method == "rsync" {
		option("ssh_command", strings.Join(s.sshd.Command(s.owner, s.owner), " "))
	}
	if method == "postgres" {
		option("streaming_conninfo", conninfo)
	} else {
		option("reuse_backup", reuse)
	}
	ours := s.home(t, "ours-"+method)
	config := s.write(t, "ours-"+method+"-backup.hcl", fmt.Sprintf("barman {\n barman_home = %q\n barman_user = %q\n}\nserver \"main\" {\n conninfo = %q\n"+
		" backup_method = %q\n backup_options = \"concurrent_backup\"\n archiver = true\n parallel_jobs = 2\n immediate_checkpoint = true\n%s}\n",
		ours, s.owner.Name, conninfo, method, hcl))
	contenders := []contender{s.backingUp("barman "+method+" (this)", ours, full, []string{filepath.Join(s.build.Bin, "barman"), "-c", config})}
	if installed("barman") {
		theirs := s.home(t, "debian-"+method)
		config := s.write(t, "debian-"+method+"-backup.conf", fmt.Sprintf("[barman]\nbarman_home = %s\nbarman_user = %s\nlog_file = %s/log\n\n[main]\n"+
			"description = bench\nconninfo = %s\nbackup_method = %s\nbackup_options = concurrent_backup\narchiver = on\nparallel_jobs = 2\n"+
			"immediate_checkpoint = true\npath_prefix = %s\n%s", theirs, s.owner.Name, theirs, conninfo, method, s.cluster.Bin, ini))
		contenders = append(contenders, s.backingUp("barman "+method+" (Debian)", theirs, full, []string{"barman", "-c", config}))
	}
	return contenders
}

// removeHomes makes room on the disk, and spares archive_command the copies.
func (s *backedUp) removeHomes(t *testing.T) {
	t.Helper()
	s.as(t, "sh", "-c", "rm -rf "+s.dir+"/ours-* "+s.dir+"/debian-* "+s.dir+"/pgbackrest* "+s.dir+"/push-* "+s.dir+"/copy")
}

// home makes an empty barman_home.
func (s *backedUp) home(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range []string{"incoming", "wals", "base", "meta", "streaming", "errors"} {
		s.mkdir(t, filepath.Base(s.dir), name, "main", dir)
	}
	return filepath.Join(s.dir, name)
}

func (s *backedUp) backingUp(name, home string, full bool, barman []string) contender {
	main := filepath.Join(home, "main")
	first := true
	return contender{
		name: name,
		prepare: func(t *testing.T) {
			if first {
				first = false
				s.archiveFirst(t, main, barman)
				if !full {
					s.as(t, append(barman, "backup", "main")...)
				}
			}
			if full {
				s.as(t, "sh", "-c", "rm -rf "+main+"/base/* "+main+"/meta/*")
			} else {
				time.Sleep(1100 * time.Millisecond) // an id is a second
			}
			s.as(t, "sync", "-f", home)
		},
		command: func(ctx context.Context) *exec.Cmd {
			return s.owner.Command(ctx, s.bed.dir, append(barman, "backup", "main")...)
		},
		check: func(t *testing.T) {
			if infos, err := filepath.Glob(filepath.Join(main, "base", "*", "data", "global", "pg_control")); err != nil || len(infos) == 0 {
				t.Fatalf("%s: there is no backup (%v)", name, err)
			}
		},
	}
}

// archiveFirst archives one segment: no barman takes a backup before it has seen that WAL arrives.
func (s *backedUp) archiveFirst(t *testing.T, main string, barman []string) {
	t.Helper()
	s.cluster.MustSQL(t, "SELECT pg_switch_wal() FROM pg_logical_emit_message(false, '', 'x')")
	s.as(t, "sh", "-c", "until ls "+main+"/incoming/0* >/dev/null 2>&1; do sleep 0.1; done")
	s.as(t, append(barman, "archive-wal", "main")...)
}

func (s *backedUp) pgbackrest(t *testing.T, kind string) []contender {
	t.Helper()
	if !installed("pgbackrest") {
		return nil
	}
	root := filepath.Join(s.dir, "pgbackrest")
	config := s.pgbackrestConfigFor(t, s.cluster, root, "none")
	argv := []string{"pgbackrest", "--config=" + config, "--stanza=bench", "--start-fast", "--no-archive-check", "--type=" + kind, "backup"}
	fresh := func(t *testing.T) {
		s.as(t, "rm", "-rf", root)
		s.as(t, "mkdir", "-p", root+"/repo", root+"/spool", root+"/log", root+"/lock")
		s.as(t, "pgbackrest", "--config="+config, "--stanza=bench", "--no-online", "stanza-create")
	}
	first := true
	return []contender{{
		name: "pgbackrest, " + kind,
		prepare: func(t *testing.T) {
			if kind == "full" || first {
				fresh(t)
			}
			if kind != "full" && first {
				s.as(t, argv...)
			}
			first = false
			s.as(t, "sync", "-f", root)
		},
		command: func(ctx context.Context) *exec.Cmd { return s.owner.Command(ctx, s.bed.dir, argv...) },
	}}
}

// plainCopies are what a file copy costs that is no backup. Files vanish from a running cluster while it is copied, which rsync reports
// with exit status 24.
func (s *backedUp) plainCopies() []contender {
	var all []contender
	for _, tool := range []string{"cp -a", "rsync -a"} {
		dest := filepath.Join(s.dir, "copy")
		all = append(all, contender{
			name:    tool,
			prepare: func(t *testing.T) { s.emptyDir(t, dest) },
			command: func(ctx context.Context) *exec.Cmd {
				return s.owner.Command(ctx, s.bed.dir, "sh", "-c", fmt.Sprintf("%s %s/ %s || [ $? -eq 24 ] && sync -f %[3]s", tool, s.cluster.Data, dest))
			},
		})
	}
	return all
}

func (s *backedUp) pgBasebackup() contender {
	dest := filepath.Join(s.dir, "copy")
	return contender{
		name:    "pg_basebackup",
		prepare: func(t *testing.T) { s.as(t, "rm", "-rf", dest) },
		command: func(ctx context.Context) *exec.Cmd {
			return s.owner.Command(ctx, s.bed.dir, filepath.Join(s.cluster.Bin, "pg_basebackup"), "--checkpoint=fast", "--wal-method=none", "--no-slot",
				"--pgdata="+dest, "--dbname="+s.cluster.Conninfo("", ""))
		},
	}
}
