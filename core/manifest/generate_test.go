package manifest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/test/lab"
)

// TestBytesOfAManifest has the format written out; test/compat compares it with what Python Barman writes.
func TestBytesOfAManifest(t *testing.T) {
	tree := Tree{Backup: t.TempDir()}
	tree.Data = filepath.Join(tree.Backup, "data")
	write(t, filepath.Join(tree.Data, "ä"), "abc")
	generate(t, tree)
	got, err := os.ReadFile(tree.ManifestPath())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"PostgreSQL-Backup-Manifest-Version": 1,
"Files": [
{"Checksum": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "Checksum-Algorithm": "SHA256", ` +
		`"Last-Modified": "2026-01-07 09:55:00", "Path": "\u00e4", "Size": 3}],
"Manifest-Checksum": "`
	if rest, ok := strings.CutPrefix(string(got), want); !ok || len(rest) != 64+len("\"}\n") {
		t.Errorf("the manifest is\n%s\nwant\n%s…", got, want)
	}
	if _, err := os.Stat(tree.TablespacesPath()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a backup without tablespaces has a manifest of them: %v", err)
	}
}

// TestPgVerifybackupAcceptsOurManifest asks PostgreSQL's own program, which must also find the damage that ours finds.
func TestPgVerifybackupAcceptsOurManifest(t *testing.T) {
	installed, err := lab.FindPostgres(0)
	if err != nil {
		t.Skip(err)
	}
	tree := newTree(t)
	generate(t, tree)
	wantProblems(t, tree, map[string]Kind{})
	check := func() (string, error) {
		out, err := exec.Command(filepath.Join(installed.Bin, "pg_verifybackup"), "-n", tree.Data).CombinedOutput()
		return string(out), err
	}
	if out, err := check(); err != nil || !strings.Contains(out, "backup successfully verified") {
		t.Errorf("pg_verifybackup: %v\n%s", err, out)
	}
	write(t, filepath.Join(tree.Data, "base/1/112"), "same relation")
	out, err := check()
	if err == nil {
		t.Errorf("pg_verifybackup accepts a changed file")
	}
	report, verr := Verify(t.Context(), tree, Options{Workers: 1})
	if verr != nil || report.Count != 1 || !strings.Contains(out, report.Problems[0].Text) {
		t.Errorf("we found %v (%v); pg_verifybackup said %s", report, verr, out)
	}
}

func TestAManifestIsNeverReplaced(t *testing.T) {
	tree := newTree(t)
	write(t, tree.ManifestPath(), "of PostgreSQL")
	if err := Generate(t.Context(), tree, Options{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Generate: %v", err)
	}
	if got, _ := os.ReadFile(tree.ManifestPath()); string(got) != "of PostgreSQL" {
		t.Errorf("the manifest is %q", got)
	}
	// Also when it appears while the files are read.
	other := newTree(t)
	w, err := create(other.TablespacesPath())
	if err != nil {
		t.Fatal(err)
	}
	write(t, other.ManifestPath(), "of PostgreSQL")
	if err := w.finish(other.ManifestPath(), false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("finish: %v", err)
	}
	wantEntries(t, other.Backup, "16385 data")
}

// TestNothingIsLeftOfAManifestThatFailed cancels, has a socket in the way, and a run that was killed before.
func TestNothingIsLeftOfAManifestThatFailed(t *testing.T) {
	tree := newTree(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Generate(ctx, tree, Options{Workers: 2}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	wantEntries(t, tree.Backup, "16385 data")

	// The number is above what Linux gives to processes.
	dead := filepath.Join(tree.Backup, ".backup_manifest.tablespaces.4194305-0badcafe"+fsx.TempSuffix)
	write(t, dead, "of a run that was killed")
	if err := os.Symlink("nowhere", filepath.Join(tree.Data, "link")); err != nil {
		t.Fatal(err)
	}
	if err := Generate(t.Context(), tree, Options{Workers: 2}); err == nil {
		t.Error("a link that leads nowhere is listed")
	}
	wantEntries(t, tree.Backup, "16385 backup_manifest.tablespaces data")
	wantProblemOfLink := map[string]Kind{"link": NotAFile}
	if err := os.Remove(filepath.Join(tree.Data, "link")); err != nil {
		t.Fatal(err)
	}
	generate(t, tree)
	if err := os.Symlink("nowhere", filepath.Join(tree.Data, "link")); err != nil {
		t.Fatal(err)
	}
	wantProblems(t, tree, wantProblemOfLink)
}

func TestTarArchivesAreRefused(t *testing.T) {
	tree := newTree(t)
	write(t, filepath.Join(tree.Data, "base.tar.gz"), "an archive")
	if err := Generate(t.Context(), tree, Options{}); !errors.Is(err, ErrArchives) {
		t.Errorf("Generate: %v", err)
	}
	if _, err := Verify(t.Context(), tree, Options{}); !errors.Is(err, ErrArchives) {
		t.Errorf("Verify: %v", err)
	}
}

func wantEntries(t *testing.T, dir, want string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		found = append(found, e.Name())
	}
	if got := strings.Join(found, " "); got != want {
		t.Errorf("%s has %s, want %s", dir, got, want)
	}
}
