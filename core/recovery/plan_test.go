package recovery

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/transfer"
)

// mustSegment parses the name of a segment.
func mustSegment(t testing.TB, name string) wal.Segment {
	t.Helper()
	s, err := wal.ParseSegment(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// examplePlan is a plan in which everything that can be shown is there.
func examplePlan(t testing.TB) *Plan {
	t.Helper()
	b := testBackup(1, 150004)
	b.BackupName, b.Size = "weekly", catalog.Int(40_000_000)
	b.BeginTime = b.EndTime.Add(-5 * time.Minute)
	rome, err := time.LoadLocation("Europe/Rome")
	if err != nil {
		t.Fatal(err)
	}
	york, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	target, err := ParseTarget(&Options{TargetTime: "2026-01-10 12:00:00.5", TargetAction: "promote"}, rome)
	if err != nil {
		t.Fatal(err)
	}
	return &Plan{
		Server: serverName, Backup: b, Reason: "the newest backup that ended before the target time", Target: target,
		Destination: "/srv/pg", Remote: "ssh postgres@db2",
		Tablespaces:     []Tablespace{{Name: "hot", Location: "/fast/hot", Relocated: true}, {Name: "cold", Location: "/cold"}},
		Timeline:        2,
		Path:            wal.Path{{Timeline: 1, Begin: b.BeginLSN, End: 0x540000}, {Timeline: 2, Begin: 0x540000, End: wal.MaxLSN}},
		TimelineSetting: "2", WALDirectory: "/srv/pg/barman_wal",
		WAL: WALRange{
			Begin: b.BeginLSN, Required: b.EndLSN, Available: 0x500000,
			Files:     []WALFile{{Name: "000000010000000000000002"}, {Name: "000000010000000000000003"}, {Name: "000000010000000000000004"}},
			Histories: []WALFile{{Name: "00000002.history"}},
			Missing: []wal.Segment{
				mustSegment(t, "000000020000000000000005"), mustSegment(t, "000000020000000000000006"), mustSegment(t, "000000020000000000000009"),
			},
			Newest: time.Date(2026, 1, 10, 18, 33, 12, 345678000, time.UTC),
		},
		Space:     []Space{{Directory: "/fast/hot", Need: 1 << 20, Free: 5 << 30}, {Directory: "/srv/pg", Need: 40_000_000, Free: -1}},
		Found:     &Found{Places: map[string]Place{"/srv/pg": {PathInfo: transfer.PathInfo{Exists: true, Type: "directory", Writable: true}}}},
		Clocks:    []Clock{{"UTC", time.UTC}, {"here", rome}, {"server", york}},
		Tools:     []Tool{{Name: "rsync", Found: true, Version: "3.2.7"}, {Name: "ssh", Found: true, Version: "9.2p1"}, {Name: "rsync", There: true}},
		Owner:     "postgres",
		Installed: []string{"15.14", "17.6"}, Port: 5432, PortInUse: true,
		Estimate: Estimate{Time: 250 * time.Second, Bytes: 41_000_000, BytesPerSecond: 1 << 20, Backup: "20260109T100000"},
		Warnings: []string{"The archive does not have WAL files 000000020000000000000005 to 000000020000000000000006: recovery can only go up to 0/500000."},
		Problems: []Problem{
			{Summary: "rsync is needed on the other host to copy files, and was not found", Advice: "Install it there."},
			{Summary: "You cannot"},
		},
	}
}

func TestPlanIsLaidOutForATerminal(t *testing.T) {
	const want = `Plan for a restore of server main: nothing has been restored

Backup      20260110T100000 "weekly", PostgreSQL 15, postgres, 38.1 MiB
            the newest backup that ended before the target time
            taken from 2026-01-10 10:00:00+00:00
                    to 2026-01-10 10:05:00+00:00
Target      time 2026-01-10 12:00:00.500000+01:00
            when it is reached: promote
Clocks      target                 possible from          to
  UTC       2026-01-10 11:00:00+00 2026-01-10 10:05:00+00 2026-01-10 18:33:12+00
  here      2026-01-10 12:00:00+01 2026-01-10 11:05:00+01 2026-01-10 19:33:12+01
  server    2026-01-10 06:00:00-05 2026-01-10 05:05:00-05 2026-01-10 13:33:12-05
Timeline    1, then 2 from 0/540000 on (00000002.history)
            recovery_target_timeline = 2
WAL         000000010000000000000002 to 000000010000000000000004
            3 files, 3.0 MiB, copied to /srv/pg/barman_wal
            needed from 0/200028 to 0/380000, archived up to 0/500000
  MISSING   000000020000000000000005 to 000000020000000000000006, 2 files
            000000020000000000000009
Destination /srv/pg
            on another host: ssh postgres@db2
            empty
Tablespaces hot -> /fast/hot
            cold -> /cold (as it was)
Space          1.0 MiB needed,    5.0 GiB free  /fast/hot
              38.1 MiB needed,    unknown free  /srv/pg
Tools here  rsync 3.2.7, ssh 9.2p1
Tools there rsync MISSING
PostgreSQL  15 is needed to start it; found: 15.14, 17.6
Owner       postgres
Port        5432, IN USE
Time        about 4 minutes to copy 39.1 MiB, an estimate from the rate at which
            backup 20260109T100000 was taken (1.0 MiB/s); what PostgreSQL takes
            to replay WAL comes on top

Warning     The archive does not have WAL files 000000020000000000000005 to
            000000020000000000000006: recovery can only go up to 0/500000.

PROBLEM     rsync is needed on the other host to copy files, and was not found
  to do     Install it there.

PROBLEM     You cannot

FAILED  The restore cannot start: 2 problems, see above.
`
	var console bytes.Buffer
	report.New(report.Options{Stdout: &console}).Result(examplePlan(t))
	if diff := cmp.Diff(want, console.String()); diff != "" {
		t.Errorf("console (-want +got):\n%s", diff)
	}
	for line := range strings.Lines(console.String()) {
		if len(strings.TrimSpace(line)) > planWidth {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
}

func TestTargetTimeIsShownOnAllClocks(t *testing.T) {
	p := examplePlan(t)
	const want = "Clocks: UTC 2026-01-10 11:00:00.500000+00:00, here 2026-01-10 12:00:00.500000+01:00, server 2026-01-10 06:00:00.500000-05:00"
	if got := p.onClocks(p.Target.Time); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestPlanIsDataInJSON(t *testing.T) {
	var document bytes.Buffer
	if err := report.EncodeJSON(&document, examplePlan(t).JSON(), 0); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Plan struct {
			Possible bool
			Backup   struct {
				ID string `json:"backup_id"`
			}
			Clocks []struct {
				Clock, Target string
				PossibleFrom  string `json:"possible_from"`
				PossibleTo    string `json:"possible_to"`
			}
			Timeline struct {
				Path []struct {
					Timeline int
					History  *string `json:"history_file"`
				}
			}
			WAL struct {
				First, Last string
				Missing     []struct {
					First, Last string
					Files       int
				}
			}
			Space []struct {
				Directory string
				Free      *int64
			}
			Problems []struct {
				Summary string
				Advice  *string
			}
		}
	}
	if err := json.Unmarshal(document.Bytes(), &got); err != nil {
		t.Fatalf("%v\n%s", err, &document)
	}
	p := got.Plan
	switch {
	case p.Possible, p.Backup.ID != "20260110T100000", len(p.Problems) != 2, p.Problems[1].Advice != nil:
		t.Errorf("%+v", p)
	case len(p.Clocks) != 3 || p.Clocks[2].Target != "2026-01-10 06:00:00.500000-05:00" || p.Clocks[0].PossibleTo != "2026-01-10 18:33:12+00:00":
		t.Errorf("clocks %+v", p.Clocks)
	case len(p.Timeline.Path) != 2 || p.Timeline.Path[0].History != nil || *p.Timeline.Path[1].History != "00000002.history":
		t.Errorf("timeline %+v", p.Timeline)
	case len(p.WAL.Missing) != 2 || p.WAL.Missing[0].Files != 2 || p.WAL.Missing[1].Last != "000000020000000000000009":
		t.Errorf("gaps %+v", p.WAL.Missing)
	case p.Space[0].Free == nil || p.Space[1].Free != nil:
		t.Errorf("space %+v", p.Space)
	}
}

func TestWrapKeepsLongWordsWhole(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "",
		"short":                  "short",
		"two words that wrap":    "two words|that wrap",
		"/a/very/long/path then": "/a/very/long/path|then",
		"and /a/very/long/path":  "and|/a/very/long/path",
	} {
		if got := strings.Join(wrap(text, 10), "|"); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestEstimateGoesByTheBackupThatCopiedMost(t *testing.T) {
	usable := func(id string, size, deduplicated int64, seconds float64) *catalog.BackupInfo {
		b := catalog.NewBackupInfo(id, serverName, catalog.ModePostgres)
		b.Size, b.CopyStats = catalog.Int(size), catalog.CopyStats{CopyTime: seconds}
		if deduplicated >= 0 {
			b.DeduplicatedSize = catalog.Int(deduplicated)
		}
		return b
	}
	full, increment := usable("full", 1000<<20, -1, 100), usable("increment", 1000<<20, 1<<20, 100)
	p := &Plan{Space: []Space{{Directory: "/srv/pg", Need: 500 << 20}}}
	for name, tc := range map[string]struct {
		limit  int
		usable []*catalog.BackupInfo
		want   Estimate
	}{
		"nothing known":   {0, []*catalog.BackupInfo{usable("old", 10, -1, 0)}, Estimate{Bytes: 500 << 20}},
		"by a backup":     {0, []*catalog.BackupInfo{full, increment}, Estimate{Time: 50 * time.Second, Bytes: 500 << 20, BytesPerSecond: 10 << 20, Backup: "full"}},
		"below the limit": {20 << 10, []*catalog.BackupInfo{full}, Estimate{Time: 50 * time.Second, Bytes: 500 << 20, BytesPerSecond: 10 << 20, Backup: "full"}},
		"by the limit":    {5 << 10, []*catalog.BackupInfo{full}, Estimate{Time: 100 * time.Second, Bytes: 500 << 20, BytesPerSecond: 5 << 20}},
	} {
		if diff := cmp.Diff(tc.want, p.estimate(&Options{BandwidthLimit: tc.limit}, tc.usable, 0)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	// What a directory with content needs is all that counts there.
	want := Estimate{Time: time.Second, Bytes: 10 << 20, BytesPerSecond: 10 << 20, Backup: "full", AtMost: true}
	if diff := cmp.Diff(want, (&Plan{}).estimate(&Options{}, []*catalog.BackupInfo{full}, 10<<20)); diff != "" {
		t.Errorf("delta (-want +got):\n%s", diff)
	}
}

func TestRestoredConfigurationIsReadAsPostgresReadsIt(t *testing.T) {
	for name, tc := range map[string]struct {
		files  map[string]string
		port   int
		server string
	}{
		"no configuration": {map[string]string{"postgresql.auto.conf": "port = 1\n"}, 0, ""},
		"defaults":         {map[string]string{"postgresql.conf": "#port = 1\n"}, 5432, "GMT"},
		"set":              {map[string]string{"postgresql.conf": "Port=5433 # x\nTimeZone 'Europe/Rome'\n"}, 5433, "Europe/Rome"},
		"last one wins": {map[string]string{
			"postgresql.conf": "port = 1\nport = 2\n", "postgresql.auto.conf": "timezone = 'UTC'\nport = '3'\n",
		}, 3, "UTC"},
		"includes": {map[string]string{
			"postgresql.conf": "include_dir 'conf.d'\ninclude = '/pg/more.conf'\ninclude_if_exists = 'none.conf'\ninclude '/etc/x.conf'\n",
			"conf.d/a.conf":   "port = 7\n", "conf.d/b.cnf": "port = 8\n", "more.conf": "timezone = 'America/New_York'\n",
		}, 7, "America/New_York"},
		"a circle":  {map[string]string{"postgresql.conf": "include 'postgresql.conf'\nport = 9\n"}, 9, "GMT"},
		"no port":   {map[string]string{"postgresql.conf": "port = many\n"}, 0, "GMT"},
		"no zone":   {map[string]string{"postgresql.conf": "timezone = 'Middle/Earth'\n"}, 5432, ""},
		"this host": {map[string]string{"postgresql.conf": "timezone = 'Local'\n"}, 5432, ""},
	} {
		dir := t.TempDir()
		for file, content := range tc.files {
			path := filepath.Join(dir, file)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		conf := readConf(dir, "/pg")
		server := ""
		for _, c := range clocks(time.UTC, conf) {
			if c.Name == "server" {
				server = c.Zone.String()
			}
		}
		if conf.port() != tc.port || server != tc.server {
			t.Errorf("%s: port %d, zone %q; want %d, %q", name, conf.port(), server, tc.port, tc.server)
		}
	}
}

func TestClusterOfAnotherVersionIsNotReplaced(t *testing.T) {
	place := Place{PathInfo: transfer.PathInfo{Exists: true, Type: "directory", Writable: true, HasEntries: true}}
	for version, want := range map[string]string{
		"": "", "15": "", "13": "holds a cluster of PostgreSQL 13, and the backup is of PostgreSQL 15", "9.6": "of PostgreSQL 9.6",
	} {
		p := &Plan{Server: serverName, Backup: testBackup(1, 150004), Destination: "/srv/pg", Delta: true}
		p.checkDestinationFound(&Found{Places: map[string]Place{"/srv/pg": place}, Version: version})
		checkTexts(t, "PG_VERSION "+version, p.Problems, want)
	}
}

func TestOlderBackupIsNamedForATargetBeforeTheEnd(t *testing.T) {
	older, newer := testBackup(1, 150004), testBackup(1, 150004)
	newer.ID, newer.EndTime, newer.EndLSN = "20260111T100000", older.EndTime.Add(24*time.Hour), 0x900000
	backups := catalog.NewBackups(serverName, older, newer)
	for name, tc := range map[string]struct {
		options Options
		want    string
	}{
		"time":                 {Options{TargetTime: "2026-01-10 12:00:00"}, "Choose backup 20260110T100000"},
		"time, current":        {Options{TargetTime: "2026-01-10 12:00:00", TargetTimeline: TimelineCurrent}, "Choose backup 20260110T100000"},
		"too early":            {Options{TargetTime: "2026-01-09 12:00:00"}, "no backup of this server ended before"},
		"LSN":                  {Options{TargetLSN: "0/500000"}, "Choose backup 20260110T100000"},
		"LSN, too early":       {Options{TargetLSN: "0/100000"}, "no backup of this server ended before"},
		"after it: no problem": {Options{TargetTime: "2026-01-12 12:00:00"}, ""},
	} {
		target, err := ParseTarget(&tc.options, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		p := &Plan{Backup: newer, Target: target}
		p.checkTarget(backups)
		checkTexts(t, name, p.Problems, tc.want)
	}
}

func TestConnectionThatFailsIsAProblemOfThePlan(t *testing.T) {
	remote := &Options{Remote: []string{"ssh", "db2"}, RemoteCommand: "ssh db2"}
	for _, tc := range []struct {
		options *Options
		err     error
		want    string
	}{
		{remote, nil, ""},
		{remote, errors.New("a mistake of our own"), ""},
		{&Options{}, diag.Diagnostic{Code: diag.CodeToolFailed}, ""},
		{remote, diag.Diagnostic{Code: diag.CodeConnectionFailed, Summary: "no route"}, "Unable to connect to the target host using the command 'ssh db2': no route"},
		{remote, diag.Diagnostic{Code: diag.CodeToolMissing, Summary: "no ssh"}, "Unable to connect"},
		{remote, diag.Diagnostic{Code: diag.CodeToolFailed, Summary: "ls failed"}, "cannot be looked at with the command 'ssh db2': ls failed"},
	} {
		problem := connectionProblem(t.Context(), tc.options, tc.err)
		if (problem == nil) != (tc.want == "") || problem != nil && !strings.Contains(problem.Summary, tc.want) {
			t.Errorf("%v: %v, want %q", tc.err, problem, tc.want)
		}
	}
}
