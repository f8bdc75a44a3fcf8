package compat

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// compressions are the values of `compression`.
var compressions = []string{"gzip", "bzip2", "pygzip", "pybzip2", "pigz", "xz", "zstd", "lz4", "snappy", "custom", "none"}

// TestEveryCompressionOnEveryPostgreSQL archives a segment by each compressor after one backup, and restores the backup with all of them:
// whatever the setting was when a segment came, it is listed, handed out byte for byte, and recovered from.
func TestEveryCompressionOnEveryPostgreSQL(t *testing.T) {
	installations := lab.Installations()
	if len(installations) == 0 {
		t.Skip("there is no PostgreSQL")
	}
	for _, installation := range installations {
		t.Run(fmt.Sprint(installation.Major), func(t *testing.T) {
			t.Parallel()
			host := backuphost.New(t)
			host.Global = fmt.Sprintf("  path_prefix = [%q]\n", installation.Bin)
			w := &world{host: host, ours: host.Must}
			w.primary = lab.StartCluster(t, lab.ClusterOptions{
				Version: installation.Major, ArchiveCommand: host.ArchiveCommand(t, "main"), WALSegmentSizeMB: 1,
			})
			w.createBook(t)
			w.setCompression(t, "gzip", "medium")
			w.writeAndArchive(t, w.ours)
			b := w.backUp(t, w.ours)
			for i, compression := range compressions {
				w.setCompression(t, compression, []string{"low", "medium", "high", "3"}[i%4])
				w.writeAndArchive(t, w.ours)
				w.checkNewest(t, b.ID, compression)
			}
			w.checkWAL(t)
			w.restore(t, w.ours, b.ID)
		})
	}
}

// setCompression configures our server "main".
func (w *world) setCompression(t *testing.T, compression, level string) {
	t.Helper()
	w.host.Configure(t, backuphost.Server("main", map[string]any{
		"conninfo": w.primary.Conninfo("", ""), "backup_method": "local-rsync", "archiver": true, "immediate_checkpoint": true,
		"backup_options": "concurrent_backup", "compression": compression, "compression_level": level,
		"custom_compression_filter": "xz -0 -c | cat", "custom_decompression_filter": "xz -dc",
		"custom_compression_magic": "0xfd377a585a00",
	}))
}

// checkNewest compares the newest line of the WAL index with the configured compression, and looks for its file in list-files.
func (w *world) checkNewest(t *testing.T, id, compression string) {
	t.Helper()
	want := compression
	if compression == "none" {
		want = "None"
	}
	fields := strings.Fields(w.newestLine(t))
	if len(fields) < 4 || fields[3] != want {
		t.Errorf("the index says %q, want %s", fields, want)
		return
	}
	if listed := w.ours(t, "list-files", "--target", "wal", "main", id); !strings.Contains(listed, "/"+fields[0]+"\n") {
		t.Errorf("list-files does not have %s:\n%s", fields[0], listed)
	}
}

// newestLine is the last line of the WAL index.
func (w *world) newestLine(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(w.host.Layout("main").WALIndexPath())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return lines[len(lines)-1]
}

// shared are the compressions that both programs know, in all versions of Python Barman tested here. Snappy is left out: the Python module in
// Debian does not work with the Python there.
var shared = []string{"gzip", "bzip2", "pygzip", "pybzip2", "pigz", "xz", "zstd", "lz4"}

// TestPythonAndWeReadEachOthersCompression has one segment archived by each program with every compression that both know, and all of them
// handed out by the other one.
func TestPythonAndWeReadEachOthersCompression(t *testing.T) {
	withEachPython(t, func(t *testing.T, version string) {
		w := newWorld(t, version, (*backuphost.Host).ArchiveCommand)
		// reader is the program that did not archive a segment.
		reader := map[string]program{}
		for _, compression := range shared {
			w.use(t, "local-rsync", compression)
			for _, by := range []struct{ archives, reads program }{{w.ours, w.theirs}, {w.theirs, w.ours}} {
				w.write(t)
				w.closeSegment(t)
				by.archives(t, "archive-wal", "main")
				fields := strings.Fields(w.newestLine(t))
				if len(fields) < 4 || fields[3] != compression {
					t.Errorf("the index says %q, want %s", fields, compression)
				}
				reader[fields[0]] = by.reads
			}
		}
		w.use(t, "local-rsync", "gzip")
		acknowledged := w.host.Acknowledged(t, "main")
		for name, read := range reader {
			want, err := os.ReadFile(acknowledged[name])
			if err != nil {
				t.Errorf("%s was not acknowledged: %v", name, err)
				continue
			}
			if got := read(t, "get-wal", "main", name); got != string(want) {
				t.Errorf("get-wal %s gives %d bytes, which are not the %d that PostgreSQL wrote", name, len(got), len(want))
			}
		}
	})
}
