package matrix

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/barman-go/barman/core/catalog"
)

// overSSH is the method rsync.
func overSSH(s *scene) map[string]any {
	return map[string]any{"backup_method": "rsync", "ssh_command": s.ssh()}
}

// with is overSSH with one more option.
func with(option string, value any) func(*scene) map[string]any {
	return func(s *scene) map[string]any {
		options := overSSH(s)
		options[option] = value
		return options
	}
}

// option sets one option.
func option(name string, value any) func(*scene) map[string]any {
	return func(*scene) map[string]any { return map[string]any{name: value} }
}

// The limits of the trials, in kB/s: a copy takes a second or two.
const (
	limit    = 20000
	hotLimit = 15000
)

// copyRows are the methods that copy files: rsync and local-rsync.
func copyRows() []row {
	return []row{
		{name: "rsync over ssh", options: overSSH, taken: wantMode(catalog.ModeRsyncConcurrent)},
		{name: "local-rsync", taken: wantMode(catalog.ModeRsyncConcurrent)},
		{name: "tablespaces, moved by recover", taken: tablespacesTaken, restored: tablespacesMoved},
		{name: "include and exclude rules", before: litter, taken: noLitter},
		{name: "configuration outside of PGDATA", taken: configurationTaken, restored: configurationRestored},
		{name: "reuse_backup = link", options: option("reuse_backup", "link"), before: backUpOnce, taken: sharesFiles},
		{name: "--reuse-backup=copy", backup: []string{"--reuse-backup=copy"}, before: backUpOnce, taken: sharesNothing},
		{name: "parallel_jobs", options: option("parallel_jobs", 2), taken: twoWorkers},
		{
			name: "--jobs in backup and recover", backup: []string{"--jobs", "2"}, taken: twoWorkers,
			recover: func(*scene) []string { return []string{"-j", "3"} },
		},
		{name: "bandwidth_limit, rsync", options: with("bandwidth_limit", limit), taken: notFasterThan("pgdata", limit)},
		{
			name: "--bwlimit, rsync", backup: []string{"--bwlimit", "10000"}, taken: notFasterThan("pgdata", 10000),
			recover: func(*scene) []string { return []string{"--bwlimit", "40000"} },
		},
		{
			name:    "tablespace_bandwidth_limit",
			options: with("tablespace_bandwidth_limit", "cold:50000, hot:15000"), taken: notFasterThan("hot", hotLimit),
		},
		{
			name: "basebackup_retry_times: connections are cut", by: cutOff,
			options: func(s *scene) map[string]any {
				options := with("bandwidth_limit", limit)(s)
				options["basebackup_retry_times"], options["basebackup_retry_sleep"] = 3, 1
				return options
			},
		},
		{
			name: "network_compression, both ways", options: with("network_compression", true),
			recover: func(s *scene) []string { return []string{"--remote-ssh-command", s.ssh(), "--network-compression"} },
		},
	}
}

func wantMode(mode catalog.Mode) func(*testing.T, *trial) {
	return func(t *testing.T, tr *trial) {
		if tr.info.Mode != mode {
			t.Errorf("the mode is %s, want %s", tr.info.Mode, mode)
		}
	}
}

// cutOff ends all connections through ssh in the middle of the copy.
func cutOff(t *testing.T, tr *trial) {
	r := tr.start(t, slices.Concat([]string{"--wait"}, tr.args, []string{"main"})...)
	copied := filepath.Join(tr.host.Layout("main").DataPath(r.id), "base", "*", "*")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if files, err := filepath.Glob(copied); err == nil && len(files) > 0 && tr.sshd.Drop() > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("there was no connection to cut:\n%s", r.output)
		}
	}
	if exit := r.end(syscall.Signal(0)); exit != 0 {
		t.Errorf("a backup whose connections were cut ended with exit code %d", exit)
	}
	tr.output = r.output.String()
	if log, err := os.ReadFile(tr.host.LogFile()); err != nil || !bytes.Contains(log, []byte("it is run again")) {
		t.Errorf("nothing was tried again (%v):\n%s", err, tr.output)
	}
}

// tablespacesTaken looks for each tablespace in a directory of its own, and for none in PGDATA's.
func tablespacesTaken(t *testing.T, tr *trial) {
	if len(tr.info.Tablespaces) != len(tr.spaces) {
		t.Errorf("the catalog knows the tablespaces %v", tr.info.Tablespaces)
	}
	for _, space := range tr.info.Tablespaces {
		copied, err := filepath.Glob(filepath.Join(tr.host.Layout("main").TablespacePath(tr.info.ID, space.OID), "PG_*", "*", "*"))
		if err != nil || len(copied) == 0 {
			t.Errorf("tablespace %s is empty (%v)", space.Name, err)
		}
	}
	if inside, err := os.ReadDir(tr.data("pg_tblspc")); err != nil || len(inside) != 0 {
		t.Errorf("pg_tblspc has %v (%v)", inside, err)
	}
}

func tablespacesMoved(t *testing.T, tr *trial) {
	for name, want := range tr.moved {
		if got := tr.restored.MustSQL(t, "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = '"+name+"'"); got != want {
			t.Errorf("tablespace %s is in %s, want %s", name, got, want)
		}
	}
}

// litter makes files in PGDATA that no backup should have, and one that it should.
func litter(t *testing.T, s *scene) {
	for _, dir := range []string{"base/pgsql_tmp", "log", "extra"} {
		s.host.MakeDir(t, filepath.Join(s.primary.Data, dir))
	}
	for _, file := range []string{"base/pgsql_tmp/pgsql_tmp1.0", "log/server.log", "base/1/t3_99999", "extra/kept"} {
		s.host.WriteFile(t, filepath.Join(s.primary.Data, file), "litter", 0o600)
	}
}

func noLitter(t *testing.T, tr *trial) {
	for _, dir := range []string{"pg_wal", "log", "pg_replslot", "pg_notify", "pg_dynshmem", "pg_stat_tmp", "pg_subtrans"} {
		if entries, err := os.ReadDir(tr.data(dir)); err != nil || len(entries) != 0 {
			t.Errorf("%s has %v (%v)", dir, entries, err)
		}
	}
	for _, file := range []string{"postmaster.pid", "postmaster.opts", "base/pgsql_tmp/pgsql_tmp1.0", "base/1/t3_99999"} {
		if _, err := os.Lstat(tr.data(file)); err == nil {
			t.Errorf("the backup has %s", file)
		}
	}
	if text, err := os.ReadFile(tr.data("extra/kept")); err != nil || string(text) != "litter" {
		t.Errorf("a file that is not PostgreSQL's is lost: %v", err)
	}
}

// configurationTaken compares the files outside of PGDATA with their copies, which lie among those of PGDATA.
func configurationTaken(t *testing.T, tr *trial) {
	for _, path := range []string{tr.hba(), tr.ident()} {
		sameFile(t, path, tr.data(filepath.Base(path)))
	}
}

func configurationRestored(t *testing.T, tr *trial) {
	for _, path := range []string{tr.hba(), tr.ident()} {
		sameFile(t, path, filepath.Join(tr.destination, filepath.Base(path)))
	}
}

func sameFile(t *testing.T, want, got string) {
	t.Helper()
	wanted, err := os.ReadFile(want)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(got); err != nil || string(text) != string(wanted) {
		t.Errorf("%s differs from %s (%v)", got, want, err)
	}
}

// backUpOnce sees to it that there is a backup to build upon: in a run with a trial for each row the one before may be of another method.
func backUpOnce(t *testing.T, s *scene) {
	if b := s.newest(t); b == nil || b.Type() != catalog.TypeRsync {
		s.host.Must(t, "backup", "--wait", "main")
	}
}

// shared counts the files of a backup that are those of the one before, and its own.
func (tr *trial) shared(t *testing.T) (shared, own int) {
	t.Helper()
	layout := tr.host.Layout("main")
	here, before := layout.BackupPath(tr.info.ID), layout.BackupPath(tr.previous.ID)
	err := filepath.WalkDir(here, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(here, path)
		if err != nil {
			return err
		}
		if old, err := os.Lstat(filepath.Join(before, rel)); err == nil && inode(old) == inode(lstat(t, path)) {
			shared++
		} else {
			own++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return shared, own
}

func lstat(t *testing.T, path string) fs.FileInfo {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func inode(info fs.FileInfo) uint64 { return info.Sys().(*syscall.Stat_t).Ino }

// sharesFiles wants most files linked, those that change at every moment not, and the catalog to know what that saves.
func sharesFiles(t *testing.T, tr *trial) {
	shared, own := tr.shared(t)
	if shared < 500 || shared < own {
		t.Errorf("%d files are shared with the backup before, %d are not", shared, own)
	}
	layout := tr.host.Layout("main")
	for _, file := range []string{"global/pg_control", "backup_label", tr.path(t, "pgbench_history"), tr.path(t, "lab_ledger")} {
		old, err := os.Lstat(filepath.Join(layout.BackupPath(tr.previous.ID), "data", file))
		if err == nil && inode(old) == inode(lstat(t, tr.data(file))) {
			t.Errorf("%s is shared with the backup before", file)
		}
	}
	if tr.info.DeduplicatedSize.N >= tr.info.Size.N/2 {
		t.Errorf("the catalog says that the backup takes %d of %d bytes", tr.info.DeduplicatedSize.N, tr.info.Size.N)
	}
	if !strings.Contains(tr.output, "deduplication ratio") {
		t.Errorf("backup does not tell what it shares:\n%s", tr.output)
	}
}

// path is where a table is, relative to PGDATA's or the tablespaces' directory of a backup.
func (tr *trial) path(t *testing.T, table string) string {
	t.Helper()
	path := tr.primary.MustSQL(t, "SELECT pg_relation_filepath('"+table+"')")
	if in, found := strings.CutPrefix(path, "pg_tblspc/"); found {
		return filepath.Join("..", in)
	}
	return path
}

func sharesNothing(t *testing.T, tr *trial) {
	if shared, own := tr.shared(t); shared != 0 || own < 500 {
		t.Errorf("%d files are shared with the backup before, %d are not", shared, own)
	}
	if tr.info.DeduplicatedSize.N != tr.info.Size.N {
		t.Errorf("the catalog says that the backup takes %d of %d bytes", tr.info.DeduplicatedSize.N, tr.info.Size.N)
	}
}

func twoWorkers(t *testing.T, tr *trial) {
	if got := tr.info.CopyStats.NumberOfWorkers; got != 2 {
		t.Errorf("the catalog says %d workers", got)
	}
	if !strings.Contains(tr.output, "(2 jobs)") {
		t.Errorf("backup does not tell its jobs:\n%s", tr.output)
	}
}

// notFasterThan compares the time that an item took with the bandwidth that it was given, in kB/s. A busy machine only makes it slower.
// What is taken from an earlier backup has no limit, and what is compressed on the way counts as what it has become: no row of the trial
// may do either.
func notFasterThan(item string, kBps int64) func(*testing.T, *trial) {
	return func(t *testing.T, tr *trial) {
		dir := tr.data()
		for _, space := range tr.info.Tablespaces {
			if space.Name == item {
				dir = tr.host.Layout("main").TablespacePath(tr.info.ID, space.OID)
			}
		}
		var bytes int64
		err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			info, err := e.Info()
			if err == nil {
				bytes += info.Size()
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, copied := range tr.info.CopyStats.CopyTimePerItem {
			// rsync may begin with a burst.
			if least := float64(bytes) / float64(kBps*1024) / 2; copied.Item == item && copied.Seconds < least {
				t.Errorf("%s: %d bytes took %.2f s, at %d kB/s at least %.2f", item, bytes, copied.Seconds, kBps, least)
			}
		}
	}
}
