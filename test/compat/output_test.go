package compat

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// labels are those of 3.13 that have changed until 3.17.
var labels = strings.NewReplacer("WAL number           :", "Number of WALs       :", "No of files          :", "Number of files      :")

// checkOutput compares what both programs say about every backup: in text to the byte, in JSON to the value. Only what has changed in
// Python Barman itself between 3.13 and 3.17 is put right.
func (w *world) checkOutput(t *testing.T) {
	t.Helper()
	w.sameText(t, "list-backups", "main")
	w.sameText(t, "list-backups", "--minimal", "main")
	w.sameDocument(t, "list-backups", "main")
	backups := w.host.Backups(t, "main")
	if len(backups) < 2 {
		t.Fatalf("only %d backups to compare", len(backups))
	}
	for _, b := range backups {
		w.sameText(t, "show-backup", "main", b.ID)
		w.sameDocument(t, "show-backup", "main", b.ID)
		if b.Status == "DONE" { // for others Python's list-files ends with an exception
			w.sameText(t, "list-files", "--target", "full", "main", b.ID)
			w.sameText(t, "list-files", "main", b.ID)
		}
	}
}

func (w *world) sameText(t *testing.T, args ...string) {
	t.Helper()
	theirs := w.theirs(t, args...)
	if w.python.version == "3.13" {
		theirs = labels.Replace(theirs)
	}
	ours := w.ours(t, args...)
	if args[0] == "list-files" {
		// Python lists directories in the order in which the file system has them.
		ours, theirs = sorted(ours), sorted(theirs)
	}
	if diff := cmp.Diff(theirs, ours); diff != "" || theirs == "" {
		t.Errorf("%s (-Python +this program):\n%s", strings.Join(args, " "), diff)
	}
}

func sorted(text string) string {
	return strings.Join(slices.Sorted(strings.Lines(text)), "")
}

func (w *world) sameDocument(t *testing.T, args ...string) {
	t.Helper()
	args = append([]string{"-f", "json"}, args...)
	ours, theirs := document(t, w.ours(t, args...)), document(t, w.theirs(t, args...))
	if w.python.version == "3.13" {
		// It had no encryption, and did not mention the compression of a backup that has none.
		if server, ok := theirs["main"].(map[string]any); ok {
			if base, ok := server["base_backup_information"].(map[string]any); ok {
				base["encryption"], base["compression"] = nil, nil
			}
		}
	}
	if diff := cmp.Diff(theirs, ours); diff != "" || len(theirs) == 0 {
		t.Errorf("%s (-Python +this program):\n%s", strings.Join(args, " "), diff)
	}
}

// document decodes the JSON that a command of either program printed.
func document(t *testing.T, out string) map[string]any {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return doc
}
