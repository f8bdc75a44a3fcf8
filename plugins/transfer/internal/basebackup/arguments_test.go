package basebackup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/plugin"
	"github.com/barman-go/barman/sdk/transfer"
)

func TestParseVersion(t *testing.T) {
	cases := map[string]version{
		"pg_basebackup (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)\n": 150008,
		"pg_basebackup (PostgreSQL) 18beta1":                        180000,
		"pg_basebackup (PostgreSQL) 9.6.24":                         90624,
		"pg_basebackup (EnterpriseDB) 16.3.0":                       160003,
	}
	for line, want := range cases {
		if got, ok := parseVersion(line); !ok || got != want {
			t.Errorf("%q: %d, %v", line, got, ok)
		}
	}
	if _, ok := parseVersion("psql (PostgreSQL) 15.8"); ok {
		t.Error("another tool was accepted")
	}
}

func TestArguments(t *testing.T) {
	got, err := arguments(tool{version: 170000}, &transfer.TakeBackupRequest{
		Destination: "/b/base/1/data", Conninfo: "host=pg1 user=streaming", ServerVersion: 170000,
		Tablespaces:    []transfer.Tablespace{{OID: 1, Location: "/ts/a=b", Destination: "/b/base/1/1"}},
		BandwidthLimit: 5, ImmediateCheckpoint: true, IncrementalManifest: "/b/base/0/data/backup_manifest",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"--dbname=host=pg1 user=streaming", "--verbose", "--no-password", "--progress", "--pgdata=/b/base/1/data",
		"--no-slot", "--wal-method=none", `--tablespace-mapping=/ts/a\=b=/b/base/1/1`, "--max-rate=32",
		"--incremental=/b/base/0/data/backup_manifest", "--checkpoint=fast",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func n(i int) *int { return &i }

func TestCompressionArguments(t *testing.T) {
	cases := []struct {
		name           string
		client, server version
		c              *transfer.Compression
		want           string
		refused        string
	}{
		{"none set", 150000, 150000, nil, "", ""},
		{"gzip, old client", 140000, 140000, &transfer.Compression{Algorithm: "gzip"}, "--format=tar --gzip", ""},
		{"gzip level, old client", 140000, 140000, &transfer.Compression{Algorithm: "gzip", Level: n(3)}, "--format=tar --compress=3 --gzip", ""},
		{"none, old client", 140000, 140000, &transfer.Compression{Algorithm: "none"}, "--format=tar --compress=0", ""},
		{"gzip", 150000, 150000, &transfer.Compression{Algorithm: "gzip"}, "--format=tar --compress=gzip", ""},
		{"gzip level", 150000, 140000, &transfer.Compression{Algorithm: "gzip", Level: n(9)}, "--format=tar --compress=gzip:level=9", ""},
		{"none", 150000, 150000, &transfer.Compression{Algorithm: "none", Level: n(0)}, "--format=tar --compress=none", ""},
		{
			"zstd with everything", 160000, 150000,
			&transfer.Compression{Algorithm: "zstd", Level: n(-5), Workers: n(4), Location: "server", Format: "plain"},
			"--format=plain --compress=server-zstd:level=-5,workers=4", "",
		},
		{"client side lz4", 150000, 150000, &transfer.Compression{Algorithm: "lz4", Location: "client"}, "--format=tar --compress=client-lz4", ""},
		{"unknown", 150000, 150000, &transfer.Compression{Algorithm: "xz"}, "", "unknown"},
		{"lz4, old client", 140000, 140000, &transfer.Compression{Algorithm: "lz4"}, "", "backup_compression = lz4 requires pg_basebackup 15 or greater"},
		{"server side, old server", 150000, 140000, &transfer.Compression{Algorithm: "gzip", Location: "server"}, "", "backup_compression_location = server requires PostgreSQL 15 or greater"},
		{"server side, old client", 140000, 150000, &transfer.Compression{Algorithm: "gzip", Location: "server"}, "", "backup_compression_location = server requires pg_basebackup 15 or greater"},
		{"plain on the client", 150000, 150000, &transfer.Compression{Algorithm: "gzip", Format: "plain"}, "", "backup_compression_format plain is not compatible with backup_compression_location None"},
		{"gzip 0", 150000, 150000, &transfer.Compression{Algorithm: "gzip", Level: n(0)}, "", "Use backup_compression = none"},
		{"gzip 0, old client", 140000, 140000, &transfer.Compression{Algorithm: "gzip", Level: n(0)}, "--format=tar --compress=0 --gzip", ""},
		{"gzip 10", 150000, 150000, &transfer.Compression{Algorithm: "gzip", Level: n(10)}, "", "-1 to 9"},
		{"lz4 13", 150000, 150000, &transfer.Compression{Algorithm: "lz4", Level: n(13)}, "", "0 to 12"},
		{"none 1", 150000, 150000, &transfer.Compression{Algorithm: "none", Level: n(1)}, "", "0 to 0"},
		{"gzip workers", 150000, 150000, &transfer.Compression{Algorithm: "gzip", Workers: n(2)}, "", "workers"},
		{"negative workers", 150000, 150000, &transfer.Compression{Algorithm: "zstd", Workers: n(-1)}, "", "non-negative integer"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			args, err := compressionArguments(c.client, c.server, c.c)
			if c.refused != "" {
				if d := diag.FromError(err); d.Code != diag.CodeInvalidOption || !strings.Contains(d.Summary, c.refused) {
					t.Fatalf("got %v, %v", args, err)
				}
				return
			}
			if got := strings.Join(args, " "); err != nil || got != c.want {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// fakeTool writes a program with the name pg_basebackup and returns its directory.
func fakeTool(t *testing.T, script string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pg_basebackup"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestChooseTakesTheFirstThatRunsAndSuits(t *testing.T) {
	t.Setenv("PATH", "/usr/bin:/bin")
	old := fakeTool(t, `echo "pg_basebackup (PostgreSQL) 13.4"`)
	broken := fakeTool(t, `echo "no version installed" >&2; exit 1`)
	good := fakeTool(t, `echo "pg_basebackup (PostgreSQL) 99.1"`)
	e := New(plugin.Env{PathPrefix: []string{broken, old, good}})
	got, err := e.choose(t.Context(), 980000)
	if err != nil || got.path != filepath.Join(good, "pg_basebackup") {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err = e.choose(t.Context(), 0); err != nil || got.path != filepath.Join(old, "pg_basebackup") {
		t.Errorf("unknown server: %+v, %v", got, err)
	}
	_, err = New(plugin.Env{PathPrefix: []string{broken, old}}).choose(t.Context(), 980000)
	for _, want := range []string{broken, "no version installed", "13.4", "path_prefix"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
}

func TestCheckRows(t *testing.T) {
	dir := fakeTool(t, `echo "pg_basebackup (PostgreSQL) 15.4"`)
	e := New(plugin.Env{PathPrefix: []string{dir}})
	cases := map[int][]transfer.CheckRow{
		150008: {
			{Label: "pg_basebackup", OK: true},
			{Label: "pg_basebackup compatible", OK: true},
			{Label: "pg_basebackup supports tablespaces mapping", OK: true},
		},
		990001: {
			{Label: "pg_basebackup", OK: true},
			{Label: "pg_basebackup compatible", Hint: "PostgreSQL version: 99.1, pg_basebackup version: 15.4"},
			{Label: "pg_basebackup supports tablespaces mapping", OK: true},
		},
		0: {
			{Label: "pg_basebackup", OK: true},
			{Label: "pg_basebackup compatible", Hint: "PostgreSQL version: None, pg_basebackup version: 15.4"},
		},
	}
	for server, want := range cases {
		got, err := e.Check(t.Context(), transfer.CheckRequest{ServerVersion: server})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("server %d (-want +got):\n%s", server, diff)
		}
	}
}

func TestEndLSN(t *testing.T) {
	path := filepath.Join(t.TempDir(), "backup_manifest")
	if got, err := endLSN(path); got != "" || err != nil {
		t.Errorf("no manifest: %q, %v", got, err)
	}
	text := `{ "Files": [` + strings.Repeat(`{"Path": "x"},`+"\n", 10000) + `],
"WAL-Ranges": [
{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/3000000" },
{ "Timeline": 2, "Start-LSN": "0/3000000", "End-LSN": "A/30000F8" }
],
"Manifest-Checksum": "00"}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := endLSN(path); got != "A/30000F8" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
