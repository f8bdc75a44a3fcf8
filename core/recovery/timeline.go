package recovery

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/wal"
)

// route is the way through the timelines.
type route struct {
	timeline wal.TimelineID
	path     wal.Path
	// setting is the value of recovery_target_timeline, or empty.
	setting string
	warning string
}

// chooseRoute decides which timeline recovery follows.
//
// Without --target-tli PostgreSQL 12 and later follow the latest timeline. PostgreSQL finds it by asking for history
// files with rising numbers, whether or not the timeline descends from the backup's, and fails when it does not. Here
// it is the newest that does descend, and it is written down whenever there are timelines after the backup's, so that
// the WAL that was copied and the way that PostgreSQL takes cannot differ. Earlier versions, and a recovery without
// any target, stay on the backup's timeline.
func chooseRoute(t Target, b *catalog.BackupInfo, standby, archiveRecovery bool, a *Archived) (route, *Problem) {
	switch t.Timeline {
	case TimelineCurrent:
		setting := TimelineCurrent
		if b.Version < versionSignals {
			setting = strconv.Itoa(int(b.Timeline))
		}
		return a.routeTo(b.Timeline, setting, b)
	case TimelineLatest:
		newest := a.newest(b.Timeline)
		setting := TimelineLatest
		if a.probed(b.Timeline) != newest {
			setting = strconv.Itoa(int(newest))
		}
		return a.routeTo(newest, setting, b)
	case "":
		return chooseDefaultRoute(b, standby, archiveRecovery, a)
	}
	return a.routeTo(t.TimelineID, strconv.Itoa(int(t.TimelineID)), b)
}

func chooseDefaultRoute(b *catalog.BackupInfo, standby, archiveRecovery bool, a *Archived) (route, *Problem) {
	newest, best := a.newest(b.Timeline), b.Timeline
	for tli, h := range a.Histories {
		if tli > best && descends(h, b) {
			best = tli
		}
	}
	if b.Version < versionSignals || !archiveRecovery || newest == b.Timeline {
		r, problem := a.routeTo(b.Timeline, "", b)
		if best != b.Timeline {
			// After a failover this is not the data that people worked with.
			r.warning = fmt.Sprintf("Recovery stays on timeline %d, that of the backup, and does not have the changes of timeline %d, which "+
				"descends from it. Use --target-tli latest to follow the newest one.", b.Timeline, best)
		}
		return r, problem
	}
	setting := strconv.Itoa(int(best))
	switch {
	case standby && a.probed(b.Timeline) == best:
		// A standby goes on following new timelines.
		setting = ""
	case best == b.Timeline:
		// The number would need a history file, which a backup's timeline need not have.
		setting = TimelineCurrent
	}
	r, problem := a.routeTo(best, setting, b)
	if best != b.Timeline {
		r.warning = fmt.Sprintf("Recovery follows timeline %d, the newest that descends from the backup's timeline %d. "+
			"Use --target-tli to choose another one.", best, b.Timeline)
	}
	return r, problem
}

// otherTimelines are those besides one that recovery of the backup could follow, rising.
func (a *Archived) otherTimelines(b *catalog.BackupInfo, chosen wal.TimelineID) []wal.TimelineID {
	others := []wal.TimelineID{}
	if chosen != b.Timeline {
		others = append(others, b.Timeline)
	}
	for tli, h := range a.Histories {
		if tli > b.Timeline && tli != chosen && descends(h, b) {
			others = append(others, tli)
		}
	}
	slices.Sort(others)
	return others
}

func descends(h wal.History, b *catalog.BackupInfo) bool {
	return h.Reaches(b.Timeline, b.EndLSN) == nil
}

func (a *Archived) routeTo(tli wal.TimelineID, setting string, b *catalog.BackupInfo) (route, *Problem) {
	r := route{timeline: tli, setting: setting}
	history, known := a.Histories[tli]
	switch {
	case tli < b.Timeline:
		return r, &Problem{
			Summary: fmt.Sprintf("The target timeline %d is older than timeline %d, on which backup %s was taken", tli, b.Timeline, b.ID),
			Advice:  "Choose an older backup or another target timeline.",
		}
	case a.Damaged[tli] != nil && tli != b.Timeline:
		return r, &Problem{
			Summary: fmt.Sprintf("The history of the target timeline %d cannot be read: %v", tli, a.Damaged[tli]),
			Advice:  fmt.Sprintf("Copy %s from a server that has it into the archive again, or choose another target timeline.", wal.HistoryName(tli)),
		}
	case !known && tli != b.Timeline:
		return r, &Problem{
			Summary: fmt.Sprintf("The target timeline %d is unknown: the archive has no file %s", tli, wal.HistoryName(tli)),
			Advice:  "Choose another target timeline, or archive the history file first.",
		}
	case tli == b.Timeline:
		history = wal.History{Timeline: tli}
	}
	path, err := history.Path(b.Timeline, b.BeginLSN)
	if err == nil {
		err = history.Reaches(b.Timeline, b.EndLSN)
	}
	if err != nil {
		return r, &Problem{
			Summary: fmt.Sprintf("The target timeline %d cannot be reached from backup %s", tli, b.ID),
			Advice:  err.Error(),
		}
	}
	r.path = path
	return r, nil
}
