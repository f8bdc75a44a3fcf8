package manifest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// wantGlance wants a glance to find what can be seen without reading files.
func wantGlance(t *testing.T, tree Tree, all map[string]Kind) {
	t.Helper()
	want := maps.Clone(all)
	maps.DeleteFunc(want, func(_ string, kind Kind) bool { return kind == WrongSum || kind == Extra })
	report, err := Glance(t.Context(), tree)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]Kind{}
	for _, p := range report.Problems {
		found[p.Path] = p.Kind
	}
	if !maps.Equal(found, want) || report.Count != int64(len(want)) || report.Files != int64(len(names))+1 {
		t.Errorf("a glance at %d files found %v, want %v", report.Files, found, want)
	}
}

// TestEveryDamageIsFound damages a good backup in one way after the other.
func TestEveryDamageIsFound(t *testing.T) {
	for _, test := range []struct {
		name   string
		damage func(t *testing.T, tree Tree)
		want   map[string]Kind
	}{
		{"nothing", func(*testing.T, Tree) {}, map[string]Kind{}},
		{"other content", func(t *testing.T, tree Tree) {
			write(t, filepath.Join(tree.Data, "base/1/112"), "some relatioN")
		}, map[string]Kind{"base/1/112": WrongSum}},
		{"shorter", func(t *testing.T, tree Tree) {
			write(t, filepath.Join(tree.Data, "base/1/112"), "some")
		}, map[string]Kind{"base/1/112": WrongSize}},
		{"missing", func(t *testing.T, tree Tree) {
			remove(t, filepath.Join(tree.Data, "odd/not \xff utf-8"))
		}, map[string]Kind{"odd/not \xff utf-8": Missing}},
		{"a directory instead", func(t *testing.T, tree Tree) {
			remove(t, filepath.Join(tree.Data, "base/1/112"))
			write(t, filepath.Join(tree.Data, "base/1/112/x"), "")
		}, map[string]Kind{"base/1/112": NotAFile, "base/1/112/x": Extra}},
		{"more", func(t *testing.T, tree Tree) {
			write(t, filepath.Join(tree.Data, "base/1/113"), "")
			// What PostgreSQL leaves out of manifests may come later.
			write(t, filepath.Join(tree.Data, "pg_wal/000000010000000000000001"), "")
			write(t, filepath.Join(tree.Data, "standby.signal"), "")
		}, map[string]Kind{"base/1/113": Extra}},
		{"in the tablespace", func(t *testing.T, tree Tree) {
			write(t, filepath.Join(tree.Tablespaces["16385"], "PG_15_202209061/5/16386"), "rows elsewherE")
			write(t, filepath.Join(tree.Tablespaces["16385"], "PG_15_202209061/5/16387"), "")
		}, map[string]Kind{"pg_tblspc/16385/PG_15_202209061/5/16386": WrongSum, "pg_tblspc/16385/PG_15_202209061/5/16387": Extra}},
		{"the tablespace is gone", func(t *testing.T, tree Tree) {
			if err := os.RemoveAll(tree.Tablespaces["16385"]); err != nil {
				t.Fatal(err)
			}
		}, map[string]Kind{"pg_tblspc/16385/PG_15_202209061/5/16386": Missing}},
	} {
		t.Run(test.name, func(t *testing.T) {
			tree := newTree(t)
			generate(t, tree)
			test.damage(t, tree)
			wantProblems(t, tree, test.want)
			wantGlance(t, tree, test.want)
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// TestTablespacesOutsideTheManifestAreNamed has a manifest as Python Barman writes it.
func TestTablespacesOutsideTheManifestAreNamed(t *testing.T) {
	tree := newTree(t)
	generate(t, tree)
	remove(t, tree.TablespacesPath())
	report, err := Verify(t.Context(), tree, Options{Workers: 2})
	if err != nil || report.Count != 0 || fmt.Sprint(report.Unlisted) != "[16385]" {
		t.Errorf("report is %+v (%v)", report, err)
	}
}

// TestAManifestThatCannotBeBelieved changes single bytes of a manifest, and makes sound ones that say wrong things.
func TestAManifestThatCannotBeBelieved(t *testing.T) {
	tree := newTree(t)
	if _, err := Verify(t.Context(), tree, Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without manifest: %v", err)
	}
	generate(t, tree)
	good, err := os.ReadFile(tree.ManifestPath())
	if err != nil {
		t.Fatal(err)
	}
	bad := map[string][]byte{"empty": nil, "cut": good[:len(good)-100], "without the last newline": good[:len(good)-1]}
	for i := 0; i < len(good)-1; i += 7 {
		changed := bytes.Clone(good)
		changed[i] ^= 1
		bad[fmt.Sprintf("byte %d", i)] = changed
	}
	for name, entry := range map[string]string{
		"outside":            `{"Path": "../escape", "Size": 1}`,
		"inside and outside": `{"Path": "pg_tblspc/16385/../../../escape", "Size": 1}`,
		"absolute":           `{"Path": "/etc/passwd", "Size": 1}`,
		"no path":            `{"Size": 1}`,
		"two paths":          `{"Path": "a", "Encoded-Path": "61", "Size": 1}`,
		"no size":            `{"Path": "a"}`,
		"negative":           `{"Path": "a", "Size": -1}`,
		"unknown algorithm":  `{"Path": "a", "Size": 1, "Checksum-Algorithm": "MD5", "Checksum": "00"}`,
		"short checksum":     `{"Path": "a", "Size": 1, "Checksum-Algorithm": "SHA256", "Checksum": "00"}`,
	} {
		bad[name] = sealed(`{"PostgreSQL-Backup-Manifest-Version": 1,` + "\n" + `"Files": [` + "\n" + entry + "\n],\n")
	}
	bad["version 3"] = sealed(`{"PostgreSQL-Backup-Manifest-Version": 3,` + "\n" + `"Files": [],` + "\n")
	bad["no version"] = sealed(`{"Files": [],` + "\n")
	for name, content := range bad {
		if err := os.WriteFile(tree.ManifestPath(), content, 0o600); err != nil {
			t.Fatal(err)
		}
		if report, err := Verify(t.Context(), tree, Options{Workers: 2}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: report %+v, error %v", name, report, err)
		}
	}
}

// sealed ends a manifest with its checksum.
func sealed(text string) []byte {
	return fmt.Appendf([]byte(text), "\"Manifest-Checksum\": \"%x\"}\n", sha256.Sum256([]byte(text)))
}

// TestWhatPostgreSQL17Writes has members that older versions do not write.
func TestWhatPostgreSQL17Writes(t *testing.T) {
	tree := Tree{Backup: t.TempDir()}
	tree.Data = filepath.Join(tree.Backup, "data")
	write(t, filepath.Join(tree.Data, "PG_VERSION"), "17\n")
	entry := `{ "Path": "PG_VERSION", "Size": 3, "Last-Modified": "2026-01-07 09:55:00 GMT" }`
	text := `{ "PostgreSQL-Backup-Manifest-Version": 2,` + "\n" + `"System-Identifier": 7000000000000000001,` + "\n" + `"Files": [` + "\n" +
		entry + "\n" + `],` + "\n" + `"WAL-Ranges": [` + "\n" + `{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000100" }` + "\n],\n"
	if err := os.WriteFile(tree.ManifestPath(), sealed(text), 0o600); err != nil {
		t.Fatal(err)
	}
	report, err := Verify(t.Context(), tree, Options{Workers: 2})
	if err != nil || report.Count != 0 || report.Files != 1 || report.SystemID != "7000000000000000001" {
		t.Errorf("report is %+v (%v)", report, err)
	}
	// A file that is listed twice could hide another one.
	text = strings.Replace(text, entry, entry+",\n"+entry, 1)
	if err := os.WriteFile(tree.ManifestPath(), sealed(text), 0o600); err != nil {
		t.Fatal(err)
	}
	wantProblems(t, tree, map[string]Kind{"": Twice})
}

func TestVerifyStopsWhenItIsCancelled(t *testing.T) {
	tree := newTree(t)
	generate(t, tree)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if report, err := Verify(ctx, tree, Options{Workers: 2}); !errors.Is(err, context.Canceled) {
		t.Errorf("report %+v, error %v", report, err)
	}
}

func TestProblemsAreNamedUpToALimit(t *testing.T) {
	tree := newTree(t)
	generate(t, tree)
	for i := range MaxProblems + 7 {
		write(t, filepath.Join(tree.Data, fmt.Sprintf("extra/%d", i)), "")
	}
	report, err := Verify(t.Context(), tree, Options{Workers: 2})
	if err != nil || len(report.Problems) != MaxProblems || report.Count != MaxProblems+7 {
		t.Errorf("%d problems of %d (%v)", len(report.Problems), report.Count, err)
	}
}

// FuzzParse looks for texts that end the program, or lead out of the backup.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"PostgreSQL-Backup-Manifest-Version": 1, "Files": [{"Path": "a", "Size": 1, "Checksum-Algorithm": "CRC32C", "Checksum": "00000000"}]}`))
	f.Add([]byte(`{"PostgreSQL-Backup-Manifest-Version": 2, "System-Identifier": 1, "Files": [{"Encoded-Path": "ff2f2e2e", "Size": 1}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		tree := Tree{Backup: "/b", Data: "/b/data", Tablespaces: map[string]string{"1": "/b/1"}}
		_, err := parse(bytes.NewReader(text), func(file File) error {
			if path := tree.locate(file.Path); !strings.HasPrefix(path, "/b/data") && !strings.HasPrefix(path, "/b/1/") {
				t.Errorf("path %q leads to %s", file.Path, path)
			}
			return nil
		})
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("error %v", err)
		}
	})
}
