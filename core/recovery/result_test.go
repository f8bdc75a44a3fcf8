package recovery

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/report"
)

// TestReportHasBarmansLayout compares with the text of Barman 3.17; here the line numbers count from 1, and there is a note.
func TestReportHasBarmansLayout(t *testing.T) {
	r := &Result{
		Changes:      []Setting{{"postgresql.conf", 213, "archive_command", "false"}, {"postgresql.auto.conf", 5, "recovery_target", ""}},
		Warnings:     []Setting{{"postgresql.conf", 47, "data_directory", "'/x'\t# 100% comment"}},
		MissingFiles: []string{"pg_ident.conf"},
		GetWALFile:   "postgresql.auto.conf",
		Started:      time.Date(2026, 1, 7, 10, 0, 0, 0, time.UTC),
		Elapsed:      12*time.Second + 300*time.Millisecond,
	}
	const want = `
IMPORTANT
These settings have been modified to prevent data losses

postgresql.conf line 213: archive_command = false
postgresql.auto.conf line 5: recovery_target = None

WARNING
You are required to review the following options as potentially dangerous

postgresql.conf line 47: data_directory = '/x'	# 100% comment

WARNING
The following configuration files have not been saved during backup, hence they have not been restored.
You need to manually restore them in order to start the restored PostgreSQL instance:

    pg_ident.conf

WARNING: 'get-wal' is in the specified 'recovery_options'.
Before you start up the PostgreSQL server, please review the postgresql.auto.conf file
inside the target directory. Make sure that 'restore_command' can be executed by the PostgreSQL user.

NOTE
This server archives no WAL until you set archive_command again: do that when it has taken the place
of the old one, and then take a new backup.

Restore operation completed (start time: 2026-01-07 10:00:00+00:00, elapsed time: 12 seconds)
Your PostgreSQL server has been successfully prepared for recovery!
`
	var console bytes.Buffer
	report.New(report.Options{Stdout: &console}).Result(r)
	if diff := cmp.Diff(want, console.String()); diff != "" {
		t.Errorf("console (-want +got):\n%s", diff)
	}
	var document bytes.Buffer
	if err := report.EncodeJSON(&document, r.JSON(), 0); err != nil {
		t.Fatal(err)
	}
	const wantJSON = `{"changes": [["postgresql.conf", 213, "archive_command", "false"], ["postgresql.auto.conf", 5, "recovery_target", null]], ` +
		`"changes_count": 2, "missing_files": ["pg_ident.conf"], "recovery_elapsed_time": "12 seconds", "recovery_elapsed_time_seconds": 12.3, ` +
		`"recovery_start_time": "2026-01-07 10:00:00+00:00", "recovery_start_time_timestamp": "1767780000", ` +
		`"warnings": [["postgresql.conf", 47, "data_directory", "'/x'\t# 100% comment"]], "warnings_count": 1}`
	if diff := cmp.Diff(wantJSON, document.String()); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
}

// TestIncludedFilesAreSecuredToo lets postgresql.conf include files in several ways.
func TestIncludedFilesAreSecuredToo(t *testing.T) {
	source, dest := t.TempDir(), t.TempDir()
	for name, content := range map[string]string{
		"postgresql.conf":    "include_dir 'conf.d'\ninclude = 'more/a.conf'\ninclude_if_exists 'missing.conf'\ninclude '/etc/outside.conf'\ninclude '../up.conf'\n",
		"conf.d/10.conf":     "archive_command = 'x'\ninclude 'deep.inc'\n",
		"conf.d/deep.inc":    "archive_library = 'x'\n",
		"conf.d/.hidden.con": "archive_command = 'hidden'\n",
		"more/a.conf":        "port = 1\n",
		"pg_hba.conf":        "",
	} {
		for _, dir := range []string{source, dest} {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o640); err != nil {
				t.Fatal(err)
			}
		}
	}
	r, _, _ := newRestorer(t, catalog.DefaultLayout(t.TempDir(), serverName))
	copier, err := r.OpenCopier(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	b := testBackup(1, 150004)
	b.PGData = "/var/lib/postgresql/15/main"
	run := &restore{Restorer: r, options: &Options{}, plan: &Plan{Backup: b, Destination: dest}, copier: copier, data: source}
	var result Result
	if err := run.secureSettings(t.Context(), &result, []string{"recovery_target = 'immediate'"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Setting{
		{"conf.d/10.conf", 2, "archive_command", "false"}, {"conf.d/deep.inc", 1, "archive_library", ""},
	}, result.Changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"pg_ident.conf"}, result.MissingFiles); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	for name, want := range map[string]string{
		"conf.d/10.conf":              "#BARMAN#archive_command = 'x'\narchive_command = false\ninclude 'deep.inc'\n",
		"conf.d/10.conf.origin":       "archive_command = 'x'\ninclude 'deep.inc'\n",
		"postgresql.auto.conf":        "recovery_target = 'immediate'\n",
		"postgresql.auto.conf.origin": "",
		"more/a.conf":                 "port = 1\n",
	} {
		content, err := os.ReadFile(filepath.Join(dest, name))
		if err != nil || string(content) != want {
			t.Errorf("%s: %q, %v; want %q", name, content, err, want)
		}
	}
	wantFile(t, filepath.Join(dest, "postgresql.conf.origin"))
	wantNoFile(t, dest, "more/a.conf.origin")
	info, err := os.Stat(filepath.Join(dest, "conf.d/10.conf"))
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if !strings.Contains(settingKeys(result.Warnings), "include_dir include include_if_exists include") {
		t.Errorf("warnings %v", result.Warnings)
	}
	// A file of the user's choice, in a directory that does not exist yet.
	run.options.ConfFilename = "new dir/recovery.conf"
	if err := run.secureSettings(t.Context(), &result, []string{"recovery_target = 'immediate'"}); err != nil {
		t.Fatal(err)
	}
	wantFile(t, filepath.Join(dest, run.options.ConfFilename))
}

func settingKeys(settings []Setting) string {
	var keys []string
	for _, s := range settings {
		keys = append(keys, s.Key)
	}
	return strings.Join(keys, " ")
}
