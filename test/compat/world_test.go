package compat

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// program runs a command of one of the two programs, which has to succeed, and returns its standard output.
type program func(t testing.TB, args ...string) string

// world is what a story plays in: one PostgreSQL server with a tablespace, and one backup host with both programs.
type world struct {
	host   *backuphost.Host
	python *python
	// ours and theirs run commands.
	ours, theirs program
	primary      *lab.Cluster
	sshd         *lab.SSHD
	// more are further options of both configurations.
	more map[string]string
	// written are the rows 1…written of the table book, all of them committed.
	written int
}

// archiving prepares an archive_command: put-wal of this program, or a copy into incoming/ as in Barman's manual.
type archiving func(*backuphost.Host, testing.TB, string) string

// newWorld starts the server "main".
func newWorld(t *testing.T, version string, archive archiving) *world {
	t.Helper()
	return newWorldOf(t, version, archive, lab.ClusterOptions{})
}

// newWorldOf starts one of a version, or with settings, of its own.
func newWorldOf(t *testing.T, version string, archive archiving, o lab.ClusterOptions) *world {
	t.Helper()
	host := backuphost.New(t)
	w := &world{host: host, python: newPython(t, host, version), sshd: lab.StartSSHD(t), ours: host.Must}
	w.theirs = w.python.must
	host.MakeDir(t, host.Locks) // Python Barman does not make it
	o.ArchiveCommand, o.DataChecksums, o.WALSegmentSizeMB = archive(host, t, "main"), true, 4
	w.primary = lab.StartCluster(t, o)
	host.Global = fmt.Sprintf("  path_prefix = [%q]\n", w.primary.Bin)
	w.createBook(t)
	return w
}

// createBook makes the table, which is in a tablespace and has an index that is not.
func (w *world) createBook(t *testing.T) {
	t.Helper()
	if _, err := w.primary.CreateTablespace(t.Context(), "space"); err != nil {
		t.Fatal(err)
	}
	w.primary.MustSQL(t, "CREATE TABLE book (n int PRIMARY KEY USING INDEX TABLESPACE pg_default) TABLESPACE space")
	w.primary.MustSQL(t, "CREATE TABLE old_book WITH (autovacuum_enabled = off) TABLESPACE space AS SELECT generate_series(1, 20000) n")
}

// pathOfBook is where the table is in a backup.
func (w *world) pathOfBook(t *testing.T) string {
	t.Helper()
	return strings.TrimPrefix(w.primary.MustSQL(t, "SELECT pg_relation_filepath('book')"), "pg_tblspc/")
}

// use configures both programs alike, with a backup method and a compression of WAL. For "local-rsync" Python Barman, whose older
// versions do not know it, has rsync; both write the same catalog.
func (w *world) use(t *testing.T, method, compression string) {
	t.Helper()
	conninfo := w.primary.Conninfo("", "")
	theirs := map[string]string{
		"conninfo": conninfo, "streaming_conninfo": conninfo, "backup_method": strings.TrimPrefix(method, "local-"), "archiver": "on",
		"compression": compression, "immediate_checkpoint": "true", "retention_policy": "REDUNDANCY 2", "backup_options": "concurrent_backup",
	}
	if method != "postgres" {
		theirs["reuse_backup"] = "link"
		theirs["ssh_command"] = strings.Join(w.sshd.Command(w.host.User, w.primary.Owner), " ")
	}
	for option, value := range w.more {
		theirs[option] = value
	}
	ours := map[string]any{}
	for option, value := range theirs {
		ours[option] = value
	}
	ours["backup_method"] = method
	if method == "local-rsync" {
		delete(ours, "ssh_command")
	}
	w.host.Configure(t, backuphost.Server("main", ours))
	w.python.configure(t, w.primary.Bin, theirs)
}

// write commits more rows.
func (w *world) write(t *testing.T) {
	t.Helper()
	w.primary.MustSQL(t, fmt.Sprintf("INSERT INTO book SELECT generate_series(%d, %d)", w.written+1, w.written+1000))
	w.written += 1000
}

// writeAndArchive commits more rows and has a program archive all WAL up to them.
func (w *world) writeAndArchive(t *testing.T, by program) {
	t.Helper()
	w.write(t)
	by(t, "switch-wal", "--archive", "main")
}

// backUp has a program take a backup and returns what the catalog says about it.
func (w *world) backUp(t *testing.T, by program, args ...string) *catalog.BackupInfo {
	t.Helper()
	by(t, append(append([]string{"backup", "--wait"}, args...), "main")...)
	b := w.host.Latest(t, "main")
	if b.Status != catalog.StatusDone {
		t.Fatalf("backup %s is %s", b.ID, b.Status)
	}
	return b
}

// restore has a program restore a backup with all WAL, starts a server on the result, and compares its rows.
func (w *world) restore(t *testing.T, by program, id string) {
	t.Helper()
	dir := lab.ScratchDir(t)
	destination, space := filepath.Join(dir, "data"), filepath.Join(dir, "space")
	by(t, "recover", "--tablespace", "space:"+space, "main", id, destination)
	restored := lab.OpenCluster(t, destination, lab.ClusterOptions{Version: w.primary.Major})
	if err := restored.WaitSQL(t.Context(), "SELECT pg_is_in_recovery()", "f"); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%d|1|%d", w.written, w.written)
	if got := restored.MustSQL(t, "SELECT count(*), min(n), max(n) FROM book"); got != want {
		t.Errorf("restored from %s: rows are %s, want %s", id, got, want)
	}
	if got := restored.MustSQL(t, "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'space'"); got != space {
		t.Errorf("restored from %s: the tablespace is in %s, want %s", id, got, space)
	}
	if err := restored.Destroy(); err != nil {
		t.Error(err)
	}
}

// checkWAL compares the archive, from the oldest backup on, with the WAL files of which PostgreSQL was told that they are safe.
func (w *world) checkWAL(t *testing.T) {
	t.Helper()
	list, err := w.host.Catalog("main").List()
	if err != nil {
		t.Fatal(err)
	}
	oldest, err := list.Resolve("oldest")
	if err != nil {
		t.Fatal(err)
	}
	acknowledged := w.host.Acknowledged(t, "main")
	maps.DeleteFunc(acknowledged, func(name, _ string) bool { return name < oldest.BeginWAL.String() })
	if len(acknowledged) < 5 {
		t.Fatalf("only %d WAL files to compare", len(acknowledged))
	}
	w.host.CheckAcknowledged(t, "main", acknowledged)
}

// isListed tells whether both programs list a backup.
func (w *world) isListed(t *testing.T, id string) bool {
	t.Helper()
	return strings.Contains(w.ours(t, "list-backups", "--minimal", "main"), id) &&
		strings.Contains(w.theirs(t, "list-backups", "--minimal", "main"), id)
}
