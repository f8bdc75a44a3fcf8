package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// databaseHost is where PostgreSQL runs: it has barman-wal-archive and barman-wal-restore, and reaches barman through ssh only.
type databaseHost struct {
	backup *backuphost.Host
	sshd   *lab.SSHD
	// path is what leads PATH of its commands: ssh and the two clients.
	path string
}

func newDatabaseHost(t *testing.T, backup *backuphost.Host) *databaseHost {
	t.Helper()
	sshd := lab.StartSSHD(t, "PATH="+backup.Build.Bin+":/usr/bin:/bin", "BARMAN_CONFIG_FILE="+backup.Config)
	return &databaseHost{backup, sshd, sshd.Client(t, backup.User) + ":" + backup.Build.Bin}
}

// command is a line for PostgreSQL's shell that runs a client.
func (h *databaseHost) command(line string) string { return "PATH=" + h.path + ":$PATH " + line }

func (h *databaseHost) archiveCommand(options string) string {
	return h.command(fmt.Sprintf("barman-wal-archive %s -U %s --port %d backup.example main %%p", options, h.backup.User.Name, h.sshd.Port))
}

// run runs a client as the user of PostgreSQL.
func (h *databaseHost) run(t *testing.T, args ...string) lab.Result {
	t.Helper()
	cmd := h.backup.Build.Command(t.Context(), h.backup.User, h.backup.Dir, args[0], args[1:]...)
	cmd.Env = append(cmd.Env, "PATH="+h.path+":/usr/bin:/bin")
	r, err := lab.Run(cmd)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// prefetchers are the processes that fetch ahead for a data directory.
func prefetchers(data string) (pids []int) {
	processes, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range processes {
		text, _ := os.ReadFile(path)
		args := strings.Split(string(text), "\x00")
		inData := func(arg string) bool { return strings.HasPrefix(arg, data+"/") }
		if slices.Contains(args, "--prefetch") && slices.ContainsFunc(args, inData) {
			pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestArchiveAndRecoverThroughTheClients is the story of a database host of its own: WAL goes to Barman through
// barman-wal-archive, also after the connection was down, and comes back through barman-wal-restore, while prefetchers are killed.
func TestArchiveAndRecoverThroughTheClients(t *testing.T) {
	host := backuphost.New(t)
	db := newDatabaseHost(t, host)
	primary := startPrimary(t, db.archiveCommand("--lz4"))
	host.Configure(t, backuphost.Server("main", localServer(primary, map[string]any{"compression": "zstd", "parallel_jobs": 4})))
	host.Must(t, "switch-wal", "--force", "--archive", "main")
	host.Must(t, "backup", "--wait", "main")

	mark(t, primary, "before")
	unreachable(t, db, primary)
	primary.MustSQL(t, "CREATE TABLE load (t text); INSERT INTO load SELECT repeat(md5(g::text), 30) FROM generate_series(1, 45000) g")
	mark(t, primary, "last")
	host.Must(t, "switch-wal", "--force", "--archive", "--archive-timeout", "600", "main")
	if err := primary.Destroy(); err != nil {
		t.Fatal(err)
	}

	dir := lab.ScratchDir(t)
	data := filepath.Join(dir, "data")
	remote := strings.Join(db.sshd.Command(host.User, host.User), " ")
	host.Must(t, "recover", "--get-wal", "--remote-ssh-command", remote, "--recovery-option-port", strconv.Itoa(db.sshd.Port), "main", "latest", data)
	conf, err := os.ReadFile(filepath.Join(data, "postgresql.auto.conf"))
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`restore_command = '(barman-wal-restore -P -U \S+ --port \d+ \S+ main %f %p -p 4)'`).FindSubmatch(conf)
	if line == nil {
		t.Fatalf("the restore_command is not the one that was wanted:\n%s", conf)
	}
	stop := killSometimes(func() []int { return prefetchers(data) })
	restored := lab.OpenCluster(t, data, lab.ClusterOptions{Settings: map[string]string{
		"restore_command": db.command(string(line[1])) + " --spool-dir " + filepath.Join(host.Dir, "spool"),
	}})
	if err := restored.WaitSQL(t.Context(), "SELECT pg_is_in_recovery()", "f"); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d prefetchers were killed", stop())
	if got := marks(t, restored); got != "before last" {
		t.Errorf("the marks are %q", got)
	}
	if got := restored.MustSQL(t, "SELECT count(*) FROM load"); got != "45000" {
		t.Errorf("%s rows, want 45000", got)
	}
	checkRestoreLog(t, restored)
	for _, name := range namesIn(t, filepath.Join(data, "pg_wal")) {
		if strings.HasSuffix(name, ".tmp") || name == "RECOVERYXLOG" {
			t.Errorf("it left %s", name)
		}
	}
}

// unreachable takes Barman's sshd away: PostgreSQL keeps its WAL, tries again, and is told why.
func unreachable(t *testing.T, db *databaseHost, primary *lab.Cluster) {
	t.Helper()
	port, err := lab.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	nowhere := []string{"-U", db.backup.User.Name, "--port", strconv.Itoa(port), "backup.example", "main"}
	r := db.run(t, append(append([]string{"barman-wal-archive"}, nowhere...), db.backup.Config)...)
	backuphost.CheckRefusal(t, r, 3, []string{"ERROR: Connection problem with ssh"}, "barman-wal-archive")
	dest := filepath.Join(db.backup.Dir, "RECOVERYXLOG")
	r = db.run(t, append(append([]string{"barman-wal-restore"}, nowhere...), "000000010000000000000001", dest)...)
	backuphost.CheckRefusal(t, r, 2, []string{"ERROR: Connection problem with ssh"}, "barman-wal-restore")
	if _, err := os.Stat(dest); err == nil {
		t.Error("a file was made without a connection")
	}

	good := primary.MustSQL(t, "SHOW archive_command")
	bad := strings.Replace(good, "--port "+strconv.Itoa(db.sshd.Port), "--port "+strconv.Itoa(port), 1)
	if err := primary.Set(t.Context(), map[string]string{"archive_command": bad}); err != nil {
		t.Fatal(err)
	}
	name := primary.MustSQL(t, "SELECT pg_walfile_name(pg_switch_wal())")
	if err := primary.WaitSQL(t.Context(), "SELECT last_failed_wal FROM pg_stat_archiver", name); err != nil {
		t.Fatal(err)
	}
	if err := primary.Set(t.Context(), map[string]string{"archive_command": good}); err != nil {
		t.Fatal(err)
	}
	if err := primary.WaitSQL(t.Context(), "SELECT last_archived_wal >= '"+name+"' FROM pg_stat_archiver", "t"); err != nil {
		t.Fatal(err)
	}
	if tail := primary.LogTail(1000); strings.Contains(tail, "FATAL:  archive command failed") {
		t.Errorf("PostgreSQL took the failure for a broken command:\n%s", tail)
	}
}

// killSometimes kills processes at random moments until it is stopped, and then says how many.
func killSometimes(find func() []int) (stop func() int) {
	quit, killed := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-quit:
				killed <- n
				return
			case <-time.After(time.Duration(rand.IntN(300)) * time.Millisecond):
			}
			for _, pid := range find() {
				if syscall.Kill(pid, syscall.SIGKILL) == nil {
					n++
				}
			}
		}
	}()
	return func() int { close(quit); return <-killed }
}

// checkRestoreLog wants that PostgreSQL restored segments, and that no file was worth a warning.
func checkRestoreLog(t *testing.T, c *lab.Cluster) {
	t.Helper()
	log := c.LogTail(1000)
	if n := strings.Count(log, "restored log file"); n < 10 {
		t.Errorf("only %d files were restored:\n%s", n, log)
	}
	for _, bad := range []string{"is damaged", "nothing is fetched ahead", "wrong size"} {
		if strings.Contains(log, bad) {
			t.Errorf("the log says %q:\n%s", bad, log)
		}
	}
}
