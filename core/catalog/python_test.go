package catalog

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/wal"
)

// keysSince35 are keys that Barman 3.4, which Debian 12 has, does not know.
var keysSince35 = []string{
	"children_backup_ids", "cluster_size", "data_checksums", "encryption", "parent_backup_id", "summarize_wal",
}

// TestPythonBarmanReadsAndRewritesOurFiles shares one catalog with the Barman that is installed, in the layout of
// version 3.4: it must show what was written here, and what it writes itself must be read here and come back byte for
// byte.
func TestPythonBarmanReadsAndRewritesOurFiles(t *testing.T) {
	program, err := exec.LookPath("barman")
	if err != nil {
		t.Skip("Python Barman is not installed")
	}
	c := newCatalog(t)
	home := filepath.Dir(c.Layout.Backup)
	me := must[*user.User](t)(user.Current())
	config := filepath.Join(home, "barman.conf")
	put(t, config, fmt.Sprintf("[barman]\nbarman_home=%s\nbarman_user=%s\nlog_file=%s/log\nconfiguration_files_directory=%s/none\n"+
		"[main]\ndescription=main\nconninfo=host=/nonexistent\nstreaming_conninfo=host=/nonexistent\nbackup_method=postgres\n"+
		"streaming_archiver=on\nslot_name=barman\n", home, me.Username, home, home))
	barman := func(args ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), program, append([]string{"-c", config}, args...)...)
		command.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C.UTF-8")
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("barman %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	if version := barman("--version"); !strings.HasPrefix(version, "3.4.") {
		t.Skipf("Barman %q has another layout", strings.Fields(version))
	}
	info := parsedFullInfo()
	info.Status = StatusWaitingForWALs
	info.BackupName = ""
	info.BackupLabel = "quote ' and \" and \\ and città\n"
	path := c.Layout.LegacyInfoPath(info.ID)
	var lines []string
	for line := range strings.Lines(encode(t, info)) {
		key, _, _ := strings.Cut(line, "=")
		if !slices.Contains(keysSince35, key) {
			lines = append(lines, line)
		}
	}
	put(t, path, strings.Join(lines, ""))
	put(t, filepath.Join(c.Layout.DataPath(info.ID), "PG_VERSION"), "16\n")
	for seg := range uint32(3) {
		put(t, c.Layout.SegmentPath(wal.Segment{Timeline: 1, Seg: seg + 2}), "\x1f\x8b\x08")
	}
	if out := barman("list-backup", "main"); !strings.Contains(out, "main 20260110T100000 - ") || !strings.Contains(out, "WAITING_FOR_WALS") {
		t.Error(out)
	}
	out := barman("show-backup", "main", info.ID)
	for _, want := range []string{
		"160002", "/srv/t b (oid: 16388)", "000000010000000000000002", "2026-01-10 10:00:00.123456+01:00", "0/3000138",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("show-backup has no %q:\n%s", want, out)
		}
	}
	barman("check-backup", "main", info.ID)
	rewritten := content(t, path)
	got := must[*BackupInfo](t)(c.Load(info.ID))
	if diff := cmp.Diff(rewritten, encode(t, got)); diff != "" {
		t.Errorf("what Barman wrote does not come back:\n%s", diff)
	}
	want := parsedFullInfo()
	want.BackupLabel, want.BackupName = info.BackupLabel, ""
	want.ChildrenIDs, want.ClusterSize, want.DataChecksums = nil, OptInt{}, ""
	if diff := cmp.Diff(want, got, ignoreSource); diff != "" {
		t.Error(diff)
	}
	// A rebuild here finds what a rebuild there does; its index is called wals/xlog.db.
	barman("rebuild-xlogdb", "main")
	theirs, bad := readAll(t, content(t, c.Layout.LegacyWALIndexPath()))
	if bad != nil {
		t.Error(bad)
	}
	if _, err := newIndex(c).Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	ours, _ := readAll(t, content(t, c.Layout.WALIndexPath()))
	if diff := cmp.Diff(theirs, ours); diff != "" || len(ours) != 3 {
		t.Error(len(ours), diff)
	}
}
