package matrix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// scene is one version's server, at work from the first trial to the last, and the host that backs it up.
type scene struct {
	// whole is the test of the version; what is made for one trial and used by others ends with it.
	whole   *testing.T
	major   int
	host    *backuphost.Host
	primary *lab.Cluster
	sshd    *lab.SSHD
	ledger  *lab.Ledger
	load    *lab.Load
	// etc is where pg_hba.conf and pg_ident.conf are, outside of PGDATA.
	etc string
	// spaces are the tablespaces: pgbench works in "hot", the ledger in "cold".
	spaces map[string]string
	// points counts restore points.
	points int
	// theStandby is made by the first row that needs it.
	theStandby *lab.Cluster
}

func newScene(t *testing.T, major int) *scene {
	t.Helper()
	s := &scene{whole: t, major: major, host: backuphost.New(t), sshd: lab.StartSSHD(t), spaces: map[string]string{}}
	installation, err := lab.FindPostgres(major)
	if err != nil {
		t.Fatal(err)
	}
	s.host.Global = fmt.Sprintf("  path_prefix = [%q]\n", installation.Bin)
	dir := lab.ScratchDir(t)
	s.etc = filepath.Join(dir, "etc")
	s.host.MakeDir(t, s.etc)
	const hba = "# kept outside of PGDATA\nlocal all all trust\nlocal replication all trust\n" +
		"host all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n"
	s.host.WriteFile(t, s.hba(), hba, 0o644)
	s.host.WriteFile(t, s.ident(), "# no map\n", 0o644)
	settings := map[string]string{
		"hba_file": "'" + s.hba() + "'", "ident_file": "'" + s.ident() + "'", "log_checkpoints": "on",
		// A checkpoint that is spread over time is over soon all the same.
		"checkpoint_timeout": "30s", "checkpoint_completion_target": "0.05",
	}
	if major >= 17 {
		settings["summarize_wal"] = "on"
	}
	s.primary = lab.StartCluster(t, lab.ClusterOptions{
		Version: major, Dir: filepath.Join(dir, "primary"), ArchiveCommand: s.host.ArchiveCommand(t, "main"),
		DataChecksums: true, WALSegmentSizeMB: 4, Settings: settings,
	})
	for _, name := range []string{"pg_hba.conf", "pg_ident.conf"} {
		if err := os.Remove(filepath.Join(s.primary.Data, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"hot", "cold"} {
		if s.spaces[name], err = s.primary.CreateTablespace(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.primary.InitPgbench(t.Context(), 1, "hot"); err != nil {
		t.Fatal(err)
	}
	// Enough to change files under every copy; more would only cost time.
	s.load = s.primary.StartPgbench(t, 1, 20)
	s.ledger = s.primary.StartLedger(t, lab.LedgerOptions{Tablespace: "cold", Pause: 40 * time.Millisecond})
	return s
}

func (s *scene) hba() string   { return filepath.Join(s.etc, "pg_hba.conf") }
func (s *scene) ident() string { return filepath.Join(s.etc, "pg_ident.conf") }

// ssh is the command by which barman reaches the PostgreSQL host.
func (s *scene) ssh() string {
	return strings.Join(s.sshd.Command(s.host.User, s.primary.Owner), " ")
}

// runAll runs the trials of a plan one after the other and fills in the table.
func (s *scene) runAll(t *testing.T, plan [][]row, cells *table) {
	s.configure(t, nil)
	s.host.Must(t, "switch-wal", "--force", "--archive", "main") // check wants to see WAL
	for _, rows := range plan {
		if rows = possible(rows, s.major); len(rows) == 0 {
			continue
		}
		t.Run(title(rows), func(t *testing.T) { s.run(t, rows, cells) })
	}
}

// configure configures the server "main" as the rows want it.
func (s *scene) configure(t *testing.T, rows []row) (backup, recover []string) {
	t.Helper()
	options, backup, recover := s.merged(t, rows)
	s.host.Configure(t, backuphost.Server("main", options))
	return backup, recover
}

// outOfBackup returns an error while somebody is in backup mode, or when barman has left a session.
func (s *scene) outOfBackup(ctx context.Context, c *lab.Cluster) error {
	const sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'barman%' AND application_name <> 'barman_receive_wal'"
	if err := c.WaitSQL(ctx, sessions, "0"); err != nil {
		return fmt.Errorf("sessions of barman are left: %w", err)
	}
	if s.major >= 15 {
		return nil // a backup belongs to its session
	}
	got, err := c.SQL(ctx, "SELECT pg_is_in_backup()")
	if err == nil && got != "f" {
		err = errors.New("PostgreSQL is still in backup mode")
	}
	return err
}
