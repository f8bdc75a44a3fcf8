package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/test/lab"
)

// eachVersion runs a test on every PostgreSQL that this machine has.
func eachVersion(t *testing.T, test func(t *testing.T, version int)) {
	for _, i := range lab.Installations() {
		if i.Major*10000 >= postgres.MinimumVersion {
			t.Run("PostgreSQL"+filepath.Base(filepath.Dir(i.Bin)), func(t *testing.T) { test(t, i.Major) })
		}
	}
}

func connect(t *testing.T, conninfo string) *postgres.Conn {
	t.Helper()
	conn, err := postgres.Connect(t.Context(), parse(t, conninfo), "barman")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func parse(t *testing.T, conninfo string) postgres.Conninfo {
	t.Helper()
	info, err := postgres.ParseConninfo(conninfo)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestFactsAreWhatTheServerSays(t *testing.T) {
	eachVersion(t, func(t *testing.T, version int) {
		c := lab.StartCluster(t, lab.ClusterOptions{
			Version: version, WALSegmentSizeMB: 4, DataChecksums: true,
			Settings: map[string]string{"synchronous_standby_names": "'FIRST 1 (barman_receive_wal)'", "synchronous_commit": "local"},
		})
		location, err := c.CreateTablespace(t.Context(), "hot")
		if err != nil {
			t.Fatal(err)
		}
		c.MustSQL(t, "SELECT pg_create_physical_replication_slot('barman')")
		if err := c.Set(t.Context(), map[string]string{"checkpoint_timeout": "300"}); err != nil {
			t.Fatal(err)
		}
		conn := connect(t, c.Conninfo("", ""))
		facts, err := conn.Facts(t.Context(), postgres.FactsOptions{Slot: "barman", ClusterSize: true})
		if err != nil {
			t.Fatal(err)
		}

		type server struct {
			Version, SystemID, Data, Config, HBA, Ident, Checkpoint, Checksums string
			Size                                                               wal.SegmentSize
			Timeline                                                           wal.TimelineID
			Included, Standbys                                                 []string
			Tablespaces                                                        []postgres.Tablespace
			Privileges                                                         postgres.Privileges
			Slot                                                               string
			Recovery                                                           bool
		}
		checkpoint, _ := facts.Setting("checkpoint_timeout")
		got := server{
			facts.Version.Text, facts.SystemID.String(), facts.DataDirectory, facts.ConfigFile, facts.HBAFile, facts.IdentFile,
			checkpoint, facts.DataChecksums(), facts.SegmentSize, facts.Timeline, facts.IncludedFiles,
			facts.SynchronousStandbyNames(), facts.Tablespaces, facts.Privileges, facts.Slot.Name + "/" + facts.Slot.Type,
			facts.InRecovery,
		}
		want := server{
			Version:  strings.Fields(c.MustSQL(t, "SHOW server_version"))[0],
			SystemID: c.MustSQL(t, "SELECT system_identifier FROM pg_control_system()"),
			Data:     c.Data, Config: filepath.Join(c.Data, "postgresql.conf"), HBA: filepath.Join(c.Data, "pg_hba.conf"),
			Ident: filepath.Join(c.Data, "pg_ident.conf"), Checkpoint: "5min", Checksums: "on", Size: 4 << 20, Timeline: 1,
			Included:    []string{filepath.Join(c.Data, "postgresql.auto.conf")},
			Standbys:    []string{"barman_receive_wal"},
			Tablespaces: []postgres.Tablespace{{Name: "hot", Location: location, OID: got.Tablespaces[0].OID}},
			Privileges:  postgres.Privileges{Superuser: true, Backup: true, Monitoring: true, Checkpoint: true},
			Slot:        "barman/physical",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("facts (-want +got):\n%s", diff)
		}
		if facts.Version.Num/10000 != version || facts.ClusterSize == nil || *facts.ClusterSize < 1<<20 {
			t.Errorf("version %d, cluster size %v", facts.Version.Num, facts.ClusterSize)
		}
		if name := c.MustSQL(t, "SELECT pg_walfile_name(pg_current_wal_insert_lsn())"); facts.CurrentWAL != name {
			t.Errorf("current WAL %s, want %s", facts.CurrentWAL, name)
		}
		if facts.Slot.Active || facts.Slot.RestartLSN != 0 || facts.Slot.Retained != 0 {
			t.Errorf("slot %+v, want an unused one", facts.Slot)
		}
		if got, known := facts.SummarizeWAL(), version >= 17; (got != "") != known {
			t.Errorf("summarize_wal = %q in version %d", got, version)
		}
		if !facts.Archiver.IsArchiving {
			t.Errorf("archiver %+v, want a working one", facts.Archiver)
		}
	})
}

func TestArchiverFailureIsSeen(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{ArchiveCommand: "/bin/false"})
	c.MustSQL(t, "CREATE TABLE t ()")
	conn := connect(t, c.SocketConninfo("", ""))
	if _, err := conn.SwitchWAL(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitSQL(t.Context(), "SELECT failed_count > 0 FROM pg_stat_archiver", "t"); err != nil {
		t.Fatal(err)
	}
	archiver, err := conn.Archiver(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if archiver.IsArchiving || archiver.LastFailedWAL != "000000010000000000000001" || archiver.LastFailedTime.IsZero() {
		t.Errorf("archiver %+v", archiver)
	}
}

func TestLimitedRolesAreToldApart(t *testing.T) {
	eachVersion(t, func(t *testing.T, version int) {
		c := lab.StartCluster(t, lab.ClusterOptions{Version: version})
		functions := "pg_start_backup(text, boolean, boolean), pg_stop_backup(boolean, boolean)"
		if version >= 15 {
			functions = "pg_backup_start(text, boolean), pg_backup_stop(boolean)"
		}
		c.MustSQL(t, `CREATE ROLE nobody LOGIN; CREATE ROLE watcher LOGIN IN ROLE pg_monitor; CREATE ROLE barman LOGIN IN ROLE pg_monitor;
			GRANT EXECUTE ON FUNCTION `+functions+`, pg_switch_wal(), pg_create_restore_point(text) TO barman`)
		for role, want := range map[string]postgres.Privileges{
			"nobody":  {},
			"watcher": {Monitoring: true},
			"barman":  {Monitoring: true, Backup: true},
		} {
			conn := connect(t, c.Conninfo(role, ""))
			facts, err := conn.Facts(t.Context(), postgres.FactsOptions{ClusterSize: true})
			if err != nil {
				t.Fatalf("%s: %v", role, err)
			}
			if diff := cmp.Diff(want, facts.Privileges); diff != "" {
				t.Errorf("%s (-want +got):\n%s", role, diff)
			}
			if (facts.DataDirectory != "") != want.Monitoring || (facts.ClusterSize != nil) != want.Backup {
				t.Errorf("%s: data directory %q, size %v", role, facts.DataDirectory, facts.ClusterSize)
			}
			if err := conn.Checkpoint(t.Context()); !errors.Is(err, postgres.ErrPrivileges) {
				t.Errorf("%s: checkpoint: %v, want ErrPrivileges", role, err)
			}
			_, err = conn.SwitchWAL(t.Context())
			if want.Backup && err != nil || !want.Backup && !errors.Is(err, postgres.ErrPrivileges) {
				t.Errorf("%s: switch: %v", role, err)
			}
		}
	})
}

func TestSwitchWALNamesTheClosedSegment(t *testing.T) {
	eachVersion(t, func(t *testing.T, version int) {
		c := lab.StartCluster(t, lab.ClusterOptions{Version: version})
		conn := connect(t, c.Conninfo("", ""))
		c.MustSQL(t, "CREATE TABLE t AS SELECT 1")
		want := c.MustSQL(t, "SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
		closed, err := conn.SwitchWAL(t.Context())
		if err != nil || closed != want {
			t.Errorf("closed %q, want %q (error %v)", closed, want, err)
		}
		at, err := conn.Position(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if at.LSN.Offset(wal.DefaultSegmentSize) == 0 && at.WAL != want {
			t.Errorf("%s is the end of %s, not of %s", at.LSN, want, at.WAL)
		}
		if _, err := conn.CreateRestorePoint(t.Context(), "here"); err != nil {
			t.Error(err)
		}
		if err := conn.Checkpoint(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestAuthenticationFailureShowsNoPassword(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{HBA: []string{"host all guarded 127.0.0.1/32 scram-sha-256"}})
	c.MustSQL(t, "SET password_encryption = 'scram-sha-256'; CREATE ROLE guarded LOGIN PASSWORD 'right horse'")
	const secret = `wrong 'horse' \ staple`
	for _, form := range []string{
		c.Conninfo("guarded", "") + ` password='wrong \'horse\' \\ staple'`,
		"postgresql://guarded:wrong%20'horse'%20%5C%20staple@127.0.0.1:" + strconv.Itoa(c.Port) + "/postgres",
	} {
		_, err := postgres.Connect(t.Context(), parse(t, form), "barman")
		var refused *postgres.ConnectError
		if !errors.As(err, &refused) || !refused.Authentication {
			t.Fatalf("error %v, want an authentication failure", err)
		}
		text := err.Error()
		for _, part := range []string{secret, "horse", "staple"} {
			if strings.Contains(text, part) {
				t.Errorf("the error shows the password: %s", text)
			}
		}
		if !strings.Contains(text, "guarded") || !strings.Contains(text, "127.0.0.1") {
			t.Errorf("the error does not say where: %s", text)
		}
	}
	connect(t, c.Conninfo("guarded", "")+" password='right horse'")

	passfile := filepath.Join(lab.ScratchDir(t), "pgpass")
	if err := os.WriteFile(passfile, []byte("127.0.0.1:*:*:guarded:right horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	connect(t, c.Conninfo("guarded", "")+" passfile="+passfile)
}

func TestConnectReadsServiceFiles(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{})
	services := filepath.Join(lab.ScratchDir(t), "pg_service.conf")
	text := fmt.Sprintf("[main]\nhost=%s\nport=%d\nuser=postgres\ndbname=postgres\n", c.SocketDir, c.Port)
	if err := os.WriteFile(services, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PGSERVICEFILE", services)
	if err := connect(t, "service=main").Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestConnectUnderstandsLibpqsOwnKeywords(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{})
	conn := connect(t, "host=no.such.host.example hostaddr=127.0.0.1 port="+strconv.Itoa(c.Port)+
		" user=postgres dbname=postgres keepalives_idle=30 tcp_user_timeout=1000 gssencmode=disable fallback_application_name=x")
	if err := conn.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := c.MustSQL(t, "SELECT application_name FROM pg_stat_activity WHERE client_addr = '127.0.0.1'"); got != "x" {
		t.Errorf("application_name = %q", got)
	}
	if _, err := postgres.Connect(t.Context(), parse(t, "host=127.0.0.1 port=1"), "x"); err == nil {
		t.Error("connected to port 1")
	}
	if _, err := postgres.Connect(t.Context(), parse(t, "port=99999 password=hunter22"), "x"); !errors.Is(err, postgres.ErrConninfo) ||
		strings.Contains(err.Error(), "hunter22") {
		t.Errorf("bad port: %v", err)
	}
}

func TestReplicationConnection(t *testing.T) {
	c := lab.StartCluster(t, lab.ClusterOptions{})
	conn, err := postgres.ConnectReplication(t.Context(), parse(t, c.Conninfo("", "")), "barman_receive_wal")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	id, err := conn.IdentifySystem(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if id.Timeline != 1 || id.Flushed == 0 || id.SystemID.String() != c.MustSQL(t, "SELECT system_identifier FROM pg_control_system()") {
		t.Errorf("identity %+v", id)
	}
	steps := []struct {
		do   func(context.Context, string) error
		name string
		want error
	}{
		{conn.CreatePhysicalSlot, "barman", nil},
		{conn.CreatePhysicalSlot, "barman", postgres.ErrSlotExists},
		{conn.DropSlot, "barman", nil},
		{conn.DropSlot, "barman", postgres.ErrNoSlot},
	}
	for i, step := range steps {
		if err := step.do(t.Context(), step.name); !errors.Is(err, step.want) {
			t.Errorf("step %d: error %v, want %v", i, err, step.want)
		}
	}
	if err := conn.CreatePhysicalSlot(t.Context(), "x; DROP TABLE t"); err == nil {
		t.Error("a slot name with a command in it was accepted")
	}
}

func TestReplicationStatusShowsTheStandby(t *testing.T) {
	primary := lab.StartCluster(t, lab.ClusterOptions{})
	standby := primary.StartStandby(t, lab.ClusterOptions{})
	primary.MustSQL(t, "CREATE TABLE t AS SELECT 1")
	if err := standby.WaitCaughtUp(t.Context(), primary); err != nil {
		t.Fatal(err)
	}
	// The standby reports what it has replayed a moment later.
	if err := primary.WaitSQL(t.Context(), "SELECT count(replay_lsn) FROM pg_stat_replication", "1"); err != nil {
		t.Fatal(err)
	}
	status, err := connect(t, primary.Conninfo("", "")).ReplicationStatus(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(status.Clients) != 1 || status.InRecovery || status.CurrentLSN == 0 {
		t.Fatalf("status %+v", status)
	}
	client := status.Clients[0]
	if !client.IsStandby() || client.State != "streaming" || client.ClientAddress != "127.0.0.1" || client.User != "postgres" ||
		client.Sent == 0 || client.BackendStart.Before(time.Unix(1e9, 0)) {
		t.Errorf("client %+v", client)
	}
}
