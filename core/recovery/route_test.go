package recovery

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/wal"
)

const mib = 1 << 20

// testBackup was taken on a timeline from segment 2 to the middle of segment 3.
func testBackup(tli wal.TimelineID, version int) *catalog.BackupInfo {
	b := catalog.NewBackupInfo("20260110T100000", serverName, catalog.ModePostgres)
	b.Timeline, b.Version, b.SegmentSize = tli, version, mib
	b.BeginLSN, b.EndLSN = 0x200028, 0x380000
	b.EndTime = time.Date(2026, 1, 10, 10, 5, 0, 0, time.UTC)
	b.Status = catalog.StatusDone
	return b
}

// testArchive holds segments by name, and timelines whose histories are given as PostgreSQL writes them.
func testArchive(t testing.TB, segments []string, histories map[wal.TimelineID]string) *Archived {
	t.Helper()
	a := &Archived{
		Segments: map[wal.Segment]string{}, Partials: map[wal.Segment]string{},
		Files: map[wal.TimelineID]string{}, Histories: map[wal.TimelineID]wal.History{}, Damaged: map[wal.TimelineID]error{},
	}
	for _, name := range segments {
		full, partial := strings.CutSuffix(name, ".partial")
		s, err := wal.ParseSegment(full)
		if err != nil {
			t.Fatal(err)
		}
		if partial {
			a.Partials[s] = "/wals/" + name
		} else {
			a.Segments[s] = "/wals/" + name
		}
	}
	for tli, text := range histories {
		a.Files[tli] = "/wals/" + wal.HistoryName(tli)
		h, err := wal.ParseHistory(tli, strings.NewReader(text))
		if err != nil {
			a.Damaged[tli] = err
			continue
		}
		a.Histories[tli] = h
	}
	return a
}

func TestRouteFollowsTheTimelineThatPostgresWillFollow(t *testing.T) {
	const (
		afterBackup  = "1\t0/500000\tno recovery target specified\n"
		duringBackup = "1\t0/300000\tno recovery target specified\n"
		damaged      = "what?\n"
	)
	for _, tc := range []struct {
		name            string
		backup          *catalog.BackupInfo
		target          string
		plain, standby  bool
		histories       map[wal.TimelineID]string
		want            wal.TimelineID
		setting, refuse string
		warning         string
	}{
		{name: "one timeline", backup: testBackup(1, 150004), want: 1},
		{
			name: "newest by default", backup: testBackup(1, 150004), histories: map[wal.TimelineID]string{2: afterBackup}, want: 2, setting: "2",
			warning: "Recovery follows timeline 2",
		},
		{
			name: "a standby follows by itself", backup: testBackup(1, 150004), standby: true,
			histories: map[wal.TimelineID]string{2: afterBackup}, want: 2, warning: "Recovery follows timeline 2",
		},
		{
			name: "a standby is led around a timeline that is not its own", backup: testBackup(1, 150004), standby: true,
			histories: map[wal.TimelineID]string{2: duringBackup}, want: 1, setting: "current",
		},
		{
			name: "before 12 the backup's", backup: testBackup(1, 110004), histories: map[wal.TimelineID]string{2: afterBackup}, want: 1,
			warning: "Recovery stays on timeline 1",
		},
		{
			name: "no settings, no other timeline", backup: testBackup(1, 150004), plain: true,
			histories: map[wal.TimelineID]string{2: afterBackup}, want: 1, warning: "does not have the changes of timeline 2",
		},
		{
			name: "no settings, no descendant", backup: testBackup(1, 150004), plain: true,
			histories: map[wal.TimelineID]string{2: duringBackup}, want: 1,
		},
		{
			name: "newest is not a descendant", backup: testBackup(1, 150004),
			histories: map[wal.TimelineID]string{2: afterBackup, 3: duringBackup}, want: 2, setting: "2", warning: "Recovery follows timeline 2",
		},
		{
			name: "damaged history of another timeline", backup: testBackup(1, 150004),
			histories: map[wal.TimelineID]string{2: damaged}, want: 1, setting: "current",
		},
		{name: "current", backup: testBackup(1, 150004), target: "current", histories: map[wal.TimelineID]string{2: afterBackup}, want: 1, setting: "current"},
		{name: "current before 12", backup: testBackup(1, 110004), target: "current", want: 1, setting: "1"},
		{name: "latest", backup: testBackup(1, 150004), target: "latest", histories: map[wal.TimelineID]string{2: afterBackup}, want: 2, setting: "latest"},
		{
			name: "latest behind a hole is written as a number", backup: testBackup(1, 150004), target: "latest",
			histories: map[wal.TimelineID]string{3: afterBackup}, want: 3, setting: "3",
		},
		{
			name: "latest is not a descendant", backup: testBackup(1, 150004), target: "latest",
			histories: map[wal.TimelineID]string{2: duringBackup}, refuse: "left timeline 1 at 0/300000",
		},
		{name: "number", backup: testBackup(1, 150004), target: "2", histories: map[wal.TimelineID]string{2: afterBackup, 3: afterBackup}, want: 2, setting: "2"},
		{name: "unknown number", backup: testBackup(1, 150004), target: "4", refuse: "no file 00000004.history"},
		{name: "damaged number", backup: testBackup(1, 150004), target: "2", histories: map[wal.TimelineID]string{2: damaged}, refuse: "cannot be read"},
		{name: "older than the backup", backup: testBackup(3, 150004), target: "2", refuse: "is older than timeline 3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := testArchive(t, nil, tc.histories)
			target, err := ParseTarget(&Options{TargetTimeline: tc.target}, time.UTC)
			if err != nil {
				t.Fatal(err)
			}
			r, problem := chooseRoute(target, tc.backup, tc.standby, !tc.plain, a)
			if tc.refuse != "" {
				if problem == nil || !strings.Contains(problem.String(), tc.refuse) {
					t.Fatalf("problem %v, want one with %q", problem, tc.refuse)
				}
				return
			}
			if problem != nil {
				t.Fatal(problem)
			}
			if !strings.Contains(r.warning, tc.warning) || (r.warning == "") != (tc.warning == "") {
				t.Errorf("warning %q, want one with %q", r.warning, tc.warning)
			}
			if r.timeline != tc.want || r.setting != tc.setting {
				t.Errorf("timeline %d, setting %q; want %d, %q", r.timeline, r.setting, tc.want, tc.setting)
			}
		})
	}
}

func TestWALRangeIsWhatTheTargetNeeds(t *testing.T) {
	seg := func(names ...string) (full []string) {
		for _, n := range names {
			full = append(full, n[:8]+"00000000000000"+n[8:])
		}
		return full
	}
	const switchAt5 = "1\t0/540000\tno recovery target specified\n"
	for _, tc := range []struct {
		name      string
		segments  []string
		histories map[wal.TimelineID]string
		options   Options
		getWAL    bool
		want      []string
		missing   []string
		available wal.LSN
		refuse    string
		warn      string
	}{
		{
			name: "to the end", segments: seg("0000000101", "0000000102", "0000000103", "0000000104"),
			want: seg("0000000102", "0000000103", "0000000104"), available: 0x500000,
		},
		{
			name: "immediate ends with the backup", segments: seg("0000000102", "0000000103", "0000000104"),
			options: Options{TargetImmediate: true}, want: seg("0000000102", "0000000103"), available: 0x400000,
		},
		{
			name: "the backup's own WAL is missing", segments: seg("0000000102", "0000000104"),
			refuse: "cannot become consistent: the archive does not have WAL file 000000010000000000000003",
			want:   seg("0000000102"), missing: seg("0000000103"), available: 0x300000,
		},
		{
			name: "nothing is archived", refuse: "WAL files 000000010000000000000002 to 000000010000000000000003",
			missing: seg("0000000102", "0000000103"), available: 0x200028,
		},
		{
			name: "with get-wal it may still come", segments: seg("0000000102"), getWAL: true,
			want: seg("0000000102"), missing: seg("0000000103"), available: 0x300000, warn: "which recovery will ask for",
		},
		{
			name: "a hole after the backup ends the way", segments: seg("0000000102", "0000000103", "0000000104", "0000000107"),
			want: seg("0000000102", "0000000103", "0000000104"), missing: seg("0000000105", "0000000106"), available: 0x500000,
			warn: "WAL files 000000010000000000000005 to 000000010000000000000006: recovery can only go up to 0/500000",
		},
		{
			name: "a hole before the LSN", segments: seg("0000000102", "0000000103", "0000000105"), options: Options{TargetLSN: "0/580000"},
			want: seg("0000000102", "0000000103"), missing: seg("0000000104"), available: 0x400000,
			refuse: "The target LSN 0/580000 cannot be reached: the archive does not have WAL file 000000010000000000000004, and leads only to 0/400000",
		},
		{
			name: "an LSN beyond the archive", segments: seg("0000000102", "0000000103"), options: Options{TargetLSN: "0/480000"},
			want: seg("0000000102", "0000000103"), missing: seg("0000000104"), available: 0x400000, refuse: "cannot be reached",
		},
		{
			name: "two timelines", segments: seg("0000000102", "0000000103", "0000000104", "0000000105", "0000000205", "0000000206", "0000000106"),
			histories: map[wal.TimelineID]string{2: switchAt5}, options: Options{TargetTimeline: "2"},
			want: seg("0000000102", "0000000103", "0000000104", "0000000205", "0000000206"), available: 0x700000,
		},
		{
			name: "the new timeline has archived nothing yet", segments: seg("0000000102", "0000000103", "0000000104", "0000000105"),
			histories: map[wal.TimelineID]string{2: switchAt5}, options: Options{TargetTimeline: "2"},
			want: seg("0000000102", "0000000103", "0000000104", "0000000105"), available: 0x540000,
		},
		{
			name:     "the last partial segment of a dead server",
			segments: append(seg("0000000102", "0000000103"), "000000010000000000000004.partial"),
			want:     seg("0000000102", "0000000103", "0000000104"), available: 0x500000,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := testBackup(1, 150004)
			target, err := ParseTarget(&tc.options, time.UTC)
			if err != nil {
				t.Fatal(err)
			}
			a := testArchive(t, tc.segments, tc.histories)
			r, problem := chooseRoute(target, b, false, true, a)
			if problem != nil {
				t.Fatal(problem)
			}
			w := chooseWAL(target, b, r.path, a)
			var names, missing []string
			for _, f := range w.Files {
				names = append(names, f.Name)
			}
			for _, s := range w.Missing {
				missing = append(missing, s.String())
			}
			if diff := cmp.Diff(tc.want, names); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.missing, missing); diff != "" {
				t.Errorf("missing (-want +got):\n%s", diff)
			}
			if w.Available != tc.available {
				t.Errorf("available up to %s, want %s", w.Available, tc.available)
			}
			p := &Plan{Backup: b, Target: target, WAL: w}
			if w.problems(p, tc.getWAL); len(p.Problems) == 0 {
				w.shortfall(p)
			}
			checkTexts(t, "problem", p.Problems, tc.refuse)
			checkTexts(t, "warning", p.Warnings, tc.warn)
		})
	}
}

// checkTexts wants one text that contains want, or none.
func checkTexts[T any](t *testing.T, what string, texts []T, want string) {
	t.Helper()
	switch {
	case want == "" && len(texts) > 0:
		t.Errorf("%s: %v", what, texts)
	case want != "" && (len(texts) != 1 || !strings.Contains(textOf(texts[0]), want)):
		t.Errorf("%s %v, want one with %q", what, texts, want)
	}
}

func textOf(v any) string {
	if p, ok := v.(Problem); ok {
		return p.String()
	}
	return v.(string)
}

func TestTimelineList(t *testing.T) {
	for want, timelines := range map[string][]wal.TimelineID{"timeline 3": {3}, "timelines 1 and 3": {1, 3}, "timelines 1, 2 and 16": {1, 2, 16}} {
		if got := timelineList(timelines); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
