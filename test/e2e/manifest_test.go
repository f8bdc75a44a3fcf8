package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barman-go/barman/core/manifest"
	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// TestBackupsAreVerifiedByTheirManifests takes backups of a server with a tablespace by the methods that copy and by PostgreSQL's own,
// verifies them here and with pg_verifybackup, and damages them.
func TestBackupsAreVerifiedByTheirManifests(t *testing.T) {
	host, primary := small(t, map[string]any{"autogenerate_manifest": true})
	if _, err := primary.CreateTablespace(t.Context(), "space"); err != nil {
		t.Fatal(err)
	}
	primary.MustSQL(t, "CREATE TABLE book TABLESPACE space AS SELECT generate_series(1, 1000) AS n")
	// As after a restore of a backup that was taken by pg_basebackup.
	host.WriteFile(t, filepath.Join(primary.Data, manifest.Name), "the manifest of another backup", 0o600)
	host.MakeDir(t, host.Locks)

	t.Run("local-rsync", func(t *testing.T) {
		out := host.Must(t, "backup", "--wait", "main")
		b := host.Latest(t, "main")
		if want := "Backup manifest for backup '" + b.ID + "' successfully generated for server main\n"; !strings.Contains(out, want) {
			t.Errorf("backup does not say %q:\n%s", want, out)
		}
		pgVerifybackup(t, primary, host.Layout("main").DataPath(b.ID))
		verifyAndDamage(t, host)
		host.Refused(t, 1, []string{"EXCEPTION: File ", "backup_manifest already exists."}, "generate-manifest", "main", b.ID)

		host.Must(t, "backup", "--no-manifest", "main")
		host.Refused(t, 1, []string{"There is nothing to compare with"}, "verify-backup", "main", "latest")
		host.Must(t, "generate-manifest", "main", "latest")
		host.Must(t, "verify-backup", "main", "latest")
	})
	t.Run("postgres", func(t *testing.T) {
		host.Configure(t, backuphost.Server("main", localServer(primary, map[string]any{
			"backup_method": "postgres", "streaming_conninfo": primary.Conninfo("", ""),
		})))
		host.Must(t, "backup", "--manifest", "main") // PostgreSQL writes it anyway
		pgVerifybackup(t, primary, host.Layout("main").DataPath(host.Latest(t, "main").ID))
		verifyAndDamage(t, host)
	})
	for _, algorithm := range []string{"NONE", "SHA512"} {
		t.Run(algorithm, func(t *testing.T) {
			dir := lab.ScratchDir(t)
			data, space := filepath.Join(dir, "data"), filepath.Join(dir, "space")
			location := primary.MustSQL(t, "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'space'")
			result, err := lab.Run(primary.Tool(t.Context(), "pg_basebackup", "-D", data, "-X", "none", "-c", "fast", "--no-sync",
				"--manifest-checksums", algorithm, "-T", location+"="+space, "-d", primary.Conninfo("", "")))
			if err != nil || result.Exit != 0 {
				t.Fatalf("pg_basebackup: %v\n%s", err, result.Stderr)
			}
			oid := primary.MustSQL(t, "SELECT oid FROM pg_tablespace WHERE spcname = 'space'")
			report, err := manifest.Verify(t.Context(), manifest.Tree{
				Backup: dir, Data: data, Tablespaces: map[string]string{oid: space},
			}, manifest.Options{Workers: 2})
			if err != nil || report.Count != 0 || report.Files < 900 || len(report.Unlisted) > 0 {
				t.Errorf("%+v (%v)", report, err)
			}
		})
	}
}

// pgVerifybackup has PostgreSQL's own program verify a data directory.
func pgVerifybackup(t *testing.T, c *lab.Cluster, data string) {
	t.Helper()
	result, err := lab.Run(c.Tool(t.Context(), "pg_verifybackup", "-n", data))
	if err != nil || result.Exit != 0 {
		t.Errorf("pg_verifybackup: %v\n%s%s", err, result.Stdout, result.Stderr)
	}
}

// verifyAndDamage verifies the latest backup, turns one bit of a file in the data directory and one in the tablespace, and wants both found.
func verifyAndDamage(t *testing.T, host *backuphost.Host) {
	t.Helper()
	if out := host.Must(t, "verify-backup", "main", "latest"); !strings.Contains(out, "\nbackup successfully verified\n") {
		t.Errorf("verify-backup says\n%s", out)
	}
	b := host.Latest(t, "main")
	layout := host.Layout("main")
	inSpace, err := filepath.Glob(filepath.Join(layout.TablespacePath(b.ID, b.Tablespaces[0].OID), "PG_*", "*", "[0-9]*"))
	if err != nil || len(inSpace) == 0 {
		t.Fatalf("nothing in the tablespace (%v)", err)
	}
	for _, path := range []string{inSpace[0], filepath.Join(layout.DataPath(b.ID), "global", "pg_control")} {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		content[len(content)/2] ^= 1
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	host.Refused(t, 1, []string{
		`checksum mismatch for file "pg_tblspc/`, filepath.Base(inSpace[0]) + `"`, `checksum mismatch for file "global/pg_control"`,
	}, "verify-backup", "main", "latest")
}
