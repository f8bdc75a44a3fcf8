package recovery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/test/lab"
)

// TestRestoredServerHasTheRowsOfItsTarget backs a server up in both layouts while rows are committed, restores it to
// every kind of target with the real plugins, starts PostgreSQL on the result and compares the rows with the ledger.
func TestRestoredServerHasTheRowsOfItsTarget(t *testing.T) {
	s := newSite(t, lab.ClusterOptions{WALSegmentSizeMB: 1})
	ledger := s.cluster.StartLedger(t, lab.LedgerOptions{Writers: 2, Tablespace: "hot"})
	more := func(n int) {
		t.Helper()
		if err := ledger.WaitCommits(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	more(20)
	s.backup(t, "20260110T100000", false)
	backup := s.backup(t, "20260110T110000", true)
	more(30)
	commits := ledger.Commits()
	middle := commits[len(commits)-10]
	moment := time.Now()
	more(10)
	// The writers are between two commits here and there, but never all at a point; the ledger knows what is
	// uncertain.
	point := mustLSN(t, s.cluster.MustSQL(t, "SELECT pg_create_restore_point('before the accident')"))
	more(10)
	position := mustLSN(t, s.cluster.MustSQL(t, "SELECT pg_current_wal_insert_lsn()"))
	const later = 12 // segments that only the end needs
	for range later {
		more(1)
		s.cluster.MustSQL(t, "SELECT pg_switch_wal()")
	}
	more(10)
	if err := ledger.Stop(); err != nil {
		t.Fatal(err)
	}
	s.archiveAll(t)
	s.compressWAL(t)

	for _, tc := range []struct {
		name    string
		options Options
		want    lab.Expectation
		check   func(t *testing.T, data string)
	}{
		{
			name:    "end",
			options: Options{Backup: "latest"},
			want:    ledger.AtEnd(),
			check: func(t *testing.T, data string) {
				wantNoFile(t, data, "recovery.signal", "barman_wal")
				wantFile(t, filepath.Join(data, "pg_wal", "archive_status", backup.BeginWAL.String()+".done"))
			},
		},
		{
			name:    "time",
			options: Options{Backup: "auto", TargetTime: moment.UTC().Format("2006-01-02 15:04:05.000000")},
			want:    ledger.AtTime(moment.Truncate(time.Microsecond)),
		},
		{
			name:    "lsn",
			options: Options{Backup: "oldest", TargetLSN: position.String()},
			want:    ledger.AtLSN(position),
		},
		{
			name:    "name",
			options: Options{Backup: "20260110T110000", TargetName: "before the accident"},
			want:    ledger.AtLSN(point),
		},
		{
			name:    "xid",
			options: Options{Backup: "20260110T100000", TargetXID: strconv.FormatUint(middle.XID, 10)},
			want:    ledger.AtCommit(middle),
		},
		{
			name:    "immediate",
			options: Options{Backup: "latest", TargetImmediate: true},
			want:    ledger.AtLSN(backup.EndLSN),
			check: func(t *testing.T, data string) {
				for _, f := range listDir(t, filepath.Join(data, "..", "wal it's %p")) {
					if f > backup.EndWAL.String() && !strings.HasSuffix(f, ".history") {
						t.Errorf("%s was copied, although recovery ends in %s", f, backup.EndWAL)
					}
				}
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := lab.ScratchDir(t)
			o := tc.options
			o.Destination, o.Workers = filepath.Join(dir, "data"), 2
			hot := filepath.Join(dir, "hot")
			o.Tablespaces = []string{"hot:" + hot}
			if o.TargetTime+o.TargetXID+o.TargetLSN+o.TargetName != "" || o.TargetImmediate {
				o.TargetAction = "promote"
			}
			if tc.name == "immediate" {
				// A path that needs every kind of quoting.
				o.StagingWALDirectory = filepath.Join(dir, "wal it's %p")
			}
			r, out, h := newRestorer(t, s.layout)
			result, err := r.Run(t.Context(), o)
			if err != nil {
				t.Fatalf("%v\n%s", err, strings.Join(out.infos, "\n"))
			}
			if h.pre != 1 || h.post != 1 {
				t.Errorf("hooks ran %d and %d times", h.pre, h.post)
			}
			wantNoFile(t, o.Destination, IncompleteFile, "tablespace_map", "postmaster.pid", "backup_manifest")
			wantFile(t, filepath.Join(o.Destination, InfoFile))
			if link, err := os.Readlink(filepath.Join(o.Destination, "pg_tblspc", s.oid)); err != nil || link != hot {
				t.Errorf("tablespace link: %q, %v", link, err)
			}
			if !slices.ContainsFunc(result.Changes, func(s Setting) bool { return s.Key == "archive_command" }) {
				t.Errorf("archive_command was not switched off: %+v", result.Changes)
			}
			if tc.check != nil {
				tc.check(t, o.Destination)
			}
			if all := complete(t, s, result.Plan.Backup); tc.name != "end" && len(result.Plan.WAL.Files) > all-later+1 {
				t.Errorf("%d of %d segments were copied, although the last %d come after the target", len(result.Plan.WAL.Files), all, later)
			}
			give(t, dir)
			restored := lab.OpenCluster(t, o.Destination, lab.ClusterOptions{})
			if err := restored.WaitSQL(t.Context(), "SELECT pg_is_in_recovery()", "f"); err != nil {
				t.Fatalf("%v\n%s", err, restored.LogTail(30))
			}
			if err := tc.want.Compare(restored.LedgerRows(t)); err != nil {
				t.Error(err)
			}
			if got := restored.MustSQL(t, "SHOW archive_command"); got != "false" {
				t.Errorf("archive_command is %q", got)
			}
			wantNoFile(t, o.Destination, "barman_wal")
			wantNoFile(t, dir, "wal it's %p")
		})
	}
	t.Run("refusals leave the destination untouched", func(t *testing.T) { testRefusals(t, s, backup) })
	t.Run("interrupted restore", func(t *testing.T) { testInterrupted(t, s, ledger) })
	t.Run("delta", func(t *testing.T) { testDelta(t, s) })
}

// complete counts the archived segments from the oldest backup on.
func complete(t *testing.T, s *site, b *catalog.BackupInfo) (n int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.layout.WALs, "*", strings.Repeat("?", 24)))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if filepath.Base(file) >= b.BeginWAL.String() {
			n++
		}
	}
	return n
}

func testRefusals(t *testing.T, s *site, backup *catalog.BackupInfo) {
	r, _, h := newRestorer(t, s.layout)
	for _, tc := range []struct {
		name    string
		options Options
		want    string
	}{
		{"time before backup", Options{TargetTime: backup.BeginTime.Add(-time.Hour).Format(time.RFC3339)}, "before the backup end time"},
		{"time after last WAL", Options{TargetTime: r.Now().UTC().Format("2006-01-02 15:04:05.000000Z")}, "is after the last WAL: the newest transaction"},
		{"time in the future", Options{TargetTime: r.Now().Add(time.Hour).UTC().Format(time.RFC3339)}, "is in the future"},
		{"lsn before backup", Options{TargetLSN: backup.BeginLSN.String()}, "before the end of the backup"},
		{"lsn after last WAL", Options{TargetLSN: "7/0"}, "cannot be reached: the archive does not have WAL files 0000000100"},
		{"name that does not exist", Options{TargetName: "before the Accident"}, "The restore point 'before the Accident' cannot be reached"},
		{"transaction that has not ended", Options{TargetXID: "1000000"}, "The target transaction 1000000 cannot be reached"},
		{"transaction before the backup", Options{TargetXID: "3"}, "The target transaction 3 cannot be reached"},
		{"unknown timeline", Options{TargetTimeline: "9"}, "no file 00000009.history"},
		{"unknown backup", Options{Backup: "20200101T000000"}, "Unknown backup '20200101T000000' for server 'main'"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := tc.options
			if o.Backup == "" {
				o.Backup = backup.ID
			}
			dir := t.TempDir()
			o.Destination, o.Tablespaces = filepath.Join(dir, "data"), []string{"hot:" + filepath.Join(dir, "hot")}
			_, err := r.Run(t.Context(), o)
			var refused *PlanError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want a *PlanError with %q", err, tc.want)
			}
			if left := listDir(t, dir); len(left) > 0 {
				t.Errorf("the destination was touched: %v", left)
			}
		})
	}
	if h.pre != 0 {
		t.Error("a hook ran for a restore that was refused")
	}
}

// testInterrupted ends a restore while WAL is copied; the server must not start, and the same command must complete
// the work.
func testInterrupted(t *testing.T, s *site, ledger *lab.Ledger) {
	dir := lab.ScratchDir(t)
	data := filepath.Join(dir, "data")
	o := Options{
		Backup: "latest", Destination: data, Tablespaces: []string{"hot:" + filepath.Join(dir, "hot")}, Workers: 2,
		TargetTimeline: TimelineCurrent, TargetAction: "promote",
	}
	r, _, _ := newRestorer(t, s.layout)
	sound := r.WAL
	r.WAL = failingDecoder{sound, new(sync.Map)}
	_, err := r.Run(t.Context(), o)
	var failed *StepError
	if !errors.As(err, &failed) || !errors.Is(err, errDisk) {
		t.Fatalf("error %v, want a *StepError", err)
	}
	wantFile(t, filepath.Join(data, IncompleteFile))
	wantNoFile(t, data, "global/pg_control")
	wantFile(t, filepath.Join(data, "PG_VERSION"))

	give(t, dir)
	if c, err := lab.NewClusterOn(t.Context(), data, lab.ClusterOptions{}); err == nil {
		t.Error("PostgreSQL started on half a cluster")
		_ = c.Destroy()
	} else if c != nil {
		_ = c.Destroy()
	}

	r.WAL = sound
	o.Backup = "oldest"
	if _, err := r.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("a restore of another backup into the remains: %v", err)
	}
	o.Backup = "latest"
	result, err := r.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if !result.Plan.Resumed {
		t.Error("the restore was not taken up again")
	}
	give(t, dir)
	restored := lab.OpenCluster(t, data, lab.ClusterOptions{})
	if err := restored.WaitSQL(t.Context(), "SELECT pg_is_in_recovery()", "f"); err != nil {
		t.Fatalf("%v\n%s", err, restored.LogTail(30))
	}
	if err := ledger.AtEnd().Compare(restored.LedgerRows(t)); err != nil {
		t.Error(err)
	}
}

var errDisk = errors.New("the disk is on fire")

// failingDecoder fails as soon as a file is to be copied; the plan asks once for each.
type failingDecoder struct {
	Decoder
	asked *sync.Map
}

func (d failingDecoder) FormatOf(ctx context.Context, path string) (string, error) {
	if _, again := d.asked.LoadOrStore(path, true); again {
		return "", errDisk
	}
	return d.Decoder.FormatOf(ctx, path)
}

func mustLSN(t testing.TB, text string) wal.LSN {
	t.Helper()
	lsn, err := wal.ParseLSN(text)
	if err != nil {
		t.Fatal(err)
	}
	return lsn
}

func wantFile(t testing.TB, path string) {
	t.Helper()
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
}

func wantNoFile(t testing.TB, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s exists in %s (%v)", name, dir, err)
		}
	}
}

func listDir(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(fmt.Errorf("list: %w", err))
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
