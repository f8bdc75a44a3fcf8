package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/barman-go/barman/test/lab"
)

// benchRestore fetches segments from another host, one after the other, as restore_command does in a recovery.
func benchRestore(t *testing.T, b *bed, doc *document) {
	b.needWAL(t)
	ssh := b.sshWrapper(t)
	contenders := []contender{b.oursFetching(t, ssh, 8), b.oursFetching(t, ssh, 0)}
	if installed("pgbackrest") {
		contenders = append(contenders, b.pgbackrestFetching(t, ssh))
	}
	results := compare(t, *rounds, contenders...)
	doc.section("Fetching WAL", fmt.Sprintf("%d segments through ssh, one restore_command after the other. pgbackrest fetches ahead with `archive-async` and `process-max=2`.", segments))
	var rows [][]string
	for _, r := range results {
		rows = append(rows, []string{r.name, fmt.Sprintf("%.1f", segments/r.medianWall()), ratio(results[0].medianWall(), r.medianWall())})
	}
	doc.table([]string{"program", "segments/s", "ours is faster by"}, rows)
	if len(results) > 2 {
		doc.bar("`barman-wal-restore --parallel 8` faster than `pgbackrest archive-get`, both fetching ahead",
			results[0].medianWall() < results[2].medianWall(), ratio(results[0].medianWall(), results[2].medianWall()))
	}
}

// sshWrapper is a program "ssh" that reaches this machine's own sshd with its key, and calls this build's barman there.
func (b *bed) sshWrapper(t *testing.T) string {
	sshd := lab.StartSSHD(t)
	command := sshd.Command(b.owner, b.owner)
	path := filepath.Join(b.mkdir(t, "ssh"), "ssh")
	script := fmt.Sprintf("#!/bin/bash\nargs=()\nfor a; do [ \"$a\" = barman ] && a=%s; args+=(\"$a\"); done\nexec /usr/bin/%s \"${args[@]}\"\n",
		filepath.Join(b.build.Bin, "barman"), strings.Join(command[:len(command)-1], " "))
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func (b *bed) oursFetching(t *testing.T, ssh string, parallel int) contender {
	home := filepath.Join(b.dir, "fetch")
	config := b.write(t, "fetch.hcl", fmt.Sprintf("barman {\n barman_home = %q\n barman_user = %q\n}\nserver \"main\" {\n conninfo = \"host=x\"\n backup_method = \"local-rsync\"\n backup_options = \"concurrent_backup\"\n archiver = true\n compression = \"zstd\"\n}\n", home, b.owner.Name))
	incoming := b.mkdir(t, "fetch", "main", "incoming")
	if _, err := os.Stat(filepath.Join(home, "main", "wals")); err != nil {
		b.copyWAL(t, incoming)
		if out, err := b.barman(t.Context(), config, "archive-wal", "main").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	spool := filepath.Join(b.dir, "walrestore")
	argv := []string{
		filepath.Join(b.build.Bin, "barman-wal-restore"), "-U", b.owner.Name, "-c", config, "--spool-dir", spool,
		"--parallel", strconv.Itoa(parallel), "127.0.0.1", "main",
	}
	return b.fetching("barman-wal-restore --parallel "+strconv.Itoa(parallel), ssh, spool, argv)
}

func (b *bed) pgbackrestFetching(t *testing.T, ssh string) contender {
	root := b.mkdir(t, "pgbackrest-fetch")
	for _, d := range []string{"repo", "spool", "log", "lock"} {
		b.mkdir(t, "pgbackrest-fetch", d)
	}
	repo := b.pgbackrestConfig(t, root, "zst")
	b.as(t, "pgbackrest", "--config="+repo, "--stanza=bench", "--no-online", "stanza-create")
	b.stageWAL(t, b.cluster.Data)
	b.as(t, "pgbackrest", "--config="+repo, "--stanza=bench", "archive-push:async", filepath.Join(b.cluster.Data, "pg_wal"))
	spool := filepath.Join(root, "get")
	config := b.write(t, "pgbackrest-get.conf", fmt.Sprintf("[global]\nrepo1-host=127.0.0.1\nrepo1-host-user=%[1]s\nrepo1-host-config=%[2]s\ncmd-ssh=%[3]s\n"+
		"spool-path=%[4]s\nlog-path=%[5]s/log\nlock-path=%[5]s/lock\nprocess-max=2\narchive-async=y\nlog-level-console=off\nlog-level-file=off\n"+
		"[bench]\npg1-path=%[6]s\n", b.owner.Name, repo, ssh, spool, root, b.cluster.Data))
	return b.fetching("pgbackrest archive-get", ssh, spool, []string{"pgbackrest", "--config=" + config, "--stanza=bench", "archive-get"})
}

// fetching calls a command with a name and a destination for every segment.
func (b *bed) fetching(name, ssh, spool string, argv []string) contender {
	dest := filepath.Join(b.dir, "RECOVERYXLOG")
	script := fmt.Sprintf("PATH=%s:$PATH; for n in %s; do %s $n %s || exit 1; cmp -s -n 65536 %[4]s %s/$n || exit 2; done",
		filepath.Dir(ssh), strings.Join(b.names, " "), strings.Join(argv, " "), dest, b.wal)
	return contender{
		name:    name,
		prepare: func(t *testing.T) { b.emptyDir(t, spool) },
		command: func(ctx context.Context) *exec.Cmd { return b.owner.Command(ctx, b.dir, "sh", "-c", script) },
	}
}
