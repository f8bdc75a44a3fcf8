package backuphost

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// archiveScript is what an administrator without barman-wal-archive would write: a tar stream of the segment and its checksum into
// put-wal. A copy of the segment is kept when, and only when, put-wal has acknowledged it.
//
// $1 is the path of the segment relative to PGDATA, $2 its name. The exit code never exceeds 125: PostgreSQL restarts its archiver then.
const archiveScript = `#!/bin/sh
set -eu
work=$(mktemp -d %[1]q/sending.XXXXXX)
trap 'rm -rf "$work"' EXIT
from=$(dirname "$1")
(cd "$from" && sha256sum "$2") > "$work/SHA256SUMS"
cp "$1" "$work/$2"
tar -cf - -C "$from" "$2" -C "$work" SHA256SUMS | %[2]s -c %[3]q put-wal %[4]s || exit 1
mv "$work/$2" %[5]q/
`

// copyScript delivers by copying into incoming/, in a way that is not atomic, as in Barman's manual for a local server.
const copyScript = `#!/bin/sh
set -eu
mkdir -p %[1]q
test ! -e %[1]q/"$2"
cp "$1" %[1]q/"$2"
cp "$1" %[2]q/"$2"
`

// ArchiveCommand is an archive_command that pipes WAL into `barman put-wal SERVER`.
func (h *Host) ArchiveCommand(t testing.TB, server string) string {
	t.Helper()
	h.MakeDir(t, h.acknowledged(server))
	script := fmt.Sprintf(archiveScript, h.Dir, h.Build.Program("barman"), h.Config, server, h.acknowledged(server))
	return h.install(t, "archive-"+server, script)
}

// CopyCommand is an archive_command that copies WAL into the server's incoming directory.
func (h *Host) CopyCommand(t testing.TB, server string) string {
	t.Helper()
	h.MakeDir(t, h.acknowledged(server))
	return h.install(t, "copy-"+server, fmt.Sprintf(copyScript, h.Layout(server).Incoming, h.acknowledged(server)))
}

func (h *Host) install(t testing.TB, name, script string) string {
	t.Helper()
	path := filepath.Join(h.Dir, name)
	h.WriteFile(t, path, script, 0o755)
	return path + " %p %f"
}

func (h *Host) acknowledged(server string) string {
	return filepath.Join(h.Dir, "acknowledged-"+server)
}

// Acknowledged are the WAL files of which PostgreSQL was told that they are safe: names and the paths of their copies.
func (h *Host) Acknowledged(t testing.TB, server string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(h.acknowledged(server))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		files[e.Name()] = filepath.Join(h.acknowledged(server), e.Name())
	}
	return files
}

// CheckAcknowledged compares acknowledged WAL files with what get-wal gives back. WAL before the first backup, which Barman may
// remove, is left out.
func (h *Host) CheckAcknowledged(t testing.TB, server string, files map[string]string) {
	t.Helper()
	backups, err := h.Catalog(server).List()
	if err != nil {
		t.Fatal(err)
	}
	oldest, err := backups.Resolve("oldest")
	for _, name := range slices.Sorted(maps.Keys(files)) {
		const segment = 24 // the name of a segment, or the beginning of a backup history file's
		if err == nil && len(name) >= segment && name[:segment] < oldest.BeginWAL.String() {
			continue
		}
		saved, err := os.ReadFile(files[name])
		if err != nil {
			t.Fatal(err)
		}
		r := h.Barman(t, "get-wal", server, name)
		switch {
		case r.Exit != 0:
			t.Errorf("acknowledged WAL file %s is lost: exit code %d: %s", name, r.Exit, strings.TrimSpace(r.Stderr))
		case !bytes.Equal([]byte(r.Stdout), saved):
			t.Errorf("acknowledged WAL file %s has changed: %d bytes, were %d", name, len(r.Stdout), len(saved))
		}
	}
}
