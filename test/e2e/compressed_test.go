package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// compression is one setting of backup_compression and its companions, and how the backup is restored.
type compression struct {
	algorithm, location, format string
	// level and workers are not set when they are unset.
	level, workers int
	// remote is a staging_location for a restore over ssh; empty for a restore on this host.
	remote string
}

const unset = 1 << 20

// compressions are all combinations of algorithm, location and format that there are, each with a level or a number of
// workers from the whole range of what is valid.
var compressions = []compression{
	{"gzip", "", "", unset, unset, ""},
	{"gzip", "client", "tar", 1, unset, "local"},
	{"gzip", "server", "", 9, unset, ""},
	{"gzip", "server", "plain", -1, unset, ""},
	{"lz4", "", "", 0, unset, ""},
	{"lz4", "client", "", 12, unset, "remote"},
	{"lz4", "server", "tar", 1, unset, ""},
	{"lz4", "server", "plain", unset, unset, ""},
	{"zstd", "", "tar", -7, unset, ""},
	{"zstd", "client", "", 12, 2, "remote"},
	{"zstd", "server", "", 0, 1, ""},
	{"zstd", "server", "plain", 1, 2, ""},
	{"none", "", "", unset, unset, ""},
	{"none", "client", "", 0, unset, ""},
	{"none", "server", "tar", unset, unset, ""},
	{"none", "server", "plain", 0, unset, ""},
}

func (c compression) String() string {
	text := c.algorithm
	for _, part := range []string{c.location, c.format} {
		if part != "" {
			text += " " + part
		}
	}
	if c.level != unset {
		text += fmt.Sprintf(" level %d", c.level)
	}
	if c.workers != unset {
		text += fmt.Sprintf(" workers %d", c.workers)
	}
	if c.remote != "" {
		text += ", staged " + c.remote
	}
	return text
}

func (c compression) options() map[string]any {
	options := map[string]any{"backup_compression": c.algorithm}
	for name, value := range map[string]string{"location": c.location, "format": c.format} {
		if value != "" {
			options["backup_compression_"+name] = value
		}
	}
	for name, value := range map[string]int{"level": c.level, "workers": c.workers} {
		if value != unset {
			options["backup_compression_"+name] = value
		}
	}
	return options
}

// archives is a server whose backups are compressed: a tablespace, and rows in it and beside it.
type archives struct {
	host    *backuphost.Host
	primary *lab.Cluster
	oid     string
	rows    string
	sshd    *lab.SSHD
}

const bookRows = "SELECT count(*), sum(hashtext(text)), (SELECT sum(hashtext(text)) FROM beside) FROM book"

func newArchives(t *testing.T) *archives {
	a := &archives{host: backuphost.New(t), sshd: lab.StartSSHD(t)}
	a.primary = startPrimary(t, a.host.CopyCommand(t, "main"))
	if _, err := a.primary.CreateTablespace(t.Context(), "space"); err != nil {
		t.Fatal(err)
	}
	a.oid = a.primary.MustSQL(t, "SELECT oid FROM pg_tablespace WHERE spcname = 'space'")
	a.primary.MustSQL(t, "CREATE TABLE book TABLESPACE space AS SELECT n, md5(n::text) AS text FROM generate_series(1, 20000) n")
	a.primary.MustSQL(t, "CREATE TABLE beside AS SELECT n, md5((-n)::text) AS text FROM generate_series(1, 20000) n")
	a.rows = a.primary.MustSQL(t, bookRows)
	// Things that a restore leaves out, and one that it must find.
	for name, content := range map[string]string{"log/old.log": "x", "conf.d/archiving.conf": "archive_command = 'cp %p /original/%f'\n"} {
		path := filepath.Join(a.primary.Data, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		a.host.WriteFile(t, path, content, 0o644)
	}
	return a
}

// configure sets the options of backups.
func (a *archives) configure(t *testing.T, more map[string]any) {
	t.Helper()
	options := localServer(a.primary, map[string]any{"backup_method": "postgres", "streaming_conninfo": a.primary.Conninfo("", "")})
	for name, value := range more {
		options[name] = value
	}
	a.host.Configure(t, backuphost.Server("main", options))
}

func (a *archives) backUp(t *testing.T, c compression) (id string) {
	t.Helper()
	a.configure(t, c.options())
	a.host.Must(t, "backup", "main")
	b := a.host.Latest(t, "main")
	want := c.algorithm
	if c.format == "plain" {
		want = ""
	}
	if b.Compression != want {
		t.Fatalf("backup %s is %s with compression %q", b.ID, b.Status, b.Compression)
	}
	return b.ID
}

// everything has the tests of compressed backups leave nothing out.
var everything = os.Getenv("BARMAN_TEST_MATRIX_EACH") != ""

// TestCompressedBackups takes a backup in every way that backup_compression offers, and restores a third of them, each algorithm among
// them; with $BARMAN_TEST_MATRIX_EACH, all of them.
func TestCompressedBackups(t *testing.T) {
	a := newArchives(t)
	// Included, so that a dangerous setting lies in a directory that only the archive lists.
	a.host.WriteFile(t, filepath.Join(a.primary.Data, "postgresql.auto.conf"), "include_dir = 'conf.d'\n", 0o600)
	ids := map[compression]string{}
	for _, c := range compressions {
		ids[c] = a.backUp(t, c)
	}
	a.host.Must(t, "switch-wal", "--archive", "main")
	t.Run("restored", func(t *testing.T) {
		for i, c := range compressions {
			if !everything && i%3 != 0 && c.remote != "local" {
				continue
			}
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				a.restore(t, c, ids[c])
			})
		}
	})
	id := ids[compressions[0]]
	t.Run("killed", func(t *testing.T) { a.killed(t, ids) })
	t.Run("refused", func(t *testing.T) { a.refused(t, id) })
	t.Run("damaged", func(t *testing.T) { a.damaged(t, ids) })
	t.Run("impossible", a.impossible)
}

// recoverArgs are the arguments of a restore into dir.
func (a *archives) recoverArgs(c compression, dir string, more ...string) []string {
	args := []string{
		"recover", "--target-immediate", "--target-action", "promote", "--jobs", "2", "--tablespace", "space:" + filepath.Join(dir, "space"),
		"--staging-path", filepath.Join(dir, "staging"),
	}
	if c.remote != "" {
		ssh := strings.Join(a.sshd.Command(a.host.User, a.primary.Owner), " ")
		args = append(args, "--remote-ssh-command", ssh, "--staging-location", c.remote)
	}
	return append(args, more...)
}

func (a *archives) restore(t *testing.T, c compression, id string) {
	dir := lab.ScratchDir(t)
	a.host.MakeDir(t, dir)
	data := filepath.Join(dir, "data")
	a.host.Must(t, a.recoverArgs(c, dir, "main", id, data)...)
	a.check(t, dir, id)
}

// check looks at what a restore has left, starts a server on it, and compares its rows.
func (a *archives) check(t *testing.T, dir, id string) {
	t.Helper()
	data := filepath.Join(dir, "data")
	for _, name := range []string{
		"log/old.log", "tablespace_map", "postmaster.pid", "backup_manifest", ".barman-restore-incomplete", "global/pg_control.barman-restore",
	} {
		if _, err := os.Lstat(filepath.Join(data, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there (%v)", name, err)
		}
	}
	for _, name := range []string{"backup_manifest." + id, ".barman-recover.info", "global/pg_control"} {
		if _, err := os.Lstat(filepath.Join(data, name)); err != nil {
			t.Error(err)
		}
	}
	if link, err := os.Readlink(filepath.Join(data, "pg_tblspc", a.oid)); err != nil || link != filepath.Join(dir, "space") {
		t.Errorf("the link of the tablespace: %s, %v", link, err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "staging")); err == nil && len(left) > 0 {
		t.Errorf("left in the staging path: %v", left)
	}
	if text, err := os.ReadFile(filepath.Join(data, "conf.d/archiving.conf")); err != nil || !strings.Contains(string(text), "archive_command = false") {
		t.Errorf("a dangerous setting in an included directory: %q, %v", text, err)
	}
	restored := lab.OpenCluster(t, data, lab.ClusterOptions{})
	if err := restored.WaitSQL(t.Context(), "SELECT pg_is_in_recovery()", "f"); err != nil {
		t.Fatalf("%v\n%s", err, restored.LogTail(30))
	}
	if got := restored.MustSQL(t, bookRows); got != a.rows {
		t.Errorf("rows are %s, want %s", got, a.rows)
	}
	if err := restored.Destroy(); err != nil {
		t.Error(err)
	}
}

// killed kills restores in the middle of unpacking; PostgreSQL does not start on what is there, and the same command
// completes it.
func (a *archives) killed(t *testing.T, ids map[compression]string) {
	each := []compression{compressions[0]}
	if everything {
		each = append(each, compressions[9])
	}
	for _, c := range each {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			dir := lab.ScratchDir(t)
			a.host.MakeDir(t, dir)
			data := filepath.Join(dir, "data")
			// Slow enough to be caught in the middle.
			cmd := a.host.Command(t.Context(), a.recoverArgs(c, dir, "--bwlimit", "500", "main", ids[c], data)...)
			cmd.SysProcAttr.Setpgid = true
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			deadline := time.Now().Add(time.Minute)
			for started := false; !started; {
				if time.Now().After(deadline) {
					t.Fatal("nothing was unpacked")
				}
				time.Sleep(10 * time.Millisecond)
				found, _ := filepath.Glob(filepath.Join(data, "base/*/*"))
				started = len(found) > 0
			}
			if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err == nil {
				t.Fatal("the restore was complete before it was killed")
			}
			if _, err := os.Stat(filepath.Join(data, ".barman-restore-incomplete")); err != nil {
				t.Error(err)
			}
			if half, err := lab.NewClusterOn(t.Context(), data, lab.ClusterOptions{}); err == nil {
				t.Error("PostgreSQL started on half a cluster")
				_ = half.Destroy()
			} else if half != nil {
				_ = half.Destroy()
			}
			out := a.host.Must(t, a.recoverArgs(c, dir, "main", ids[c], data)...)
			if !strings.Contains(out, "Continuing the interrupted restore") {
				t.Errorf("the restore was not taken up again:\n%s", out)
			}
			a.check(t, dir, ids[c])
		})
	}
}

// refused are restores that cannot work, and of which that is known before a byte is written.
func (a *archives) refused(t *testing.T, id string) {
	ssh := strings.Join(a.sshd.Command(a.host.User, a.primary.Owner), " ")
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"delta":            {[]string{"--delta-restore"}, "Cannot restore a backup locally with delta mode when the backup is not plain."},
		"delta there":      {[]string{"--delta-restore", "--remote-ssh-command", ssh, "--staging-location", "remote"}, "Cannot restore a backup remotely with delta mode when 'staging_location=remote'."},
		"relative staging": {[]string{"--staging-path", "x"}, "Cannot parse staging path: Invalid value : 'x' (must be an absolute path)"},
		"staging is a file": {
			[]string{"--remote-ssh-command", ssh, "--staging-location", "local", "--staging-path", a.host.Config}, "is not a directory",
		},
		"staging without remote": {[]string{"--staging-location", "remote"}, "--staging-location as remote requires --remote-ssh-command to be set"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := lab.ScratchDir(t)
			a.host.MakeDir(t, dir)
			args := append([]string{"recover", "--tablespace", "space:" + filepath.Join(dir, "space")}, tc.args...)
			r := a.host.Barman(t, append(args, "main", id, filepath.Join(dir, "data"))...)
			if r.Exit == 0 || !strings.Contains(r.Stderr, tc.want) {
				t.Errorf("exit code %d, want %q:\n%s%s", r.Exit, tc.want, r.Stdout, r.Stderr)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("the destination was touched: %v, %v", left, err)
			}
		})
	}
}

// damaged restores backups whose archives have been damaged: each is noticed, at the latest when it is unpacked, and then
// the destination is marked.
func (a *archives) damaged(t *testing.T, ids map[compression]string) {
	archive := func(c compression, name string) string {
		return filepath.Join(a.host.Layout("main").DataPath(ids[c]), name)
	}
	change := func(path string, change func([]byte) []byte) {
		t.Helper()
		content, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, change(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	run := func(c compression, want string, marked bool) {
		t.Helper()
		dir := lab.ScratchDir(t)
		a.host.MakeDir(t, dir)
		r := a.host.Barman(t, a.recoverArgs(c, dir, "main", ids[c], filepath.Join(dir, "data"))...)
		if r.Exit == 0 || !strings.Contains(r.Stderr, want) {
			t.Errorf("exit code %d, want %q:\n%s%s", r.Exit, want, r.Stdout, r.Stderr)
		}
		if _, err := os.Stat(filepath.Join(dir, "data", ".barman-restore-incomplete")); (err == nil) != marked {
			t.Errorf("marker: %v, want %v", err, marked)
		}
		if _, err := os.Stat(filepath.Join(dir, "data", "global/pg_control")); err == nil {
			t.Error("PostgreSQL would start on it")
		}
		if left, err := os.ReadDir(filepath.Join(dir, "staging")); err == nil && len(left) > 0 {
			t.Errorf("left in the staging path: %v", left)
		}
	}
	half := func(b []byte) []byte { return b[:len(b)/2] }
	// The archives are not needed any more, so they stay damaged.
	gzip, staged, there, none := compressions[0], compressions[1], compressions[9], compressions[13]
	change(archive(gzip, a.oid+".tar.gz"), half)
	run(gzip, a.oid+".tar.gz", true)
	change(archive(staged, "base.tar.gz"), half)
	run(staged, "base.tar.gz", true)
	change(archive(there, "base.tar.zst"), half)
	run(there, "base.tar.zst", true)
	change(archive(none, "base.tar"), half)
	run(none, "is damaged", false)
	// A file is missing, and the archive is whole: only the manifest knows.
	lz4 := compressions[4]
	change(archive(lz4, "backup_manifest"), func(b []byte) []byte {
		return []byte(strings.Replace(string(b), `"Files": [`, `"Files": [`+"\n"+`{ "Path": "base/1/999999", "Size": 8192 },`, 1))
	})
	run(lz4, "and the backup's manifest lists", true)
	if err := os.Remove(archive(lz4, a.oid+".tar.lz4")); err != nil {
		t.Fatal(err)
	}
	run(lz4, a.oid+".tar.lz4 does not exist", false)
}

// impossible are settings that no backup can be taken with; each is refused with its reason, and leaves no backup.
func (a *archives) impossible(t *testing.T) {
	before := len(a.host.Backups(t, "main"))
	tools := filepath.Join(a.host.Dir, "tools")
	a.host.MakeDir(t, tools)
	for _, tc := range []struct {
		name    string
		options map[string]any
		// zstd is the version of the only zstd; empty for the real one.
		zstd string
		want string
	}{
		{"gzip with workers", map[string]any{"backup_compression": "gzip", "backup_compression_workers": 2}, "", "backup_compression_workers is not compatible with compression gzip"},
		{"lz4 with workers", map[string]any{"backup_compression": "lz4", "backup_compression_workers": 2}, "", "backup_compression_workers is not compatible with compression lz4"},
		{"none with workers", map[string]any{"backup_compression": "none", "backup_compression_workers": 0}, "", "backup_compression_workers is not compatible with compression 'none'"},
		{"negative workers", map[string]any{"backup_compression": "zstd", "backup_compression_workers": -1}, "", "non-negative integer"},
		{"gzip level 10", map[string]any{"backup_compression": "gzip", "backup_compression_level": 10}, "", "backup_compression_level 10 unsupported by compression algorithm."},
		{"gzip level 0", map[string]any{"backup_compression": "gzip", "backup_compression_level": 0}, "", "Use backup_compression = none"},
		{"lz4 level 13", map[string]any{"backup_compression": "lz4", "backup_compression_level": 13}, "", "backup_compression_level 13 unsupported by compression algorithm."},
		{"zstd level 23", map[string]any{"backup_compression": "zstd", "backup_compression_level": 23}, "", "backup_compression_level 23 unsupported by compression algorithm."},
		{"none level 1", map[string]any{"backup_compression": "none", "backup_compression_level": 1}, "", "backup_compression none only supports backup_compression_level 0."},
		{"plain", map[string]any{"backup_compression": "gzip", "backup_compression_format": "plain"}, "", "backup_compression_format plain is not compatible with backup_compression_location None"},
		{"plain, client", map[string]any{"backup_compression": "gzip", "backup_compression_format": "plain", "backup_compression_location": "client"}, "", "backup_compression_format plain is not compatible with backup_compression_location client"},
		{"old zstd", map[string]any{"backup_compression": "zstd"}, "1.4.3", "is version 1.4.3, and 1.4.4 or later is needed"},
		{"zstd without threads", map[string]any{"backup_compression": "zstd", "backup_compression_workers": 2}, "1.4.9", "backup_compression_workers needs 1.5.0 or later"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a.host.Global = ""
			var env []string
			if tc.zstd != "" {
				script := fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = --version ]; then echo '*** zstd command line interface 64-bits v%s ***'; else echo 'Note : multi-threading is disabled' >&2; fi\n", tc.zstd)
				a.host.WriteFile(t, filepath.Join(tools, "zstd"), script, 0o755)
				env = []string{"PATH=" + tools}
			}
			a.configure(t, tc.options)
			cmd := a.host.Command(t.Context(), "backup", "main")
			cmd.Env = append(cmd.Env, env...)
			r, err := lab.Run(cmd)
			if err != nil {
				t.Fatal(err)
			}
			if r.Exit == 0 || !strings.Contains(r.Stdout+r.Stderr, tc.want) {
				t.Errorf("exit code %d, want %q:\n%s%s", r.Exit, tc.want, r.Stdout, r.Stderr)
			}
			if after := len(a.host.Backups(t, "main")); after != before {
				t.Errorf("there are %d backups, were %d", after, before)
			}
		})
	}
}
