package backup

import (
	"io"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/sdk/transfer"
)

// planned makes the session of a backup of version 15 with two tablespaces; previous is changed by a test.
func planned(t *testing.T, o Options, change func(previous *catalog.BackupInfo)) *session {
	t.Helper()
	layout := catalog.DefaultLayout(t.TempDir(), "main")
	backup := func(id string) *catalog.BackupInfo {
		b := catalog.NewBackupInfo(id, "main", catalog.ModeRsyncConcurrent)
		b.SystemID, b.Version, b.PGData, b.BeginTime = "42", 150004, "/pg", time.Date(2026, 1, 10, 10, 0, 0, 0, time.UTC)
		b.ConfigFile, b.HBAFile, b.IdentFile = "/etc/pg/postgresql.conf", "/pg/pg_hba.conf", "/etc/pg/pg_ident.conf"
		b.Tablespaces = []catalog.Tablespace{{Name: "hot", OID: 1, Location: "/fast/hot"}, {Name: "cold", OID: 2, Location: "/pg/cold"}}
		return b
	}
	s := &session{Runner: &Runner{
		Options: o, Catalog: catalog.New(layout), Out: report.New(report.Options{Stdout: io.Discard, Stderr: io.Discard}),
	}, info: backup("20260111T100000")}
	if change != nil {
		s.previous = backup("20260110T100000")
		change(s.previous)
		if err := os.MkdirAll(layout.DataPath(s.previous.ID), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestTablespaceHasItsOwnBandwidthLimitOrTheServers(t *testing.T) {
	s := planned(t, Options{TablespaceBandwidthLimit: map[string]int{"hot": 8000, "gone": 1}}, nil)
	got := map[string]int{}
	for _, item := range s.items() {
		got[item.Label] = item.BandwidthLimit
	}
	// An item without a limit of its own has that of the plan.
	if diff := cmp.Diff(map[string]int{"hot": 8000, "cold": 0, "pgdata": 0, "config_file": 0, "ident_file": 0, "pg_control": 0}, got); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
}

func TestPgControlIsCopiedLast(t *testing.T) {
	items := planned(t, Options{}, nil).items()
	for i, item := range items {
		if last := i == len(items)-1; (item.Label == "pg_control") != last || !last && item.Phase >= items[len(items)-1].Phase {
			t.Errorf("item %d of %d is %s, in phase %d", i, len(items), item.Label, item.Phase)
		}
	}
}

func TestOnlyABackupOfTheSameKindIsReused(t *testing.T) {
	same := func(*catalog.BackupInfo) {}
	for name, tc := range map[string]struct {
		mode   transfer.Reuse
		change func(*catalog.BackupInfo)
		want   []string
	}{
		"off":                {transfer.ReuseOff, same, nil},
		"link":               {transfer.ReuseLink, same, []string{"hot", "cold", "pgdata"}},
		"copy":               {transfer.ReuseCopy, same, []string{"hot", "cold", "pgdata"}},
		"none before":        {transfer.ReuseLink, nil, nil},
		"another method":     {transfer.ReuseLink, func(b *catalog.BackupInfo) { b.Mode = catalog.ModePostgres }, nil},
		"another cluster":    {transfer.ReuseLink, func(b *catalog.BackupInfo) { b.SystemID = "43" }, nil},
		"another version":    {transfer.ReuseLink, func(b *catalog.BackupInfo) { b.Version = 140004 }, nil},
		"another minor":      {transfer.ReuseLink, func(b *catalog.BackupInfo) { b.Version = 150001 }, []string{"hot", "cold", "pgdata"}},
		"without tablespace": {transfer.ReuseLink, func(b *catalog.BackupInfo) { b.Tablespaces = b.Tablespaces[:1] }, []string{"hot", "pgdata"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := planned(t, Options{Reuse: tc.mode}, tc.change)
			var got []string
			for _, item := range s.items() {
				if item.Reuse != transfer.ReuseLink && item.Reuse != transfer.ReuseCopy {
					continue
				}
				got = append(got, item.Label)
				if item.Reuse != tc.mode || item.ReuseDirectory == "" || !item.SafeHorizon.Equal(s.previous.BeginTime) {
					t.Errorf("%s: %+v", item.Label, item)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("items that reuse (-want +got):\n%s", diff)
			}
		})
	}
}
