package compat

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/manifest"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// TestManifestsAreTheSame has both programs write the manifest of one backup, compares them line by line, and has each verify the
// other's. Neither needs the server for it.
func TestManifestsAreTheSame(t *testing.T) {
	installed, err := lab.FindPostgres(0)
	if err != nil {
		t.Skip(err)
	}
	withPython(t, "3.20", func(t *testing.T, version string) {
		host := backuphost.New(t)
		python := newPython(t, host, version)
		options := map[string]string{
			"conninfo": "host=/nowhere", "ssh_command": "false", "backup_method": "rsync", "archiver": "on", "backup_options": "concurrent_backup",
		}
		python.configure(t, installed.Bin, options)
		ours := map[string]any{}
		for name, value := range options {
			ours[name] = value
		}
		host.Configure(t, backuphost.Server("main", ours))
		host.MakeDir(t, host.Locks)
		id := makeBackup(t, host)
		path := filepath.Join(host.Layout("main").DataPath(id), manifest.Name)

		theirSaying := python.must(t, "generate-manifest", "main", id)
		theirs := manifestLines(t, path)
		ourVerdict := host.Must(t, "verify-backup", "main", id)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		ourSaying := host.Must(t, "generate-manifest", "main", id)
		if diff := cmp.Diff(theirs, manifestLines(t, path)); diff != "" {
			t.Errorf("manifest (-theirs +ours)\n%s", diff)
		}
		theirVerdict := python.must(t, "verify-backup", "main", id)
		if diff := cmp.Diff(theirSaying, ourSaying); diff != "" {
			t.Errorf("generate-manifest (-theirs +ours)\n%s", diff)
		}
		// Barman says which program it calls; here none is called.
		if diff := cmp.Diff(strings.Replace(theirVerdict, "Calling pg_verifybackup\n", "", 1), ourVerdict); diff != "" {
			t.Errorf("verify-backup (-theirs +ours)\n%s", diff)
		}
	})
}

// makeBackup puts a backup with a tablespace into the catalog.
func makeBackup(t *testing.T, host *backuphost.Host) (id string) {
	t.Helper()
	id = "20260110T100000"
	b := catalog.NewBackupInfo(id, "main", catalog.ModeRsyncConcurrent)
	b.Status = catalog.StatusDone
	b.BeginTime, b.EndTime = time.Now(), time.Now()
	b.Tablespaces = []catalog.Tablespace{{Name: "space", OID: 16385, Location: "/space"}}
	layout := host.Layout("main")
	host.MakeDir(t, layout.BackupPath(id)) // before what lies in it, or it would be root's
	for dir, names := range map[string][]string{
		layout.DataPath(id):              {"PG_VERSION", "postgresql.auto.conf", "backup_label", "odd \"name\"\t\\ü\U0001F418"},
		layout.DataPath(id) + "/global":  {"pg_control"},
		layout.DataPath(id) + "/pg_wal":  {"000000010000000000000001"},
		layout.DataPath(id) + "/base/1":  {"112", "empty"},
		layout.TablespacePath(id, 16385): {"rows"},
	} {
		host.MakeDir(t, dir)
		for _, name := range names {
			host.WriteFile(t, filepath.Join(dir, name), strings.TrimPrefix("the content of "+name, "the content of empty"), 0o600)
		}
	}
	if err := host.Catalog("main").Save(b); err != nil {
		t.Fatal(err)
	}
	return id
}

// manifestLines are the lines of a manifest in order, without what depends on the order of the directories: the checksum over all.
func manifestLines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		if before, _, found := strings.Cut(line, `"Manifest-Checksum": "`); found {
			lines[i] = before + `"Manifest-Checksum": …`
		} else if strings.HasPrefix(line, `{"Checksum`) {
			lines[i] = strings.TrimSuffix(line, ",")
		}
	}
	slices.Sort(lines)
	return lines
}
