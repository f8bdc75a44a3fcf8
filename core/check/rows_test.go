package check

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/sdk/transfer"
)

// Each case spoils one thing; wanted are the rows that are then new or different.
func TestRows(t *testing.T) {
	day := 24 * time.Hour
	big, small, two := int64(1<<30), int64(1<<20), 2
	cases := map[string]struct {
		spoil func(*scene)
		want  string
	}{
		"PostgreSQL does not answer": {
			func(s *scene) {
				s.SQL = func(context.Context) (*Facts, error) { return nil, errors.New("connection refused\n") }
			},
			"PostgreSQL: FAILED (connection refused)\nsystemid coherence: OK (no system Id available)\n",
		},
		"backup_label left on a server that does not run": {
			func(s *scene) {
				s.SQL = func(context.Context) (*Facts, error) { return nil, errors.New("connection refused") }
				s.plugin.files = map[string]bool{"/pg/backup_label": true}
			},
			"PostgreSQL: FAILED (connection refused)\n" +
				"backup_label: FAILED (Check that the PostgreSQL server is up and no 'backup_label' file is in PGDATA.)\n" +
				"systemid coherence: OK (no system Id available)\n",
		},
		"too few privileges": {
			func(s *scene) { s.facts.Privileges = postgres.Privileges{} },
			"no access to backup functions: FAILED (privileges for PostgreSQL backup functions are required (see documentation))\n",
		},
		"wal_level": {
			func(s *scene) { s.facts.WALLevel = "minimal" },
			"wal_level: FAILED (please set it to a higher level than 'minimal')\n",
		},
		"archive_mode": {
			func(s *scene) { s.facts.ArchiveMode, s.facts.ArchiveCommand = "off", "(disabled)" },
			"archive_mode: FAILED (please set it to 'on' or 'always')\n" +
				"archive_command: FAILED (please set it accordingly to documentation)\n",
		},
		"archive_command fails": {
			func(s *scene) {
				s.facts.Archiver = &postgres.Archiver{LastFailedWAL: "000000010000000000000005", LastFailedTime: noon.Local()}
			},
			"continuous archiving: FAILED (PostgreSQL could not archive 000000010000000000000005 at " +
				noon.Local().Format("2006-01-02 15:04:05") + "; see its log, and run archive_command by hand)\n",
		},
		"archive_library": {
			func(s *scene) { s.facts.ArchiveCommand, s.facts.ArchiveLibrary = "", "basic_archive" },
			"",
		},
		"another cluster": {
			func(s *scene) { s.file(s.Layout.IdentityPath(), `{"systemid": "43", "version": "15"}`) },
			"systemid coherence: FAILED (the system Id of the connected PostgreSQL server changed, stored in \"ROOT/identity.json\")\n",
		},
		"streaming from another server": {
			func(s *scene) {
				s.Streaming = func(context.Context) (postgres.Identity, error) { return postgres.Identity{SystemID: 7}, nil }
			},
			"PostgreSQL streaming: OK\nsystemid coherence: FAILED " +
				"(is the streaming DSN targeting the same server of the PostgreSQL connection string?)\n",
		},
		"not a standby": {
			func(s *scene) { s.Primary = s.SQL },
			"PostgreSQL server is standby: FAILED (conninfo should point to a standby server if primary_conninfo is set)\n",
		},
		"primary of another cluster that is a standby itself": {
			func(s *scene) {
				s.facts.InRecovery = true
				s.Primary = func(context.Context) (*Facts, error) { return &Facts{InRecovery: true, SystemID: 7}, nil }
			},
			"PostgreSQL server is standby: OK\n" +
				"Primary server is not a standby: FAILED (primary_conninfo should point to a primary server, not a standby)\n" +
				"Primary and standby have same system ID: FAILED (primary_conninfo and conninfo should point to primary and standby " +
				"servers which share the same system identifier)\n",
		},
		"WAL from another connection": {
			func(s *scene) { s.WALSQL = s.SQL },
			"has monitoring privileges (WAL streaming): OK\nwal_level (WAL streaming): OK\n" +
				"systemid coherence (WAL streaming): OK (no system Id stored on disk)\n",
		},
		"slot without use": {
			func(s *scene) { s.SlotName, s.facts.Slot = "barman", &postgres.Slot{RestartLSN: 1} },
			"replication slot: OK (WARNING: slot 'barman' is initialised but not required by the current config)\n",
		},
		"files wait though archiver is off": {
			func(s *scene) {
				s.Archiver = false
				s.file(filepath.Join(s.Layout.Incoming, "000000010000000000000005"), "")
			},
			"empty incoming directory: FAILED ('ROOT/incoming' must be empty when archiver=off)\n",
		},
		"no space": {
			func(s *scene) { s.Policy.FreeSpace = func() error { return errors.New("not enough space") } },
			"free space for WAL: FAILED (not enough space; delete backups, or make the disk larger: until then PostgreSQL has to keep its WAL)\n",
		},
		"queue": {
			func(s *scene) {
				s.Policy.MaximumQueue = &two
				for n := range 3 {
					s.file(filepath.Join(s.Layout.Incoming, s.segment(n).String()), "")
					s.file(filepath.Join(s.Layout.Incoming, fmt.Sprintf(".x%d.tmp", n)), "")
				}
			},
			"incoming WALs directory: FAILED (there are too many WALs in queue: 3, max 2)\n",
		},
		"directory that cannot be made": {
			func(s *scene) { s.Layout.Errors = filepath.Join(s.Layout.WALIndexPath(), "errors") },
			"WAL directories: FAILED (open ROOT/wals/main-xlog.db/errors: not a directory)\n" +
				"directories: FAILED (ROOT/wals/main-xlog.db/errors: not a directory)\n",
		},
		"retention policy": {
			func(s *scene) { s.Policy.BadRetention = true },
			"retention policy settings: FAILED (see log)\n",
		},
		"limits that are kept": {
			func(s *scene) {
				age, walAge := 2*day, 7*time.Hour
				s.Policy = Policy{BackupMaximumAge: &age, WALMaximumAge: &walAge, BackupMinimumSize: &small, MinimumRedundancy: 1}
			},
			"backup maximum age: OK (interval provided: 2 days, latest backup age: 1 day, 2 hours)\n" +
				"backup minimum size: OK (last backup size 23.4 MiB > 1.0 MiB minimum)\n" +
				"wal maximum age: OK (interval provided: 7 hours, latest wal age: 6 hours)\n" +
				"minimum redundancy requirements: OK (have 1 non-incremental backups, expected at least 1)\n",
		},
		"limits that are not kept": {
			func(s *scene) {
				age, walAge := day, 5*time.Hour
				s.Policy = Policy{BackupMaximumAge: &age, WALMaximumAge: &walAge, BackupMinimumSize: &big, MinimumRedundancy: 2}
			},
			"backup maximum age: FAILED (interval provided: 1 day, latest backup age: 1 day, 2 hours)\n" +
				"backup minimum size: FAILED (last backup size 23.4 MiB < 1.0 GiB minimum)\n" +
				"wal maximum age: FAILED (interval provided: 5 hours, latest wal age: 6 hours)\n" +
				"minimum redundancy requirements: FAILED (have 1 non-incremental backups, expected at least 2)\n",
		},
		"failed and unreadable backups": {
			func(s *scene) {
				s.backup("20260108T100000", catalog.StatusFailed)
				s.file(s.Layout.InfoPath("20260107T100000"), "status=\x00")
			},
			"unreadable backups: FAILED …\nfailed backups: FAILED (there are 1 failed backups)\n",
		},
		"compression plugin is missing": {
			func(s *scene) {
				s.OpenCompressor = func(context.Context) error { return errors.New("no plugin compress/gzpi\n  looked in /x\n") }
			},
			"compression settings: FAILED (no plugin compress/gzpi; looked in /x)\n",
		},
		"transfer plugin is missing": {
			func(s *scene) {
				s.OpenTransfer = func(context.Context) (Transfer, transfer.Mode, error) { return nil, 0, errors.New("not found") }
			},
			"ssh: FAILED (not found)\n",
		},
		"local data directory": {
			func(s *scene) {
				s.Method, s.plugin.rows, s.facts.DataDirectory = "local-rsync", nil, s.Layout.Backup
				s.file(filepath.Join(s.Layout.Backup, "global", "pg_control"), "")
			},
			"local PGDATA: OK (Access to local PGDATA)\n",
		},
		"local data directory of somebody else": {
			func(s *scene) { s.Method, s.plugin.rows, s.facts.DataDirectory = "local-rsync", nil, "/no such place" },
			"local PGDATA: FAILED (open /no such place: no such file or directory; run barman as the owner of the data directory, " +
				"on the host of PostgreSQL)\n",
		},
		"ssh talks": {
			func(s *scene) {
				s.plugin.rows[1] = transfer.CheckRow{Label: "ssh output clean", Hint: "no", OnlyFailure: true}
			},
			"ssh output clean: FAILED (no)\n",
		},
		"exclusive backup of version 15": {
			func(s *scene) { s.Exclusive = true },
			"not in recovery: OK\nexclusive backup supported: FAILED (exclusive backups not supported on PostgreSQL 15)\n",
		},
		"exclusive backup that nobody of this server is taking": {
			func(s *scene) {
				s.Exclusive, s.facts.Version.Num, s.facts.ExclusiveSince = true, 140001, noon
			},
			"not in recovery: OK\nexclusive backup supported: OK\nbackup mode: FAILED (PostgreSQL is in backup mode since " +
				noon.Local().Format("2006-01-02 15:04:05") + ", and no backup of 'main' is running: 'barman backup main' ends what an " +
				"interrupted backup has left; end anything else with SELECT pg_stop_backup())\n",
		},
		"files in errors": {
			func(s *scene) {
				for _, name := range []string{"a.duplicate", "b.duplicate", "c.unknown", "d.error", "e"} {
					s.file(filepath.Join(s.Layout.Errors, name), "")
				}
			},
			"archiver errors: FAILED (duplicates: 2, unknown: 1, not relevant: 1, unknown failure: 1)\n",
		},
		"broken lines in the index": {
			func(s *scene) { s.file(s.Layout.WALIndexPath(), "rubbish\n") },
			"wal size: OK (0 B)\nWAL index: FAILED (1 lines of ROOT/wals/main-xlog.db cannot be understood; " +
				"run 'barman rebuild-xlogdb main')\n",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			before := newScene(t)
			before.backup("20260109T100000", catalog.StatusDone)
			before.archived()
			good := strings.Split(before.run(), "\n")
			s := newScene(t)
			s.backup("20260109T100000", catalog.StatusDone)
			s.archived()
			tc.spoil(s)
			var got strings.Builder
			for line := range strings.Lines(s.run()) {
				line = strings.ReplaceAll(line, s.Layout.Backup, "ROOT")
				if strings.HasPrefix(line, "unreadable backups: FAILED (") {
					line = "unreadable backups: FAILED …\n" // the words are the catalog's
				}
				if !slices.Contains(good, strings.TrimSuffix(line, "\n")) {
					got.WriteString(line)
				}
			}
			if diff := cmp.Diff(tc.want, got.String()); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}
