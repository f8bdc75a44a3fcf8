package check

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/lock"
	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/transfer"
)

var noon = time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC)

// plugin is a transfer plugin as values.
type plugin struct {
	rows []transfer.CheckRow
	// files exist on the server.
	files map[string]bool
	asked transfer.CheckRequest
}

func (p *plugin) Check(_ context.Context, req transfer.CheckRequest) ([]transfer.CheckRow, error) {
	p.asked = req
	return p.rows, nil
}

func (p *plugin) Stat(_ context.Context, _ []string, paths []string) ([]transfer.PathInfo, error) {
	out := make([]transfer.PathInfo, 0, len(paths))
	for _, path := range paths {
		out = append(out, transfer.PathInfo{Path: path, Exists: p.files[path]})
	}
	return out, nil
}

// scene is a server that is set up well, to be spoiled by tests.
type scene struct {
	*Checker
	t      *testing.T
	facts  Facts
	stream postgres.Identity
	plugin *plugin
}

func newScene(t *testing.T) *scene {
	layout := catalog.DefaultLayout(t.TempDir(), "main")
	s := &scene{
		t: t,
		facts: Facts{
			Version: postgres.Version{Num: 150018, Text: "15.18"}, SystemID: 42, DataDirectory: "/pg", WALLevel: "replica",
			Privileges:  postgres.Privileges{Backup: true, Monitoring: true},
			ArchiveMode: "on", ArchiveCommand: "barman-wal-archive backup main %p", Archiver: &postgres.Archiver{IsArchiving: true},
		},
		stream: postgres.Identity{SystemID: 42},
		plugin: &plugin{rows: []transfer.CheckRow{
			{Label: "ssh", OK: true, Hint: "PostgreSQL server"}, {Label: "ssh output clean", OK: true, OnlyFailure: true},
		}},
	}
	locked := func(context.Context) (func() error, error) { return func() error { return nil }, nil }
	s.Checker = &Checker{
		Server: "main", Active: true, Layout: layout, Catalog: catalog.New(layout), LockDir: t.TempDir(), Archiver: true,
		Index:  catalog.NewWALIndex(layout, locked, catalog.IdentifyFormat),
		SQL:    func(context.Context) (*Facts, error) { return &s.facts, nil },
		Method: "rsync", Request: transfer.CheckRequest{Remote: []string{"ssh", "pg"}},
		OpenTransfer:   func(context.Context) (Transfer, transfer.Mode, error) { return s.plugin, transfer.FileCopy, nil },
		OpenCompressor: func(context.Context) error { return nil },
		Now:            func() time.Time { return noon },
	}
	return s
}

// backup adds a backup of 23.4 MiB, with two segments of its own and one after it.
func (s *scene) backup(id string, status catalog.Status) *catalog.BackupInfo {
	s.t.Helper()
	b := catalog.NewBackupInfo(id, "main", catalog.ModeRsyncConcurrent)
	b.Status, b.Size, b.EndTime, b.PGData = status, catalog.Int(24_536_679), noon.Add(-26*time.Hour), "/pg"
	b.BeginWAL, b.EndWAL, b.Timeline = s.segment(2), s.segment(3), 1
	if err := s.Checker.Catalog.(*catalog.Catalog).Save(b); err != nil {
		s.t.Fatal(err)
	}
	return b
}

func (s *scene) segment(n int) wal.Segment {
	seg, err := wal.ParseSegment(fmt.Sprintf("00000001000000000000%04X", n))
	if err != nil {
		s.t.Fatal(err)
	}
	return seg
}

// archived writes the index: segments 2 to 4.
func (s *scene) archived() {
	s.t.Helper()
	text := ""
	for n := 2; n <= 4; n++ {
		text += fmt.Sprintf("%s\t%d\t%d\tNone\tNone\n", s.segment(n), 16<<20, noon.Add(-time.Duration(10-n)*time.Hour).Unix())
	}
	s.file(s.Layout.WALIndexPath(), text)
}

func (s *scene) file(path, text string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// text is the report as the console shows it.
func text(r *Report) string {
	var b strings.Builder
	for _, row := range r.Rows {
		state := "FAILED"
		if row.OK {
			state = "OK"
		}
		fmt.Fprintf(&b, "%s: %s", row.Label, state)
		if row.Hint != "" {
			fmt.Fprintf(&b, " (%s)", row.Hint)
		}
		b.WriteByte('\n')
		for _, line := range row.Details {
			fmt.Fprintf(&b, "\t%s\n", line)
		}
	}
	return b.String()
}

func (s *scene) run() string { return text(s.Run(s.t.Context(), 0)) }

func TestHealthyServerWithRsyncAndFileArchiving(t *testing.T) {
	s := newScene(t)
	s.backup("20260109T100000", catalog.StatusDone)
	s.archived()
	want := `PostgreSQL: OK
superuser or standard user with backup privileges: OK
wal_level: OK
directories: OK
retention policy settings: OK
backup maximum age: OK (no last_backup_maximum_age provided)
backup minimum size: OK (23.4 MiB)
wal maximum age: OK (no last_wal_maximum_age provided)
wal size: OK (16.0 MiB)
compression settings: OK
failed backups: OK (there are 0 failed backups)
minimum redundancy requirements: OK (have 1 non-incremental backups, expected at least 0)
ssh: OK (PostgreSQL server)
systemid coherence: OK (no system Id stored on disk)
archive_mode: OK
archive_command: OK
continuous archiving: OK
archiver errors: OK
`
	if diff := cmp.Diff(want, s.run()); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	for _, dir := range s.Layout.Directories() {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("a missing directory was not made: %v", err)
		}
	}
}

func TestHealthyServerWithStreaming(t *testing.T) {
	s := newScene(t)
	s.Method, s.Archiver, s.StreamingArchiver, s.SlotName = "postgres", false, true, "barman"
	s.facts.Slot = &postgres.Slot{Name: "barman", Active: true, RestartLSN: 1 << 24, Retained: 48 << 20}
	s.Streaming = func(context.Context) (postgres.Identity, error) { return s.stream, nil }
	s.plugin.rows = []transfer.CheckRow{
		{Label: "pg_basebackup", OK: true},
		{Label: "pg_basebackup compatible", OK: true},
		{Label: "pg_basebackup supports tablespaces mapping", OK: true},
	}
	s.OpenTransfer = func(context.Context) (Transfer, transfer.Mode, error) { return s.plugin, transfer.SelfContained, nil }
	if _, err := catalog.New(s.Layout).WriteIdentity(catalog.Identity{SystemID: "42", Version: "15"}); err != nil {
		t.Fatal(err)
	}
	s.backup("20260109T100000", catalog.StatusWaitingForWALs)
	l, err := lock.Acquire(t.Context(), s.LockDir, lock.ForServer(lock.ReceiveWAL, "main"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	want := `PostgreSQL: OK
superuser or standard user with backup privileges: OK
PostgreSQL streaming: OK
wal_level: OK
replication slot: OK (the server keeps 48.0 MiB of WAL for it, with no limit but its disk (max_slot_wal_keep_size))
directories: OK
retention policy settings: OK
backup maximum age: OK (no last_backup_maximum_age provided)
backup minimum size: OK (23.4 MiB)
wal maximum age: OK (no last_wal_maximum_age provided)
wal size: OK (0 B)
compression settings: OK
failed backups: OK (there are 0 failed backups)
minimum redundancy requirements: OK (have 0 non-incremental backups, expected at least 0)
pg_basebackup: OK
pg_basebackup compatible: OK
pg_basebackup supports tablespaces mapping: OK
systemid coherence: OK
pg_receivexlog: OK
pg_receivexlog compatible: OK
receive-wal running: OK
archiver errors: OK
`
	if diff := cmp.Diff(want, s.run()); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if s.plugin.asked.ServerVersion != 150018 {
		t.Errorf("the plugin was asked about server version %d", s.plugin.asked.ServerVersion)
	}
}

func TestNewServerIsToldApartFromABrokenOne(t *testing.T) {
	const row = "WAL archive: FAILED (please make sure WAL shipping is setup"
	s := newScene(t)
	if got, want := s.run(), row+": it looks right, but no WAL has arrived yet; run 'barman switch-wal --force --archive main')\n"; !strings.HasPrefix(got, want) {
		t.Errorf("a new server:\n%s", got)
	}
	s.facts.Archiver = &postgres.Archiver{LastFailedWAL: "000000010000000000000001"}
	if got := s.run(); !strings.HasPrefix(got, row+")\n") {
		t.Errorf("a server whose archive_command fails:\n%s", got)
	}
	// The first backup must be possible as soon as anything has come in.
	for name, arrive := range map[string]func(*scene){
		"incoming":  func(s *scene) { s.file(filepath.Join(s.Layout.Incoming, s.segment(1).String()), "x") },
		"streaming": func(s *scene) { s.file(filepath.Join(s.Layout.Streaming, s.segment(1).String()+".partial"), "x") },
		"archived":  func(s *scene) { s.archived() },
		"waiting":   func(s *scene) { s.backup("20260109T100000", catalog.StatusWaitingForWALs) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.StreamingArchiver = name == "streaming"
			arrive(s)
			if got := s.run(); strings.Contains(got, "WAL archive") {
				t.Errorf("report:\n%s", got)
			}
		})
	}
}

func TestReplicationSlot(t *testing.T) {
	gib := int64(1 << 30)
	less := int64(-1)
	const kept = "the server keeps 32.0 MiB of WAL for it"
	for name, tc := range map[string]struct {
		slot *postgres.Slot
		want string
	}{
		"missing":         {nil, "FAILED (replication slot 'barman' doesn't exist. Please execute 'barman receive-wal --create-slot main')"},
		"not initialised": {&postgres.Slot{}, "FAILED (slot 'barman' not initialised: is 'receive-wal' running?)"},
		"not active": {
			&postgres.Slot{RestartLSN: 1, Retained: 32 << 20},
			"FAILED (slot 'barman' not active: is 'receive-wal' running?; " + kept + ", with no limit but its disk (max_slot_wal_keep_size))",
		},
		"no limit": {
			&postgres.Slot{RestartLSN: 1, Active: true, Retained: 32 << 20},
			"OK (" + kept + ", with no limit but its disk (max_slot_wal_keep_size))",
		},
		"a limit": { // 60 segments an hour
			&postgres.Slot{RestartLSN: 1, Active: true, Retained: 32 << 20, WALStatus: "reserved", Safe: &gib},
			"OK (" + kept + ", and 1.0 GiB more before it is lost, in about 1 hour, 4 minutes at the usual rate)",
		},
		"about to lose WAL": {
			&postgres.Slot{RestartLSN: 1, Active: true, Retained: 32 << 20, WALStatus: "unreserved", Safe: &less},
			"FAILED (slot 'barman' may lose WAL that was not received yet at the next checkpoint; raise max_slot_wal_keep_size; " +
				kept + ", and 0 B more before it is lost, in about less than one second at the usual rate)",
		},
		"lost": {
			&postgres.Slot{WALStatus: "lost"}, "FAILED (slot 'barman' has lost WAL that was not received yet; drop and create it again with " +
				"'barman receive-wal', and take a new backup)",
		},
	} {
		r := &rows{}
		c := &Checker{Server: "main", SlotName: "barman", StreamingArchiver: true}
		facts := &Facts{Slot: tc.slot, SegmentSize: wal.DefaultSegmentSize, Archiver: &postgres.Archiver{WALsPerSecond: 1. / 60}}
		c.slot(r, facts, nil, "")
		if diff := cmp.Diff("replication slot: "+tc.want+"\n", text(&Report{Rows: r.list})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// What was archived since the last backup tells more than an average since the server's statistics began.
func TestSlotLagUsesTheRateSinceTheLastBackup(t *testing.T) {
	gib := int64(1 << 30)
	slot := &postgres.Slot{RestartLSN: 1, Active: true, Safe: &gib}
	facts := &Facts{Slot: slot, SegmentSize: wal.DefaultSegmentSize, Archiver: &postgres.Archiver{WALsPerSecond: 1. / 60}}
	past := ask(t.Context(), 0, func(context.Context) (*history, error) { return &history{rate: 1}, nil })
	if got := slotLag(slot, walRate(facts, past)); !strings.Contains(got, "in about 1 minute, 4 seconds") {
		t.Error(got)
	}
	facts.Archiver = nil
	if got := slotLag(slot, walRate(facts, nil)); !strings.Contains(got, "how long that takes is not known") {
		t.Error(got)
	}
	slow := 1e-300
	if got := slotLag(slot, slow); !strings.Contains(got, "in about 36500 days") {
		t.Error(got)
	}
}

func TestDisabledServerShowsItsMistakes(t *testing.T) {
	s := newScene(t)
	s.archived()
	s.Disabled, s.Messages = true, []string{"reuse_backup option is not supported by postgres backup_method"}
	got := s.run()
	if strings.Contains(got, "directories:") {
		t.Errorf("the directories of a disabled server were looked at:\n%s", got)
	}
	if !strings.Contains(got, "configuration: FAILED\n\treuse_backup option is not supported by postgres backup_method\nsystemid") {
		t.Errorf("report:\n%s", got)
	}
}

func TestDeadProbeHidesNoOther(t *testing.T) {
	dead := func(spoil func(*scene, func(context.Context) error)) string {
		var report string
		s := newScene(t)
		s.backup("20260109T100000", catalog.StatusDone)
		s.archived()
		synctest.Test(t, func(t *testing.T) {
			over := make(chan struct{})
			defer close(over)
			// A system call on a dead file system does not care about contexts either.
			spoil(s, func(context.Context) error { <-over; return errors.New("too late") })
			report = text(s.Run(t.Context(), 20*time.Second))
		})
		return report
	}
	for name, tc := range map[string]struct {
		spoil func(*scene, func(context.Context) error)
		want  []string
	}{
		"PostgreSQL": {
			func(s *scene, hang func(context.Context) error) {
				s.SQL = func(ctx context.Context) (*Facts, error) { return nil, hang(ctx) }
			},
			[]string{"PostgreSQL: FAILED (no answer within 15s)", "ssh: OK (PostgreSQL server)"},
		},
		"ssh": {
			func(s *scene, hang func(context.Context) error) {
				s.OpenTransfer = func(ctx context.Context) (Transfer, transfer.Mode, error) { return nil, 0, hang(ctx) }
			},
			[]string{"PostgreSQL: OK", "ssh: FAILED (no answer within 20s)"},
		},
		"compression": {
			func(s *scene, hang func(context.Context) error) { s.OpenCompressor = hang },
			[]string{"PostgreSQL: OK", "compression settings: FAILED (no answer within 20s)", "ssh: OK (PostgreSQL server)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := dead(tc.spoil)
			for _, line := range append(tc.want, "check timeout: FAILED (barman check command timed out)") {
				if !strings.Contains(got, line+"\n") {
					t.Errorf("%q is missing in:\n%s", line, got)
				}
			}
		})
	}
}
