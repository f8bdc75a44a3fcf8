package compat

import (
	"os"
	"strings"
	"testing"

	"github.com/barman-go/barman/test/e2e/backuphost"
)

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
	withPython(t, "3.20", func(t *testing.T, version string) {
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
