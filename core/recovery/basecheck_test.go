package recovery

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/manifest"
)

// TestBackupIsHeldAgainstItsManifest damages a backup, and then its manifest.
func TestBackupIsHeldAgainstItsManifest(t *testing.T) {
	layout := catalog.DefaultLayout(t.TempDir(), serverName)
	b := testBackup(1, 150004)
	b.Tablespaces = []catalog.Tablespace{{Name: "hot", OID: 16385, Location: "/hot"}}
	write := func(path, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	version, rows := filepath.Join(layout.DataPath(b.ID), "PG_VERSION"), filepath.Join(layout.TablespacePath(b.ID, 16385), "PG_15/1")
	list := filepath.Join(layout.DataPath(b.ID), manifest.Name)
	check := func(what, refused, warned string) {
		t.Helper()
		p := &Plan{Server: serverName, Backup: b, sound: true}
		if err := p.checkBase(t.Context(), layout); err != nil {
			t.Fatal(err)
		}
		checkTexts(t, what, p.Problems, refused)
		checkTexts(t, what, p.Warnings, warned)
	}
	write(version, "15\n")
	write(rows, "rows")
	check("no manifest", "", "")
	if err := manifest.Generate(t.Context(), manifest.TreeOf(layout, b), manifest.Options{Workers: 1}); err != nil {
		t.Fatal(err)
	}
	check("sound", "", "")
	write(rows, "row")
	check("cut", `is damaged: "pg_tblspc/16385/PG_15/1" has size 3 on disk but size 4 in the manifest`, "")
	if err := os.Remove(version); err != nil {
		t.Fatal(err)
	}
	check("lost", `is damaged: "PG_VERSION" is present in the manifest but not on disk (and 1 more)`, "")
	write(list, "{}\n")
	check("manifest", "", "cannot be compared with it")
}
