package recovery

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/transfer"
)

func TestAutoChoosesTheNewestBackupBeforeTheTarget(t *testing.T) {
	backup := func(id string, tli wal.TimelineID, end wal.LSN, at string, status catalog.Status) *catalog.BackupInfo {
		b := testBackup(tli, 150004)
		b.ID, b.EndLSN, b.Status = id, end, status
		b.EndTime, _ = time.Parse(time.RFC3339, at)
		return b
	}
	backups := catalog.NewBackups(serverName,
		backup("20260101T000000", 1, 0x1000000, "2026-01-01T01:00:00Z", catalog.StatusDone),
		backup("20260102T000000", 1, 0x2000000, "2026-01-02T01:00:00Z", catalog.StatusWaitingForWALs),
		backup("20260103T000000", 2, 0x3000000, "2026-01-03T01:00:00Z", catalog.StatusDone),
		backup("20260104T000000", 2, 0x4000000, "2026-01-04T01:00:00Z", catalog.StatusFailed),
	)
	for _, tc := range []struct {
		options      Options
		want, refuse string
	}{
		{options: Options{}, want: "20260103T000000"},
		{options: Options{TargetTimeline: "1"}, want: "20260102T000000"},
		{options: Options{TargetTime: "2026-01-02 01:00:00Z"}, want: "20260102T000000"},
		{options: Options{TargetTime: "2026-01-02 00:59:59Z"}, want: "20260101T000000"},
		{options: Options{TargetTime: "2026-01-05 00:00:00Z"}, want: "20260103T000000"},
		{options: Options{TargetTime: "2026-01-05 00:00:00Z", TargetTimeline: "1"}, want: "20260102T000000"},
		{options: Options{TargetTime: "2025-12-31 00:00:00Z"}, refuse: "Cannot find any candidate backup for recovery."},
		{options: Options{TargetLSN: "0/2000000"}, want: "20260102T000000"},
		{options: Options{TargetLSN: "0/1FFFFFF"}, want: "20260101T000000"},
		{options: Options{TargetXID: "1000"}, refuse: "'target_xid' recovery target is not allowed without a backup_id."},
		{options: Options{TargetImmediate: true}, refuse: "'target_immediate' recovery target is not allowed"},
		{options: Options{TargetTimeline: "current"}, refuse: "needs a backup_id"},
	} {
		tc.options.Backup = BackupAuto
		target, err := ParseTarget(&tc.options, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		b, reason, err := choose(&tc.options, target, backups)
		switch {
		case tc.refuse != "":
			if err == nil || !strings.Contains(err.Error(), tc.refuse) {
				t.Errorf("%+v: error %v, want %q", target, err, tc.refuse)
			}
		case err != nil:
			t.Errorf("%+v: %v", target, err)
		case b.ID != tc.want || reason == "":
			t.Errorf("%+v: chose %s (%s), want %s", target, b.ID, reason, tc.want)
		}
	}
}

func TestRequestsThatCannotWorkAreRefusedInBarmansWords(t *testing.T) {
	plain := func() *catalog.BackupInfo {
		b := testBackup(1, 150004)
		b.Tablespaces = []catalog.Tablespace{{Name: "hot", OID: 1, Location: "/srv/hot"}, {Name: "cold", OID: 2, Location: "/srv/cold"}}
		return b
	}
	changed := func(change func(*catalog.BackupInfo)) *catalog.BackupInfo {
		b := plain()
		change(b)
		return b
	}
	for name, tc := range map[string]struct {
		options Options
		backup  *catalog.BackupInfo
		want    string
	}{
		"staging path":     {Options{StagingPath: "x"}, plain(), "Cannot parse staging path: Invalid value : 'x' (must be an absolute path)"},
		"staging location": {Options{StagingLocation: "remote", LocationTyped: true}, plain(), "--staging-location as remote requires --remote-ssh-command to be set"},
		"status":           {Options{}, changed(func(b *catalog.BackupInfo) { b.Status = catalog.StatusFailed }), "Cannot restore from backup '20260110T100000' of server 'main': backup status is not DONE"},
		"compressed":       {Options{}, changed(func(b *catalog.BackupInfo) { b.Compression = "bzip2" }), "it is compressed with bzip2"},
		"encrypted":        {Options{}, changed(func(b *catalog.BackupInfo) { b.Encryption = "gpg" }), "it is encrypted"},
		"incremental": {
			Options{Remote: []string{"ssh", "db2"}, StagingLocation: "remote"},
			changed(func(b *catalog.BackupInfo) { b.ParentID = "20260101T000000" }), "such backups are combined on this host only",
		},
		"rule syntax":        {Options{Tablespaces: []string{"hot"}}, plain(), "Invalid tablespace relocation rule 'hot'\nHINT: The valid syntax for a relocation rule is NAME:LOCATION"},
		"rule name":          {Options{Tablespaces: []string{"warm:/x"}}, plain(), "Invalid tablespace name 'warm'\nHINT: Please use any of the following tablespaces: hot, cold"},
		"rule relative":      {Options{Tablespaces: []string{"hot:x"}}, plain(), "not an absolute path"},
		"rule twice":         {Options{Tablespaces: []string{"hot:/x", "hot:/y"}}, plain(), "two relocation rules"},
		"colon":              {Options{Destination: "db2:/srv/pg"}, plain(), "cannot contain the ':' character"},
		"relative":           {Options{Destination: "srv/pg"}, plain(), "not an absolute path"},
		"root":               {Options{Destination: "/srv/.."}, plain(), "cannot be /"},
		"line break":         {Options{Destination: "/srv/a\nb"}, plain(), "line break"},
		"conf file outside":  {Options{ConfFilename: "../x.conf"}, plain(), "not inside the destination"},
		"compression local":  {Options{NetworkCompression: true}, plain(), "Network compression requires a remote restore"},
		"snapshot arguments": {Options{SnapshotArguments: []string{"--gcp-zone"}}, plain(), "is not a snapshot backup but the following snapshot arguments have been used: --gcp-zone"},
	} {
		if tc.options.Destination == "" {
			tc.options.Destination = "/srv/pg"
		}
		if err := checkOptions(&tc.options, tc.backup); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q", name, err, tc.want)
		}
	}
	if err := checkOptions(&Options{Destination: "/srv/pg", Tablespaces: []string{"hot:/x:y"}}, plain()); err != nil {
		t.Errorf("a location may hold a colon: %v", err)
	}
}

func TestTargetsAreCheckedBeforeAnythingElse(t *testing.T) {
	for name, tc := range map[string]struct {
		options Options
		want    string
	}{
		"two":         {Options{TargetXID: "1000", TargetImmediate: true}, "You cannot specify multiple targets for the recovery operation"},
		"two others":  {Options{TargetTime: "2026-01-01", TargetName: "x"}, "You cannot specify multiple targets for the recovery operation"},
		"time":        {Options{TargetTime: "soon"}, "Unable to parse the target time parameter 'soon'"},
		"lsn":         {Options{TargetLSN: "12"}, "Invalid target LSN '12'"},
		"xid":         {Options{TargetXID: "2"}, "Invalid target transaction ID '2'"},
		"xid text":    {Options{TargetXID: "1'; x"}, "Invalid target transaction ID"},
		"name":        {Options{TargetName: strings.Repeat("n", 64)}, "at most 63 bytes"},
		"timeline":    {Options{TargetTimeline: "newest"}, "'newest' is not a valid recovery target timeline"},
		"timeline 0":  {Options{TargetTimeline: "0"}, "not a valid recovery target timeline"},
		"action":      {Options{TargetImmediate: true, TargetAction: "stop"}, "'stop' is not a valid recovery target action"},
		"action only": {Options{TargetAction: "promote"}, "Can't enable recovery target action when PITR is not required"},
	} {
		if target, err := ParseTarget(&tc.options, time.UTC); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %+v, error %v, want %q", name, target, err, tc.want)
		}
	}
}

func TestDestinationThatCannotTakeTheRestoreIsRefused(t *testing.T) {
	dir := func(change func(*Place)) Place {
		p := Place{PathInfo: transfer.PathInfo{Exists: true, Type: "directory", Writable: true, FreeBytes: 1 << 40}}
		if change != nil {
			change(&p)
		}
		return p
	}
	full := dir(func(p *Place) { p.HasEntries = true })
	marker := &Marker{Server: serverName, Backup: "20260110T100000", Directories: []string{"/srv/pg", "/srv/hot"}}
	for _, tc := range []struct {
		name      string
		delta     bool
		data, hot Place
		marker    *Marker
		started   bool
		pid       int
		want      string
	}{
		{name: "fine", data: dir(nil), hot: dir(nil)},
		{name: "not empty", data: full, hot: dir(nil), want: "because the destination folder '/srv/pg' is not empty"},
		{name: "tablespace not empty", data: dir(nil), hot: full, want: "because the tablespace hot destination folder '/srv/hot' is not empty"},
		{name: "delta", delta: true, data: full, hot: full},
		{name: "interrupted", data: full, hot: full, marker: marker},
		{name: "another restore was interrupted", data: full, hot: dir(nil), marker: &Marker{Server: serverName, Backup: "20260101T000000"}, want: "An interrupted restore of backup 20260101T000000 of server main is there"},
		{name: "complete but for the marker", data: full, hot: full, marker: marker, started: true, want: "PostgreSQL has been started in the destination '/srv/pg' since its restore"},
		{name: "read-only", data: dir(func(p *Place) { p.Writable = false }), hot: dir(nil), want: "cannot be written"},
		{name: "file", data: dir(func(p *Place) { p.Type = "file" }), hot: dir(nil), want: "is not a directory"},
		{name: "link", data: dir(nil), hot: dir(func(p *Place) { p.Type = "symlink" }), want: "is a symbolic link"},
		{name: "running", delta: true, data: full, hot: dir(nil), pid: 4711, want: "PostgreSQL is running in the destination '/srv/pg' (process 4711)"},
		{name: "maybe running", delta: true, data: full, hot: dir(nil), pid: -1, want: "PostgreSQL may be running"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := &Plan{
				Server: serverName, Backup: testBackup(1, 150004), Destination: "/srv/pg", WALDirectory: "/srv/pg/pg_wal", Delta: tc.delta,
				Tablespaces: []Tablespace{{Name: "hot", OID: 1, Location: "/srv/hot"}},
			}
			p.checkDestinationFound(&Found{Places: map[string]Place{"/srv/pg": tc.data, "/srv/hot": tc.hot}, Marker: tc.marker, Started: tc.started, Postmaster: tc.pid})
			checkTexts(t, "problem", p.Problems, tc.want)
		})
	}
}

func TestTablespacesMustNotMeet(t *testing.T) {
	for _, tc := range []struct{ hot, cold, want string }{
		{"/srv/hot", "/srv/cold", ""},
		{"/srv/hot", "/srv/hot", "into one another"},
		{"/srv/hot", "/srv/hot/cold", "into one another"},
		{"/srv/hot", "/srv/hotter", ""},
		{"/srv/pg", "/srv/cold", "over the destination directory"},
		{"/srv", "/var/cold", "over the destination directory"},
		{"/srv/pg/hot", "/srv/cold", ""},
		{"/srv/pg/base", "/srv/cold", "over a directory of the cluster itself"},
		{"/srv/pg/base/hot", "/srv/cold", ""},
	} {
		p := &Plan{Destination: "/srv/pg", Tablespaces: []Tablespace{{Name: "hot", Location: tc.hot}, {Name: "cold", Location: tc.cold}}}
		p.checkLayout()
		checkTexts(t, tc.hot+" "+tc.cold, p.Problems, tc.want)
	}
}

func TestNothingIsRestoredIntoACatalog(t *testing.T) {
	layout := catalog.DefaultLayout("/var/lib/barman", "main")
	layout.Base = "/backups/main"
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/var/lib/barman", link); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ destination, hot, wal, want string }{
		{"/srv/pg", "/srv/hot", "/srv/wal", ""},
		{"/var/lib/barman/mainly", "/srv/hot", "/srv/wal", ""},
		{"/var/lib/barman/main/x", "/srv/hot", "/srv/wal", "'/var/lib/barman/main/x' lies in the catalog of server main"},
		{"/srv/pg", "/backups/main/hot", "/srv/wal", "'/backups/main/hot' lies in the catalog"},
		{"/srv/pg", "/srv/hot", "/var/lib/barman/main/wals", "'/var/lib/barman/main/wals' lies in the catalog"},
		{"/var/lib/barman/other/base", "/srv/hot", "/srv/wal", "'/var/lib/barman/other/base' lies in the catalog of server other"},
		{link + "/main/x", "/srv/hot", "/srv/wal", "/link/main/x' lies in the catalog of server main"},
		{"/backups", "/srv/hot", "/srv/wal", "'/backups' holds the catalog of server main"},
	} {
		p := &Plan{
			Server: "main", Destination: tc.destination, WALDirectory: tc.wal, Tablespaces: []Tablespace{{Name: "hot", Location: tc.hot}},
		}
		p.checkOutside([]catalog.Layout{layout, catalog.DefaultLayout("/var/lib/barman", "other"), {Server: "broken", Backup: "relative"}})
		checkTexts(t, tc.destination+" "+tc.hot+" "+tc.wal, p.Problems, tc.want)
	}
}

// TestStagingWALIsRemovedAlone is about the rm -fr of recovery_end_command.
func TestStagingWALIsRemovedAlone(t *testing.T) {
	for _, tc := range []struct{ wal, hot, want string }{
		{"/srv/pg/barman_wal", "/srv/hot", ""},
		{"/srv/wal", "/srv/hot", ""},
		{"/srv/pg/pg_wal/staging", "/srv/hot", ""},
		{"/srv/pg", "/mnt/hot", "would be removed at the end of recovery"},
		{"/srv", "/mnt/hot", "would be removed at the end of recovery"},
		{"/srv/pg/pg_wal", "/srv/hot", "would be removed at the end of recovery"},
		{"/mnt", "/mnt/hot", "into one another"},
		{"/mnt/hot/wal", "/mnt/hot", "into one another"},
	} {
		p := &Plan{
			Destination: "/srv/pg", WALDirectory: tc.wal, Target: Target{Kind: ToImmediate},
			Tablespaces: []Tablespace{{Name: "hot", Location: tc.hot}},
		}
		p.checkLayout()
		checkTexts(t, tc.wal+" "+tc.hot, p.Problems, tc.want)
	}
}

func TestSpaceIsCountedPerFileSystem(t *testing.T) {
	for name, tc := range map[string]struct {
		space []Space
		want  string
	}{
		"enough":       {[]Space{{"/a", 10, 10, "1"}, {"/b", 10, 10, "2"}}, ""},
		"one disk":     {[]Space{{"/a", 2048, 3072, "1"}, {"/b", 2048, 3072, "1"}}, "'/a': 4.0 KiB are needed, 3.0 KiB are free"},
		"unknown disk": {[]Space{{"/a", 10, 15, ""}, {"/b", 10, 15, ""}}, ""},
		"unknown free": {[]Space{{"/a", 10, -1, ""}}, ""},
		"too small":    {[]Space{{"/a", 10, 9, ""}}, "not enough space"},
	} {
		p := &Plan{Space: tc.space}
		p.checkSpace()
		checkTexts(t, name, p.Problems, tc.want)
	}
}
