package compat

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// TestEveryMethodOnEveryPostgreSQL takes one backup by each method, and one that is compressed, and restores it, on every version but the operating system's own,
// which other tests have.
func TestEveryMethodOnEveryPostgreSQL(t *testing.T) {
	own, err := lab.FindPostgres(0)
	if err != nil {
		t.Skip(err)
	}
	others := slices.DeleteFunc(lab.Installations(), func(i lab.Installation) bool { return i.Major == own.Major })
	if len(others) == 0 {
		t.Skip("there is no other PostgreSQL: run test/lab/versions.sh as root")
	}
	for _, installation := range others {
		t.Run(fmt.Sprint(installation.Major), func(t *testing.T) {
			t.Parallel()
			host := backuphost.New(t)
			host.Global = fmt.Sprintf("  path_prefix = [%q]\n", installation.Bin)
			w := &world{host: host, ours: host.Must, sshd: lab.StartSSHD(t)}
			w.primary = lab.StartCluster(t, lab.ClusterOptions{
				Version: installation.Major, ArchiveCommand: host.ArchiveCommand(t, "main"), WALSegmentSizeMB: 4,
			})
			w.createBook(t)
			for _, method := range []string{"local-rsync", "rsync", "postgres", "postgres compressed"} {
				method, compressed, _ := strings.Cut(method, " ")
				options := map[string]any{
					"conninfo": w.primary.Conninfo("", ""), "streaming_conninfo": w.primary.Conninfo("", ""), "backup_method": method,
					"archiver": true, "compression": "zstd", "immediate_checkpoint": true, "backup_options": "concurrent_backup",
				}
				if method == "rsync" {
					options["ssh_command"] = strings.Join(w.sshd.Command(host.User, w.primary.Owner), " ")
				}
				compression := ""
				if compressed != "" {
					// What the first version with compression can do, and what the newer ones can.
					compression = "gzip"
					if installation.Major >= 15 {
						compression, options["backup_compression_location"], options["backup_compression_workers"] = "zstd", "server", 2
					}
					options["backup_compression"] = compression
				}
				host.Configure(t, backuphost.Server("main", options))
				w.writeAndArchive(t, w.ours)
				b := w.backUp(t, w.ours)
				if b.Version/10000 != installation.Major || b.Compression != compression {
					t.Errorf("backup %s is of version %d with compression %q", b.ID, b.Version, b.Compression)
				}
				w.writeAndArchive(t, w.ours)
				w.restore(t, w.ours, b.ID)
			}
			w.restoreToItsEnd(t, w.host.Latest(t, "main").ID)
			w.checkWAL(t)
		})
	}
}

// restoreToItsEnd restores a backup to the moment at which it was complete: with recovery settings, which versions have in
// different places, and without the rows that were written later.
func (w *world) restoreToItsEnd(t *testing.T, id string) {
	t.Helper()
	dir := lab.ScratchDir(t)
	destination := filepath.Join(dir, "data")
	w.ours(t, "recover", "--target-immediate", "--target-action", "promote", "--tablespace", "space:"+filepath.Join(dir, "space"),
		"main", id, destination)
	restored := lab.OpenCluster(t, destination, lab.ClusterOptions{Version: w.primary.Major})
	if err := restored.WaitSQL(t.Context(), "SELECT pg_is_in_recovery()", "f"); err != nil {
		t.Fatal(err)
	}
	// The last rows were written after the backup.
	want := fmt.Sprint(w.written - 1000)
	if got := restored.MustSQL(t, "SELECT count(*) FROM book"); got != want {
		t.Errorf("restored from %s: %s rows, want %s", id, got, want)
	}
	if err := restored.Destroy(); err != nil {
		t.Error(err)
	}
}
