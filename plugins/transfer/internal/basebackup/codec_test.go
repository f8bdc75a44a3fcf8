package basebackup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/plugin"
	"github.com/barman-go/barman/sdk/transfer"
)

// fakeZstd is a zstd that tells a version, and whether it has threads.
func fakeZstd(t *testing.T, version string, threads bool) string {
	t.Helper()
	note := "echo 'Note : multi-threading is disabled' >&2"
	if threads {
		note = ":"
	}
	dir := t.TempDir()
	script := "#!/bin/sh\nif [ \"$1\" = --version ]; then echo '*** zstd command line interface 64-bits v" + version +
		", by Yann Collet ***'; else " + note + "; fi\n"
	if err := os.WriteFile(filepath.Join(dir, "zstd"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTheProgramThatReadsTheArchivesIsNewEnough(t *testing.T) {
	t.Setenv("PATH", "/nowhere")
	tooOld, old, oldThreads, recent := fakeZstd(t, "1.4.3", true), fakeZstd(t, "1.4.9", false), fakeZstd(t, "1.4.4", true), fakeZstd(t, "1.5.0", false)
	for _, tc := range []struct {
		name    string
		prefix  []string
		workers *int
		want    string
		refused string
	}{
		{"old enough to refuse", []string{tooOld}, nil, "", "is version 1.4.3, and 1.4.4 or later is needed"},
		{"the first that is new enough", []string{tooOld, old, recent}, nil, old, ""},
		{"workers, 1.5.0", []string{old, recent}, n(2), recent, ""},
		{"workers, 1.4.4 with threads", []string{oldThreads}, n(2), oldThreads, ""},
		{"workers, 1.4.9 without", []string{old}, n(2), "", "is version 1.4.9 without threads, and backup_compression_workers needs 1.5.0 or later"},
		{"no workers, 1.4.9 without", []string{old}, n(0), old, ""},
		{"none at all", []string{t.TempDir()}, nil, "", "backup_compression = zstd needs the program zstd on the Barman host"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := New(plugin.Env{PathPrefix: tc.prefix})
			got, err := e.chooseCodec(t.Context(), &transfer.Compression{Algorithm: "zstd", Workers: tc.workers})
			switch {
			case tc.refused != "":
				if d := diag.FromError(err); d.Code != diag.CodeToolMissing || !strings.Contains(err.Error(), tc.refused) {
					t.Errorf("%q, %v, want %q", got, err, tc.refused)
				}
			case err != nil || got != filepath.Join(tc.want, "zstd"):
				t.Errorf("got %q, %v, want one in %s", got, err, tc.want)
			}
		})
	}
	for _, c := range []*transfer.Compression{
		nil, {Algorithm: "zstd", Format: "plain", Location: "server"}, {Algorithm: "gzip"}, {Algorithm: "none"},
	} {
		if got, err := New(plugin.Env{}).chooseCodec(t.Context(), c); got != "" || err != nil {
			t.Errorf("%+v needs no program: %q, %v", c, got, err)
		}
	}
}

func TestCheckTellsWhyBackupsCannotBeCompressed(t *testing.T) {
	t.Setenv("PATH", "/nowhere")
	client := fakeTool(t, `echo "pg_basebackup (PostgreSQL) 15.4"`)
	olderClient := fakeTool(t, `echo "pg_basebackup (PostgreSQL) 14.9"`)
	for name, tc := range map[string]struct {
		prefix  []string
		server  int
		c       transfer.Compression
		refused string
	}{
		"fine":                  {[]string{client}, 150004, transfer.Compression{Algorithm: "gzip"}, ""},
		"lz4 and an old client": {[]string{olderClient}, 140009, transfer.Compression{Algorithm: "lz4"}, "backup_compression = lz4 requires pg_basebackup 15 or greater"},
		"location, old server":  {[]string{client}, 140009, transfer.Compression{Algorithm: "gzip", Location: "server"}, "backup_compression_location = server requires PostgreSQL 15 or greater"},
		"gzip level 0":          {[]string{client}, 150004, transfer.Compression{Algorithm: "gzip", Level: n(0)}, "Use backup_compression = none"},
		"no lz4":                {[]string{client}, 150004, transfer.Compression{Algorithm: "lz4"}, "backup_compression = lz4 needs the program lz4 on the Barman host"},
	} {
		rows, err := New(plugin.Env{PathPrefix: tc.prefix}).Check(t.Context(), transfer.CheckRequest{ServerVersion: tc.server, Compression: &tc.c})
		if err != nil || len(rows) == 0 {
			t.Fatalf("%s: %v, %v", name, rows, err)
		}
		row := rows[len(rows)-1]
		if row.Label != "backup compression" || !row.OnlyFailure || row.OK != (tc.refused == "") || !strings.Contains(row.Hint, tc.refused) {
			t.Errorf("%s: %+v, want %q", name, row, tc.refused)
		}
	}
}
