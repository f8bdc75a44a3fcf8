package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/check"
	"github.com/barman-go/barman/core/config"
	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/core/wal"
)

// rendered is a result as the writer prints it.
func rendered(t *testing.T, o report.Options, results ...report.Result) string {
	t.Helper()
	var out bytes.Buffer
	o.Stdout, o.Stderr = &out, &out
	w := report.New(o)
	for _, r := range results {
		w.Result(r)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func bytesOf(n int64) *int64 { return &n }

func sickReport() *check.Report {
	return &check.Report{Server: "main", Active: true, Rows: []check.Row{
		{Label: "PostgreSQL", Hint: "connection refused"},
		{Label: "backup minimum size", OK: true, Hint: "23.4 MiB", Bytes: bytesOf(24536679)},
		{Label: "wal size", OK: true, Hint: "2.9 KiB", Bytes: bytesOf(3000)},
		{Label: "systemid coherence (WAL streaming)", OK: true},
		{Label: "configuration", Details: []string{"no archiver"}},
	}}
}

func TestCheckLayout(t *testing.T) {
	r := checkResult{sickReport()}
	want := `Server main:
	PostgreSQL: FAILED (connection refused)
	backup minimum size: OK (23.4 MiB)
	wal size: OK (2.9 KiB)
	systemid coherence (WAL streaming): OK
	configuration: FAILED
		no archiver
`
	if diff := cmp.Diff(want, rendered(t, report.Options{}, r)); diff != "" {
		t.Errorf("console (-want +got):\n%s", diff)
	}
	want = `{"main": {"backup_minimum_size": {"hint": "23.4 MiB", "status": "OK"}, "configuration": {"hint": "", "status": "FAILED"}, ` +
		`"postgresql": {"hint": "connection refused", "status": "FAILED"}, ` +
		`"systemid_coherence_(wal_streaming)": {"hint": "", "status": "OK"}, "wal_size": {"hint": "2.9 KiB", "status": "OK"}}}`
	if diff := cmp.Diff(want, rendered(t, report.Options{JSON: true}, r)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	small := checkResult{&check.Report{Server: "off", Rows: []check.Row{{Label: "a", OK: true}, {Label: "b"}}}}
	want = "Server off (inactive):\n\ta: \x1b[32mOK\x1b[0m\n\tb: \x1b[31mFAILED\x1b[0m\n"
	if diff := cmp.Diff(want, rendered(t, report.Options{Color: true}, small)); diff != "" {
		t.Errorf("colours (-want +got):\n%s", diff)
	}
}

func TestNagios(t *testing.T) {
	good := func(name string, active bool) *check.Report {
		return &check.Report{Server: name, Active: active, Rows: []check.Row{
			{Label: "backup minimum size", OK: true, Bytes: bytesOf(40000000)}, {Label: "wal size", OK: true, Bytes: bytesOf(3000)},
		}}
	}
	bad := func(name string, active bool) *check.Report {
		return &check.Report{Server: name, Active: active, Rows: []check.Row{{Label: "ssh", Hint: "no route"}, {Label: "directories"}}}
	}
	for name, tc := range map[string]struct {
		reports  []*check.Report
		broken   bool
		want     string
		critical bool
	}{
		"one good": {
			[]*check.Report{good("pg", true)},
			false,
			"BARMAN OK - Ready to serve the Espresso backup for pg|pg=40000000B pg_wals=3000B", false,
		},
		"two good, one inactive with problems": {
			[]*check.Report{good("a", true), good("b", true), bad("off", false)},
			false,
			"BARMAN OK - Ready to serve the Espresso backup for 2 servers * a * b * IGNORING: off" +
				"|a=40000000B a_wals=3000B b=40000000B b_wals=3000B", false,
		},
		"only inactive with problems": {
			[]*check.Report{bad("off", false)}, false, "BARMAN OK - No server configured * IGNORING: off", false,
		},
		"none": {nil, false, "BARMAN OK - No server configured", false},
		"one bad": {
			[]*check.Report{bad("pg", true)},
			false,
			"BARMAN CRITICAL - server pg has issues * pg FAILED: ssh, directories\npg.ssh: FAILED (no route)\npg.directories: FAILED", true,
		},
		"one of several bad": {
			[]*check.Report{bad("a", true), good("b", true), bad("off", false)},
			false,
			"BARMAN CRITICAL - 2 server out of 3 have issues * a FAILED: ssh, directories * off FAILED: ssh, directories" +
				"|b=40000000B b_wals=3000B\na.ssh: FAILED (no route)\na.directories: FAILED\noff.ssh: FAILED (no route)\noff.directories: FAILED",
			true,
		},
		"no report because of the configuration": {nil, true, "BARMAN CRITICAL - Global configuration errors", true},
	} {
		text, critical := nagios(tc.reports, tc.broken)
		if diff := cmp.Diff(tc.want, text); diff != "" || critical != tc.critical {
			t.Errorf("%s: critical %v (-want +got):\n%s", name, critical, diff)
		}
	}
}

func TestListServersLayout(t *testing.T) {
	passive := &config.Server{Name: "pas", Active: true, Description: "passive", PrimarySSHCommand: "ssh primary"}
	servers := []*config.Server{
		{Name: "dis", Active: true, Disabled: true},
		{Name: "off", Description: "Off server"},
		passive,
		{Name: "pg", Active: true, Description: "My PG"},
		{Name: "plain", Active: true},
	}
	var all, minimal []report.Result
	for _, s := range servers {
		all, minimal = append(all, serverLine{s, false}), append(minimal, serverLine{s, true})
	}
	want := "dis -  (WARNING: disabled)\noff - Off server (inactive)\npas - passive (Passive)\npg - My PG\nplain\n"
	if diff := cmp.Diff(want, rendered(t, report.Options{}, all...)); diff != "" {
		t.Errorf("console (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("dis\noff\npas\npg\nplain\n", rendered(t, report.Options{}, minimal...)); diff != "" {
		t.Errorf("--minimal (-want +got):\n%s", diff)
	}
	want = `{"pg": {"description": "My PG"}}`
	if diff := cmp.Diff(want, rendered(t, report.Options{JSON: true}, minimal[3])); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
}

func TestStatusLayout(t *testing.T) {
	r := &serverStatus{server: "main"}
	r.add("active", "Active", "%s", pythonBool(true))
	size := int64(31 << 20)
	r.addPostgres(&postgres.Facts{Version: postgres.Version{Text: "15.18"}, ClusterSize: &size, DataDirectory: "/pg", InRecovery: true})
	want := "Server main:\n\tActive: True\n\tPostgreSQL version: 15.18\n\tCluster state: in archive recovery\n" +
		"\tCurrent data size: 31.0 MiB\n\tPostgreSQL Data directory: /pg\n"
	if diff := cmp.Diff(want, rendered(t, report.Options{}, r)); diff != "" {
		t.Errorf("console (-want +got):\n%s", diff)
	}
	r = &serverStatus{server: "main"}
	r.addPostgres(nil)
	want = `{"main": {"pg_version": {"description": "PostgreSQL version", "message": "FAILED trying to get PostgreSQL version"}}}`
	if diff := cmp.Diff(want, rendered(t, report.Options{JSON: true}, r)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
}

func TestShowServersLayout(t *testing.T) {
	d := &serverDetails{server: "main", state: " (inactive)", values: values{}}
	d.values.set("description", nil)
	d.values.set("conninfo", "host=pg password=secret")
	d.values.set("included_files", []string{"/a", "/b"})
	d.values.set("timeline", int64(3))
	d.values.set("rate", 0.25)
	d.values.set("is_archiving", true)
	d.values.set("archived", time.Date(2026, 1, 7, 10, 0, 0, 0, time.UTC))
	want := `Server main (inactive):
	archived: 2026-01-07 10:00:00+00:00
	conninfo: host=pg password=*REDACTED*
	description: None
	included_files: ['/a', '/b']
	is_archiving: True
	rate: 0.25
	timeline: 3
`
	if diff := cmp.Diff(want, rendered(t, report.Options{}, d)); diff != "" {
		t.Errorf("console (-want +got):\n%s", diff)
	}
	delete(d.values, "archived") // the zone of the machine
	want = `{"main": {"conninfo": "host=pg password=secret", "description": "(inactive)", "included_files": ["/a", "/b"], ` +
		`"is_archiving": true, "rate": 0.25, "timeline": 3}}`
	if diff := cmp.Diff(want, rendered(t, report.Options{JSON: true}, d)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
}

func TestPythonFloat(t *testing.T) {
	for f, want := range map[float64]string{0: "0.0", 2: "2.0", 0.25: "0.25", 0.00001: "1e-05", 0.0001: "0.0001", 1e6: "1000000.0"} {
		if got := pythonFloat(f); got != want {
			t.Errorf("pythonFloat(%v) = %q, want %q", f, got, want)
		}
	}
}

func replicationClients() *replicationResult {
	const here = wal.LSN(0x9000098)
	streamer := postgres.ReplicationClient{
		PID: 2501, User: "streaming_barman", ApplicationName: "barman_receive_wal", ClientAddress: "139.59.135.32", ClientPort: 58262,
		BackendStart: time.Date(2016, 9, 16, 10, 33, 1, 725883000, time.UTC), BackendXmin: "730", State: "streaming", SyncState: "sync",
		SyncPriority: 1, Sent: here, Write: here, Flush: here - 2048, SlotName: "barman",
	}
	standby := postgres.ReplicationClient{
		PID: 7, User: "rep", ApplicationName: "pg2", BackendStart: streamer.BackendStart, State: "streaming", SyncState: "async",
		Sent: here, Write: here, Flush: here, Replay: here - 16,
	}
	return &replicationResult{
		server: "pg", title: "streaming clients", allowed: true, lsn: here,
		clients: []replicationClient{{streamer, false}, {standby, true}},
	}
}

func TestReplicationStatusLayout(t *testing.T) {
	r := replicationClients()
	want := `Status of streaming clients for server 'pg':
  Current LSN on master: 0/9000098
  Number of streaming clients: 2

  1. #1 Sync WAL streamer
     Application name: barman_receive_wal
     Sync stage      : 3/3 Remote write
     Communication   : TCP/IP
     IP Address      : 139.59.135.32 / Port: 58262 / Host: -
     User name       : streaming_barman
     Current state   : streaming (sync)
     Replication slot: barman
     WAL sender PID  : 2501
     Started at      : 2016-09-16 10:33:01.725883+00:00
     Standby's xmin  : 730
     Sent LSN   : 0/9000098 (diff: 0 B)
     Write LSN  : 0/9000098 (diff: 0 B)
     Flush LSN  : 0/8FFF898 (diff: 2.0 KiB)

  2. Async standby
     Application name: pg2
     Sync stage      : 4/5 2-safe
     Communication   : Unix domain socket
     User name       : rep
     Current state   : streaming (async)
     WAL sender PID  : 7
     Started at      : 2016-09-16 10:33:01.725883+00:00
     Sent LSN   : 0/9000098 (diff: 0 B)
     Write LSN  : 0/9000098 (diff: 0 B)
     Flush LSN  : 0/9000098 (diff: 0 B)
     Replay LSN : 0/9000088 (diff: 16 B)
`
	if diff := cmp.Diff(want, rendered(t, report.Options{}, r)); diff != "" {
		t.Errorf("console (-want +got):\n%s", diff)
	}
	r.minimal = true
	want = `Streaming clients for master 'pg' (LSN @ 0/9000098):
  1. W) streaming_barman@139.59.135.32 S:0/9000098 W:0/9000098 P:1 AN:barman_receive_wal
  2. A) rep@socket S:0/9000098 F:0/9000098 R:0/9000088 P:0 AN:pg2
`
	if diff := cmp.Diff(want, rendered(t, report.Options{}, r)); diff != "" {
		t.Errorf("--minimal (-want +got):\n%s", diff)
	}
}

func TestReplicationStatusWithoutClients(t *testing.T) {
	r := &replicationResult{server: "pg", title: "WAL streamers", allowed: true, standby: true, lsn: 1}
	want := "Status of WAL streamers for server 'pg':\n  No WAL streamers attached\n"
	if diff := cmp.Diff(want, rendered(t, report.Options{}, r)); diff != "" {
		t.Errorf("console (-want +got):\n%s", diff)
	}
	want = `{"pg": {"server_lsn": null, "standby_info": "No WAL streamers attached", "wal_streamers": []}}`
	if diff := cmp.Diff(want, rendered(t, report.Options{JSON: true}, r)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	r.minimal = true
	want = "Wal streamers for slave 'pg':\n  No WAL streamers attached\n"
	if diff := cmp.Diff(want, rendered(t, report.Options{}, r)); diff != "" {
		t.Errorf("--minimal (-want +got):\n%s", diff)
	}
}
