package maintenance_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/maintenance"
	"github.com/barman-go/barman/core/retention"
	"github.com/barman-go/barman/core/wal"
)

// branch is a timeline: it comes from another one, at a segment.
type branch struct {
	parent wal.TimelineID
	from   uint64
}

// story is what happened to a server: the timelines that it has been on, what was archived, and its backups.
type story struct {
	random   *rand.Rand
	size     wal.SegmentSize
	branches map[wal.TimelineID]branch
	end      map[wal.TimelineID]uint64
	on       wal.TimelineID
	archive  []wal.Segment
	// began has the first segments of all backups, also of those that do not know theirs.
	began map[string]wal.Segment
	// newest has the newest timeline that there was when a backup began.
	newest    map[string]wal.TimelineID
	situation maintenance.Situation
	infos     []*catalog.BackupInfo
}

// tell makes up a story with everything that can occur: fail-overs, recoveries to the past, an old primary that comes back,
// backups of all statuses, chains, keeps, deletes that were interrupted, and clocks that are wrong.
func tell(random *rand.Rand) *story {
	sizes := []wal.SegmentSize{wal.MinSegmentSize, wal.DefaultSegmentSize, wal.MaxSegmentSize}
	s := &story{
		random: random, size: sizes[random.IntN(len(sizes))], branches: map[wal.TimelineID]branch{1: {}},
		end: map[wal.TimelineID]uint64{1: 1}, on: 1, began: map[string]wal.Segment{},
		newest: map[string]wal.TimelineID{},
	}
	s.situation = maintenance.Situation{
		MinimumRedundancy: random.IntN(4), Keeps: map[string]catalog.Keep{}, Marked: map[string]bool{}, Now: now,
	}
	s.situation.Policy = retention.Policy{Kind: retention.Redundancy, N: random.IntN(4)}
	if random.IntN(2) == 0 {
		s.situation.Policy = retention.Policy{Kind: retention.RecoveryWindow, N: random.IntN(25), Unit: retention.Days}
	}
	at := now.AddDate(0, 0, -random.IntN(40)-1)
	for range 2 + random.IntN(12) {
		s.advance(random.IntN(4))
		switch random.IntN(6) {
		case 0:
			s.branch(s.on, s.end[s.on])
		case 1:
			tli := wal.TimelineID(1 + random.IntN(len(s.branches)))
			s.branch(tli, s.branches[tli].from+uint64(random.IntN(int(s.end[tli]-s.branches[tli].from)+1)))
		case 2:
			s.on = wal.TimelineID(1 + random.IntN(len(s.branches)))
		}
		if at = at.Add(time.Duration(1+random.IntN(72)) * time.Hour); at.After(now) && random.IntN(4) > 0 {
			break
		}
		s.backup(at)
	}
	if n := len(s.infos); n > 0 && s.infos[n-1].Status.In(catalog.StatusEmpty, catalog.StatusStarted) && random.IntN(2) == 0 {
		s.situation.Running = s.infos[n-1].ID
	}
	s.advance(random.IntN(3))
	if random.IntN(10) == 0 {
		s.situation.Now = now.AddDate(0, -6, 0)
	}
	s.situation.Backups = catalog.NewBackups("main", s.infos...)
	return s
}

func (s *story) advance(n int) {
	for range n {
		s.archive = append(s.archive, wal.SegmentNumber(s.on, s.end[s.on], s.size))
		s.end[s.on]++
	}
}

func (s *story) branch(parent wal.TimelineID, from uint64) {
	tli := wal.TimelineID(len(s.branches) + 1)
	s.branches[tli], s.end[tli], s.on = branch{parent, from}, from, tli
}

func (s *story) backup(at time.Time) {
	b := catalog.NewBackupInfo(at.Format("20060102T150405"), "main", catalog.ModePostgres)
	b.SegmentSize, b.Timeline = s.size, s.on
	b.BeginWAL = wal.SegmentNumber(s.on, s.end[s.on], s.size)
	s.began[b.ID], s.newest[b.ID] = b.BeginWAL, wal.TimelineID(len(s.branches))
	s.advance(s.random.IntN(3))
	b.EndWAL = wal.SegmentNumber(s.on, s.end[s.on], s.size)
	s.advance(1)
	b.EndTime = at.Add(time.Hour)
	statuses := []catalog.Status{
		catalog.StatusFailed, catalog.StatusEmpty, catalog.StatusStarted, catalog.StatusSyncing, catalog.StatusWaitingForWALs,
	}
	b.Status = catalog.StatusDone
	if s.random.IntN(4) == 0 {
		b.Status = statuses[s.random.IntN(len(statuses))]
	}
	if len(s.infos) > 0 && s.random.IntN(3) == 0 {
		b.ParentID = s.infos[s.random.IntN(len(s.infos))].ID
	}
	switch {
	case b.Status.In(catalog.StatusEmpty, catalog.StatusStarted):
		b.EndTime, b.EndWAL = time.Time{}, wal.Segment{}
		if b.Status == catalog.StatusEmpty || s.random.IntN(2) == 0 {
			b.BeginWAL, b.Timeline = wal.Segment{}, 0
		}
	case s.random.IntN(5) == 0:
		s.situation.Keeps[b.ID] = []catalog.Keep{catalog.KeepFull, catalog.KeepStandalone}[s.random.IntN(2)]
	case s.random.IntN(10) == 0:
		s.situation.Marked[b.ID] = true
	}
	s.infos = append(s.infos, b)
}

// needed are the archived segments that some recovery from the backup reads, by the rules of PostgreSQL.
func (s *story) needed(b *catalog.BackupInfo) []wal.Segment {
	standalone := s.situation.Keeps[b.ID] == catalog.KeepStandalone
	// from is the first segment of each timeline that a recovery from the backup can pass through.
	began := s.began[b.ID]
	from := map[wal.TimelineID]uint64{began.Timeline: began.Number(s.size)}
	for tli := range wal.TimelineID(len(s.branches) + 1) {
		origin := s.branches[tli]
		begin, reached := from[origin.parent]
		isFirst := origin.parent == began.Timeline
		if tli <= s.newest[b.ID] || standalone || !reached || origin.from < begin {
			continue
		}
		if isFirst && b.EndWAL != (wal.Segment{}) && origin.from < b.EndWAL.Number(s.size) {
			continue // the backup is not consistent there
		}
		from[tli] = origin.from
	}
	var needed []wal.Segment
	for _, segment := range s.archive {
		begin, passes := from[segment.Timeline]
		n := segment.Number(s.size)
		if passes && n >= begin && (!standalone || n <= b.EndWAL.Number(s.size)) {
			needed = append(needed, segment)
		}
	}
	return needed
}

func fileName(t testing.TB, name string) wal.FileName {
	t.Helper()
	file, err := wal.ParseFileName(name)
	check(t, err)
	return file
}

// faults compares a plan with what must hold in any case, whatever rules led to it.
func (s *story) faults(t testing.TB, plan *maintenance.Plan) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	verdicts := map[wal.Segment]catalog.ExpiryVerdict{}
	for _, segment := range s.archive {
		verdicts[segment] = plan.WAL.Judge(fileName(t, segment.String()))
	}
	deleted := map[string]bool{}
	for _, d := range plan.Deletes {
		deleted[d.ID] = true
		for _, b := range s.situation.Backups.Children(d.ID) {
			if !deleted[b.ID] {
				fault("%s goes before %s, which depends on it", d.ID, b.ID)
			}
		}
	}
	total, remaining := 0, 0
	for _, b := range s.infos {
		kept, marked := s.situation.Keeps[b.ID] != catalog.KeepNone, s.situation.Marked[b.ID]
		verdict := plan.Of(b.ID)
		if verdict.Reason == "" {
			fault("no reason for %s", b.ID)
		}
		if gone := verdict.Label == retention.Obsolete; gone != deleted[b.ID] {
			fault("%s is explained as %s, deleted: %t", b.ID, verdict.Label, deleted[b.ID])
		}
		if deleted[b.ID] && (kept || b.ID == s.situation.Running) {
			fault("%s is kept or being taken, and goes", b.ID)
		}
		if b.Status == catalog.StatusDone && b.ParentID == "" && (!marked || kept) {
			total++
			if !deleted[b.ID] {
				remaining++
			}
		}
		needsWAL := b.Status.In(catalog.Usable...) || b.ID == s.situation.Running || b.Status == catalog.StatusSyncing
		if deleted[b.ID] || !needsWAL {
			continue
		}
		for _, segment := range s.needed(b) {
			if v := verdicts[segment]; v.Removed {
				fault("%s goes with %s (%s), and %s needs it", segment, v.With, v.Reason, b.ID)
			}
		}
	}
	if least := min(total, max(1, s.situation.MinimumRedundancy)); remaining < least {
		fault("%d of %d full backups remain, %d must", remaining, total, least)
	}
	for tli := range wal.TimelineID(len(s.branches) + 2) {
		if plan.WAL.Judge(fileName(t, wal.HistoryName(tli))).Removed {
			fault("the history of timeline %d goes", tli)
		}
	}
	for i, segment := range s.archive {
		v := verdicts[segment]
		if v.Reason == "" {
			fault("no reason for %s", segment)
		}
		if i%8 > 0 {
			continue
		}
		for _, name := range []string{segment.String() + ".00000028.backup", wal.PartialName(segment)} {
			if plan.WAL.Judge(fileName(t, name)) != v {
				fault("%s is not judged as its segment is", name)
			}
		}
	}
	return faults
}

func (s *story) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, minimum %d, at %s, running %q, segments of %d, timelines %+v\n", s.situation.Policy,
		s.situation.MinimumRedundancy, s.situation.Now.Format(time.DateTime), s.situation.Running, s.size, s.branches)
	for _, i := range s.infos {
		fmt.Fprintf(&b, "%s %s parent %q keep %q marked %t %s–%s end %s\n", i.ID, i.Status, i.ParentID, s.situation.Keeps[i.ID],
			s.situation.Marked[i.ID], i.BeginWAL, i.EndWAL, i.EndTime.Format(time.DateTime))
	}
	return b.String()
}

// TestRetentionDropsNothingThatIsNeeded checks the plans of ten thousand servers.
func TestRetentionDropsNothingThatIsNeeded(t *testing.T) {
	random := rand.New(rand.NewPCG(20260630, 1))
	deletes, removed, held := 0, 0, 0
	for range 10_000 {
		s := tell(random)
		plan := s.situation.Plan()
		if faults := s.faults(t, plan); len(faults) > 0 {
			t.Fatalf("%s\n%s", strings.Join(faults, "\n"), s)
		}
		deletes += len(plan.Deletes)
		for _, segment := range s.archive {
			if plan.WAL.Judge(fileName(t, segment.String())).Removed {
				removed++
			}
		}
		if plan.Held != "" {
			held++
		}
	}
	t.Logf("%d backups and %d segments go, %d times nothing expires because of the clock", deletes, removed, held)
	if deletes < 10_000 || removed < 10_000 || held < 100 {
		t.Error("the servers are too poor to prove anything")
	}
}

// TestRetentionDoesWhatItExplains lets cron act, and compares what is left with what was explained before.
func TestRetentionDoesWhatItExplains(t *testing.T) {
	random := rand.New(rand.NewPCG(20260630, 2))
	for acted := 0; acted < 10; {
		told := tell(random)
		if told.situation.Running != "" || len(told.situation.Plan().Deletes) == 0 {
			continue // a running backup would need a process
		}
		acted++
		s := newSite(t, "")
		s.Policy, s.MinimumRedundancy = told.situation.Policy, told.situation.MinimumRedundancy
		s.Now = func() time.Time { return told.situation.Now }
		s.put(told)
		plan, err := s.Plan()
		check(t, err)
		wantBackups, wantWAL := told.explained(t, plan)
		s.compareRanges(plan, wantWAL, told)
		check(t, s.Enforce(t.Context()))
		if diff := cmp.Diff(wantBackups, s.ids()); diff != "" {
			t.Errorf("backups (-explained +left):\n%s\n%s", diff, told)
		}
		if diff := cmp.Diff(wantWAL, s.segments()); diff != "" {
			t.Errorf("WAL (-explained +left):\n%s\n%s", diff, told)
		}
	}
}

// explained are the backups and segments that stay according to a plan.
func (s *story) explained(t testing.TB, plan *maintenance.Plan) (backups, segments []string) {
	for _, v := range plan.Verdicts {
		if v.Label != retention.Obsolete {
			backups = append(backups, v.ID)
		}
	}
	for _, b := range s.infos {
		if b.Status == catalog.StatusEmpty && b.ParentID == "" {
			backups = append(backups, b.ID) // not examined
		}
	}
	slices.Sort(backups)
	for _, segment := range s.archive {
		if !plan.WAL.Judge(fileName(t, segment.String())).Removed {
			segments = append(segments, segment.String())
		}
	}
	slices.Sort(segments)
	return backups, slices.Compact(segments)
}

// put makes a story's catalog on disk.
func (s *site) put(told *story) {
	s.t.Helper()
	for _, b := range told.infos {
		s.save(b)
		if keep := told.situation.Keeps[b.ID]; keep != catalog.KeepNone {
			check(s.t, s.Catalog.SetKeep(b.ID, keep))
		}
		if told.situation.Marked[b.ID] {
			check(s.t, s.Catalog.MarkDelete(b.ID))
		}
	}
	var index []byte
	seen := map[wal.Segment]bool{}
	for _, segment := range told.archive {
		if seen[segment] {
			continue
		}
		seen[segment] = true
		path := s.layout.SegmentPath(segment)
		check(s.t, os.MkdirAll(filepath.Dir(path), 0o755))
		check(s.t, os.WriteFile(path, []byte("wal"), 0o600))
		index = catalog.WALRecord{Name: segment.String(), Size: 3, ModTime: 1}.AppendTo(index)
	}
	check(s.t, os.WriteFile(s.layout.WALIndexPath(), index, 0o600))
}

// compareRanges compares the ranges that people are shown with the verdicts of single files.
func (s *site) compareRanges(plan *maintenance.Plan, stays []string, told *story) {
	s.t.Helper()
	found, bad, err := s.Index.Expiry(s.t.Context(), plan.WAL)
	check(s.t, err)
	count := 0
	for _, r := range found {
		for _, name := range []string{r.First, r.Last} {
			if v := plan.WAL.Judge(fileName(s.t, name)); v != r.Verdict {
				s.t.Errorf("%s is %+v in a range, and %+v alone\n%s", name, r.Verdict, v, told)
			}
		}
		if !r.Verdict.Removed {
			count += r.Count
		}
	}
	if count != len(stays) || len(bad) > 0 {
		s.t.Errorf("%d files stay in ranges, %d one by one (bad lines: %v)\n%s", count, len(stays), bad, told)
	}
}

func (s *site) ids() (ids []string) {
	list, err := s.Catalog.List()
	check(s.t, err)
	for _, b := range list.All {
		ids = append(ids, b.ID)
	}
	return ids
}

func (s *site) segments() (names []string) {
	files, err := filepath.Glob(filepath.Join(s.layout.WALs, "*", "*"))
	check(s.t, err)
	for _, path := range files {
		names = append(names, filepath.Base(path))
	}
	slices.Sort(names)
	return names
}
