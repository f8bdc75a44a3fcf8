package bench

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barman-go/barman/test/lab"
)

// replayedWALs is how many WAL files follow the backup that is restored.
const replayedWALs = 64

// restoration is a program that brings a backup back.
type restoration struct {
	name string
	// home is barman_home, of those that have one.
	home string
	// barman is empty for others.
	barman []string
	// restore is the shell command that fills the directory $D.
	restore string
}

// benchRecover restores a backup of 2 GB and 64 WAL files, plain and with zstd, and lets PostgreSQL recover them.
func benchRecover(t *testing.T, b *bed, doc *document) {
	s := b.needLarge(t)
	plain, packed := s.restorations(t, "none"), s.restorations(t, "zstd")
	for _, r := range append(plain[:len(plain):len(plain)], packed...) {
		if r.barman != nil {
			s.archiveFirst(t, filepath.Join(r.home, "main"), r.barman)
			s.as(t, append(r.barman, "backup", "main")...)
		}
	}
	s.cluster.MustSQL(t, fmt.Sprintf("DO $$ BEGIN FOR i IN 1..%d LOOP PERFORM pg_logical_emit_message(false, '', "+
		"(SELECT repeat(string_agg(md5(random()::text), ''), 5) FROM generate_series(1, 80000 + 0 * i))); PERFORM pg_switch_wal(); END LOOP; END $$", replayedWALs))
	last := s.cluster.MustSQL(t, "SELECT pg_walfile_name(pg_switch_wal()) FROM pg_logical_emit_message(false, '', 'x')")
	if err := s.cluster.WaitSQL(t.Context(), "SELECT last_archived_wal >= '"+last+"' FROM pg_stat_archiver", "t"); err != nil {
		t.Fatal(err)
	}
	doc.section("Restore", fmt.Sprintf("A backup of 2 GB and %d WAL files, restored to an empty directory of the same machine; then PostgreSQL starts and recovers to the end. "+
		"`cp` is followed by `sync`; Debian's barman makes nothing durable.", replayedWALs))
	var rows [][]string
	for _, kind := range []struct {
		name string
		all  []restoration
	}{{"plain", plain}, {"zstd", packed}} {
		var contenders []contender
		for _, r := range kind.all {
			if r.barman != nil {
				s.as(t, append(r.barman, "archive-wal", "main")...)
			}
			contenders = append(contenders, s.restoring(t, r, true), s.restoring(t, r, false))
		}
		results := compare(t, *rounds, contenders...)
		for i, part := range []string{"until it is consistent", "the restore alone"} {
			var these []figures
			for n := i; n < len(results); n += 2 {
				these = append(these, results[n])
			}
			rows = append(rows, backupRows(kind.name+", "+part, these)...)
			for _, r := range these[1:] {
				if i == 0 {
					s.bar(doc, "restore, "+kind.name+", "+part, 1, these[0], r)
				}
			}
		}
	}
	backupTable(doc, rows)
	s.benchDelta(t, doc, plain[0])
	s.removeHomes(t)
}

// restorations are ours, Debian's, pgbackrest's, and cp's, with their configurations.
func (s *backedUp) restorations(t *testing.T, compression string) []restoration {
	t.Helper()
	hcl := " backup_method = \"local-rsync\"\n"
	if compression != "none" {
		hcl = fmt.Sprintf(" backup_method = \"postgres\"\n streaming_conninfo = %q\n backup_compression = %q\n compression = %[2]q\n", s.cluster.Conninfo("", ""), compression)
	}
	home := s.home(t, "ours-restore-"+compression)
	config := s.write(t, "ours-restore-"+compression+".hcl", fmt.Sprintf("barman {\n barman_home = %q\n barman_user = %q\n}\nserver \"main\" {\n conninfo = %q\n"+
		" backup_options = \"concurrent_backup\"\n archiver = true\n parallel_jobs = 2\n immediate_checkpoint = true\n%s}\n",
		home, s.owner.Name, s.cluster.Conninfo("", ""), hcl))
	ours := []string{filepath.Join(s.build.Bin, "barman"), "-c", config}
	all := []restoration{{name: "barman (this)", home: home, barman: ours, restore: strings.Join(ours, " ") + " recover main latest $D"}}
	if compression == "none" && installed("barman") {
		home := s.home(t, "debian-restore")
		config := s.write(t, "debian-restore.conf", fmt.Sprintf("[barman]\nbarman_home = %s\nbarman_user = %s\nlog_file = %[1]s/log\n\n[main]\ndescription = bench\nconninfo = %[3]s\n"+
			"backup_method = local-rsync\nbackup_options = concurrent_backup\narchiver = on\nparallel_jobs = 2\nimmediate_checkpoint = true\n",
			home, s.owner.Name, s.cluster.Conninfo("", "")))
		all = append(all, restoration{
			name: "barman (Debian)", home: home, barman: []string{"barman", "-c", config}, restore: "barman -c " + config + " recover main latest $D",
		})
	}
	if installed("pgbackrest") {
		root := filepath.Join(s.dir, "pgbackrest-"+compression)
		config := s.pgbackrestConfigFor(t, s.cluster, root, strings.Replace(compression, "zstd", "zst", 1))
		pgbackrest := "pgbackrest --config=" + config + " --stanza=bench "
		s.as(t, "mkdir", "-p", root+"/repo", root+"/spool", root+"/log", root+"/lock")
		s.as(t, "sh", "-c", pgbackrest+"stanza-create")
		// archive_command calls everything of this name.
		s.write(t, filepath.Join(filepath.Base(s.dir), "push-"+compression), pgbackrest+"archive-push \"$1\"\n")
		s.as(t, "sh", "-c", pgbackrest+"--start-fast --type=full backup")
		all = append(all, restoration{name: "pgbackrest", restore: pgbackrest + "--pg1-path=$D restore"})
	}
	if compression == "none" {
		main := filepath.Join(home, "main")
		all = append(all, restoration{name: "cp -a and sync", restore: fmt.Sprintf("cp -a %s/base/*/data/. $D && cp %[1]s/wals/*/* $D/pg_wal && sync -f $D", main)})
	}
	return all
}

// restoring fills an empty directory, and starts what is there if that is wanted.
func (s *backedUp) restoring(t *testing.T, r restoration, start bool) contender {
	t.Helper()
	dest := filepath.Join(s.dir, "copy")
	script := "D=" + dest + "; " + r.restore
	if start {
		script += " && " + s.startScript(t)
	}
	return contender{
		name: r.name,
		prepare: func(t *testing.T) {
			s.emptyDir(t, dest)
			s.as(t, "chmod", "700", dest)
			s.as(t, "sync", "-f", dest)
		},
		command: func(ctx context.Context) *exec.Cmd { return s.owner.Command(ctx, s.bed.dir, "sh", "-c", script) },
		check: func(t *testing.T) {
			if s.as(t, "sh", "-c", "ls "+dest+"/global/pg_control") == "" {
				t.Fatalf("%s restored nothing", r.name)
			}
		},
	}
}

// startScript starts the server in $D beside the one that was backed up, waits until its recovery has ended, and kills it.
func (s *backedUp) startScript(t *testing.T) string {
	t.Helper()
	port, err := lab.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%[1]s/pg_ctl -D $D -s -w -t 600 -l $D/start.log -o '-c port=%[2]d -c unix_socket_directories=%[3]s -c listen_addresses= -c archive_mode=off' start && "+
		"until [ \"$(%[1]s/psql -h %[3]s -p %[2]d -U postgres -tAc 'SELECT pg_is_in_recovery()' postgres)\" = f ]; do sleep 0.05; done && %[1]s/pg_ctl -D $D -s -m immediate stop",
		s.cluster.Bin, port, s.cluster.SocketDir)
}

// benchDelta restores once more over a restored directory in which one block in a hundred has changed.
func (s *backedUp) benchDelta(t *testing.T, doc *document, ours restoration) {
	dest := filepath.Join(s.dir, "copy")
	full := s.restoring(t, ours, false)
	full.name = "into an empty directory"
	delta := full
	delta.name = "`--delta-restore`, 1 % changed"
	delta.prepare = func(t *testing.T) {
		// What is there is a finished restore. One file in ten loses a tenth.
		s.as(t, "sh", "-c", "find "+dest+"/base -type f -size +100k | awk 'NR % 10 == 1' | while read f; do n=$(stat -c %s $f); "+
			"dd if=/dev/urandom of=$f bs=8192 seek=$((n / 16384)) count=$((n / 81920)) conv=notrunc status=none; done")
		s.as(t, "sync", "-f", dest)
	}
	delta.command = func(ctx context.Context) *exec.Cmd {
		return s.owner.Command(ctx, s.bed.dir, "sh", "-c", "D="+dest+"; "+strings.Replace(ours.restore, "recover", "recover --delta-restore", 1))
	}
	results := compare(t, *rounds, delta, full)
	fmt.Fprintln(doc)
	backupTable(doc, backupRows("plain", results))
	s.bar(doc, "delta restore with 1 % changed", 5, results[0], results[1])
}
