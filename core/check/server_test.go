package check

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/sdk/transfer"
	"github.com/barman-go/barman/test/lab"
)

// ask points a scene at a real server.
func (s *scene) ask(conninfo string) {
	s.t.Helper()
	info, err := postgres.ParseConninfo(conninfo)
	if err != nil {
		s.t.Fatal(err)
	}
	s.SQL, s.Streaming = AskSQL(info, s.SlotName), AskReplication(info)
}

func (s *scene) want(report string, lines ...string) {
	s.t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+report, "\n"+line) {
			s.t.Errorf("no line %q in:\n%s", line, report)
		}
	}
}

func TestRealServer(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{HBA: []string{
		"host all keeper 127.0.0.1/32 scram-sha-256", "host replication keeper 127.0.0.1/32 scram-sha-256",
	}})
	c.MustSQL(t, "SET password_encryption = 'scram-sha-256'; CREATE ROLE keeper LOGIN SUPERUSER PASSWORD 'sesame'")
	scene := func(t *testing.T, conninfo string) *scene {
		s := newScene(t)
		s.backup("20260109T100000", catalog.StatusDone)
		s.archived()
		s.ask(conninfo)
		return s
	}

	t.Run("healthy", func(t *testing.T) {
		s := scene(t, c.Conninfo("keeper", "postgres")+" password=sesame")
		s.plugin.rows = nil
		s.OpenTransfer = func(context.Context) (Transfer, transfer.Mode, error) { return s.plugin, transfer.SelfContained, nil }
		report := s.Run(t.Context(), 0)
		if blocking := report.Blocking(); len(blocking) > 0 {
			t.Errorf("a backup would not start because of %q", labels(blocking))
		}
		s.want(text(report), "PostgreSQL: OK\n", "superuser or standard user with backup privileges: OK\n", "PostgreSQL streaming: OK\n",
			"wal_level: OK\n", "archive_mode: OK\n", "archive_command: OK\n", "continuous archiving: OK\n")
		if got, want := s.plugin.asked.ServerVersion/10000, c.Major; got != want {
			t.Errorf("the plugin was asked about version %d, want %d", got, want)
		}
	})

	t.Run("another cluster than before", func(t *testing.T) {
		s := scene(t, c.Conninfo("", ""))
		s.file(s.Layout.IdentityPath(), `{"systemid": "7000000000000000001", "version": "15"}`)
		s.want(s.run(), "systemid coherence: FAILED (the system Id of the connected PostgreSQL server changed")
	})

	t.Run("role without privileges", func(t *testing.T) {
		c.MustSQL(t, "CREATE ROLE nobody LOGIN")
		s := scene(t, c.Conninfo("nobody", "postgres"))
		s.want(s.run(), "PostgreSQL: OK\n", "no access to backup functions: FAILED", "PostgreSQL streaming: FAILED (")
	})

	t.Run("wrong password", func(t *testing.T) {
		s := scene(t, c.Conninfo("keeper", "postgres")+" password=opensesame")
		report := s.run()
		s.want(report, `PostgreSQL: FAILED (`, `PostgreSQL streaming: FAILED (`, "ssh: OK (PostgreSQL server)\n")
		if !strings.Contains(report, `password authentication failed for user "keeper"`) {
			t.Errorf("the report does not say what is wrong:\n%s", report)
		}
		if strings.Contains(report, "opensesame") {
			t.Errorf("the report shows the password:\n%s", report)
		}
	})

	t.Run("slot", func(t *testing.T) {
		c.MustSQL(t, "SELECT pg_create_physical_replication_slot('barman')")
		s := newScene(t)
		s.SlotName, s.StreamingArchiver = "barman", true
		s.ask(c.Conninfo("", ""))
		s.want(s.run(), "replication slot: FAILED (slot 'barman' not initialised: is 'receive-wal' running?)\n",
			"pg_receivexlog: OK\n", "receive-wal running: FAILED (See the Barman log file for more details)\n")
	})

	t.Run("slot that keeps WAL", func(t *testing.T) {
		if err := c.Set(t.Context(), map[string]string{"max_slot_wal_keep_size": "64MB"}); err != nil {
			t.Fatal(err)
		}
		if err := c.WaitSQL(t.Context(), "SHOW max_slot_wal_keep_size", "64MB"); err != nil {
			t.Fatal(err)
		}
		c.MustSQL(t, "SELECT pg_create_physical_replication_slot('keeping', true)")
		c.MustSQL(t, "SELECT pg_logical_emit_message(false, 'x', repeat('x', 3 << 20))")
		s := newScene(t)
		s.SlotName, s.StreamingArchiver = "keeping", true
		s.ask(c.Conninfo("", ""))
		report := s.run()
		hint := regexp.MustCompile(`replication slot: FAILED \(slot 'keeping' not active: is 'receive-wal' running\?; ` +
			`the server keeps (\d+\.\d) MiB of WAL for it, and (\d+\.\d) MiB more before it is lost`).FindStringSubmatch(report)
		if hint == nil {
			t.Fatalf("report:\n%s", report)
		}
		kept, _ := strconv.ParseFloat(hint[1], 64)
		more, _ := strconv.ParseFloat(hint[2], 64)
		if kept < 3 || more > 64+16 || more < 16 {
			t.Errorf("%v MiB are kept and %v may follow, after 3 MiB, with a limit of 64 and a segment", kept, more)
		}
	})

	t.Run("archive_mode off", func(t *testing.T) {
		if err := c.Set(t.Context(), map[string]string{"archive_mode": "off"}); err != nil {
			t.Fatal(err)
		}
		if err := c.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := scene(t, c.Conninfo("", ""))
		s.want(s.run(), "PostgreSQL: OK\n", "archive_mode: FAILED (please set it to 'on' or 'always')\n",
			"archive_command: FAILED (please set it accordingly to documentation)\n")
	})

	t.Run("PostgreSQL down", func(t *testing.T) {
		if err := c.Stop(lab.Fast); err != nil {
			t.Fatal(err)
		}
		s := scene(t, c.Conninfo("", ""))
		s.want(s.run(), `PostgreSQL: FAILED (cannot connect to PostgreSQL with `, "PostgreSQL streaming: FAILED (",
			"ssh: OK (PostgreSQL server)\n", "systemid coherence: OK (no system Id available)\n", "wal size: OK (16.0 MiB)\n")
	})
}
