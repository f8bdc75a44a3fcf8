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

// syncedWALs is how many WAL files a passive node copies, beside the backup.
const syncedWALs = 256

// node is a Barman that has something to copy, and what its passive node is configured with.
type node struct {
	program []string
	main    string
	config  string
	// passive writes the configuration of a passive node.
	passive func(home, ssh string) string
}

// benchSync copies a backup of 2 GB and 256 WAL files to a second Barman on the same machine, through ssh. All use one connection, as rsync
// does: where both ends share two processors, the encryption of one keeps them busy, and a second one only costs more.
func benchSync(t *testing.T, b *bed, doc *document) {
	s := b.needLarge(t)
	ours := s.ourNode(t)
	nodes := []node{ours}
	if installed("barman") {
		nodes = append(nodes, s.debianNode(t))
	}
	for _, n := range nodes {
		s.archiveFirst(t, n.main, n.barman())
		// A passive node copies the WAL that follows its oldest backup.
		s.as(t, append(n.barman(), "backup", "main")...)
	}
	s.cluster.MustSQL(t, fmt.Sprintf("DO $$ BEGIN FOR i IN 1..%d LOOP PERFORM pg_logical_emit_message(false, '', "+
		"(SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 20000 + 0 * i))); PERFORM pg_switch_wal(); END LOOP; END $$", syncedWALs))
	last := s.cluster.MustSQL(t, "SELECT pg_walfile_name(pg_switch_wal()) FROM pg_logical_emit_message(false, '', 'x')")
	var contenders []contender
	for i, n := range nodes {
		s.as(t, "sh", "-c", fmt.Sprintf("until [ -e %s/incoming/%s ]; do sleep 0.1; done", n.main, last))
		s.as(t, append(n.barman(), "archive-wal", "main")...)
		contenders = append(contenders, s.syncing(t, []string{"barman (this)", "barman (Debian)"}[i], n))
	}
	results := compare(t, *rounds, append(contenders, s.mirroring(ours))...)
	doc.section("A passive node", fmt.Sprintf("A backup of 2 GB and %d WAL files compressed with gzip, copied from another Barman through ssh on the same machine: `sync-info`, "+
		"`sync-backup`, `sync-wals`, with one worker. This program decodes every WAL file to its end and makes everything durable; Debian's barman "+
		"does neither; `sync -f` is measured with rsync.", syncedWALs))
	backupTable(doc, backupRows("copy", results))
	for _, r := range results[1:] {
		goal := 0.9
		if strings.Contains(r.name, "Debian") {
			goal = 2
		}
		s.bar(doc, "copy to a passive node", goal, results[0], r)
	}
	s.removeHomes(t)
}

func (n node) barman() []string {
	return append(n.program[:len(n.program):len(n.program)], "-c", n.config)
}

func (s *backedUp) ourNode(t *testing.T) node {
	t.Helper()
	home := s.home(t, "ours-node")
	hcl := func(name, home, server string) string {
		return s.write(t, name, fmt.Sprintf("barman {\n barman_home = %q\n barman_user = %q\n}\nserver \"main\" {\n compression = \"gzip\"\n%s}\n",
			home, s.owner.Name, server))
	}
	return node{
		program: []string{filepath.Join(s.build.Bin, "barman")}, main: filepath.Join(home, "main"),
		config: hcl("ours-node.hcl", home, fmt.Sprintf(" conninfo = %q\n backup_method = \"local-rsync\"\n backup_options = \"concurrent_backup\"\n archiver = true\n"+
			" immediate_checkpoint = true\n", s.cluster.Conninfo("", ""))),
		passive: func(home, ssh string) string {
			return hcl("ours-passive.hcl", home, fmt.Sprintf(" primary_ssh_command = %q\n", ssh))
		},
	}
}

func (s *backedUp) debianNode(t *testing.T) node {
	t.Helper()
	home := s.home(t, "debian-node")
	ini := func(name, home, server string) string {
		return s.write(t, name, fmt.Sprintf("[barman]\nbarman_home = %s\nbarman_user = %s\nlog_file = %[1]s/log\n\n[main]\ndescription = bench\ncompression = gzip\n%[3]s", home, s.owner.Name, server))
	}
	return node{
		program: []string{"barman"}, main: filepath.Join(home, "main"),
		config: ini("debian-node.conf", home, fmt.Sprintf("conninfo = %s\nbackup_method = local-rsync\nbackup_options = concurrent_backup\narchiver = on\n"+
			"immediate_checkpoint = true\n", s.cluster.Conninfo("", ""))),
		passive: func(home, ssh string) string {
			return ini("debian-passive.conf", home, "primary_ssh_command = "+ssh+"\n")
		},
	}
}

// syncing is what cron of a passive node does, step by step.
func (s *backedUp) syncing(t *testing.T, name string, n node) contender {
	t.Helper()
	kind := strings.TrimSuffix(filepath.Base(filepath.Dir(n.main)), "-node")
	// Behind ssh, "barman" is the one that has the backup.
	bin := s.mkdir(t, filepath.Base(s.dir), "bin-"+kind)
	path := strings.TrimSpace(s.as(t, "sh", "-c", "command -v "+n.program[0]))
	s.as(t, "sh", "-c", fmt.Sprintf("printf '#!/bin/sh\\nexec %s -c %s \"$@\"\\n' > %s/barman && chmod 755 %[3]s/barman", path, n.config, bin))
	sshd := lab.StartSSHD(t, "PATH="+bin+":/usr/local/bin:/usr/bin:/bin")
	id := s.as(t, "sh", "-c", "cd "+n.main+"/base && ls")
	home := filepath.Join(s.dir, kind+"-passive")
	config := n.passive(home, strings.Join(sshd.Command(s.owner, s.owner), " "))
	barman := strings.Join(append(n.program[:len(n.program):len(n.program)], "-c", config), " ")
	return contender{
		name: name,
		prepare: func(t *testing.T) {
			s.as(t, "rm", "-rf", home)
			s.home(t, kind+"-passive")
			s.as(t, "sync", "-f", home)
		},
		command: func(ctx context.Context) *exec.Cmd {
			return s.owner.Command(ctx, s.bed.dir, "sh", "-c", fmt.Sprintf("%s sync-info --primary main && %[1]s sync-backup main %s && %[1]s sync-wals main",
				barman, strings.TrimSpace(id)))
		},
		check: func(t *testing.T) {
			files, _ := treeSize(t, filepath.Join(home, "main", "wals"), func(name string) bool { return len(name) == 24 })
			if _, data := treeSize(t, filepath.Join(home, "main", "base"), func(string) bool { return true }); files < syncedWALs || data < 1<<20 {
				t.Fatalf("%s copied %d WAL files and %d bytes of the backup", name, files, data)
			}
		},
	}
}

// mirroring is a plain copy of the same, which is not checked and knows nothing of what it copies.
func (s *backedUp) mirroring(n node) contender {
	dest := filepath.Join(s.dir, "copy")
	ssh := s.sshd.Command(s.owner, s.owner)
	remote := ssh[len(ssh)-1]
	return contender{
		name:    "rsync -aH",
		prepare: func(t *testing.T) { s.emptyDir(t, dest) },
		command: func(ctx context.Context) *exec.Cmd {
			return s.owner.Command(ctx, s.bed.dir, "sh", "-c", fmt.Sprintf("rsync -aH -e '%s' %s:%s/ %s && sync -f %[4]s",
				strings.Join(ssh[:len(ssh)-1], " "), remote, n.main, dest))
		},
	}
}
