package manifest

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// names are what a manifest must carry: PostgreSQL's, and what somebody may have put beside them.
var names = map[string]string{
	"PG_VERSION": "15\n", "base/1/112": "some relation", "base/1/empty": "", "global/pg_control": "control",
	"postgresql.auto.conf": "# nothing", "backup_label": "START WAL LOCATION",
	"odd/über 名 \U0001F418": "a", "odd/quote\"back\\slash\ttab\nline": "b", "odd/not \xff utf-8": "c", "odd/del\x7f\x01": "d",
}

// newTree makes a backup with files in its data directory and in a tablespace.
func newTree(t *testing.T) Tree {
	t.Helper()
	backup := t.TempDir()
	tree := Tree{Backup: backup, Data: filepath.Join(backup, "data"), Tablespaces: map[string]string{"16385": filepath.Join(backup, "16385")}}
	for name, content := range names {
		write(t, filepath.Join(tree.Data, name), content)
	}
	write(t, filepath.Join(backup, "16385/PG_15_202209061/5/16386"), "rows elsewhere")
	return tree
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	when := time.Date(2026, 1, 7, 9, 55, 0, 999_999_999, time.UTC)
	if err := os.Chtimes(path, when, when); err != nil {
		t.Fatal(err)
	}
}

func generate(t *testing.T, tree Tree) {
	t.Helper()
	if err := Generate(t.Context(), tree, Options{Workers: 4}); err != nil {
		t.Fatal(err)
	}
}

// problems are the problems of a verification by path.
func problems(t *testing.T, tree Tree) map[string]Kind {
	t.Helper()
	report, err := Verify(t.Context(), tree, Options{Workers: 4})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]Kind{}
	for _, p := range report.Problems {
		found[p.Path] = p.Kind
	}
	if len(found) != int(report.Count) {
		t.Errorf("%d problems, but %d are counted: %v", len(found), report.Count, report.Problems)
	}
	return found
}

func wantProblems(t *testing.T, tree Tree, want map[string]Kind) {
	t.Helper()
	if got := problems(t, tree); !maps.Equal(got, want) {
		t.Errorf("problems are %v, want %v", got, want)
	}
}
