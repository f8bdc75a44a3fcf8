package matrix

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/wal"
)

// ways are how the backups of the truth test are taken.
var ways = []struct {
	name    string
	options func(t *truthSite) map[string]any
}{
	{"rsync", func(s *truthSite) map[string]any {
		return map[string]any{"backup_method": "rsync", "ssh_command": s.ssh()}
	}},
	{"postgres, tar", func(*truthSite) map[string]any {
		return map[string]any{"backup_method": "postgres", "backup_compression": "gzip"}
	}},
	{"local-rsync", func(*truthSite) map[string]any { return map[string]any{"backup_method": "local-rsync"} }},
	{"postgres", func(*truthSite) map[string]any { return map[string]any{"backup_method": "postgres"} }},
}

// kinds are the targets of the truth test.
var kinds = []string{"time", "xid", "lsn", "name", "end", "immediate"}

// taken is a backup, with the numbers of the moments before its begin and after its end.
type taken struct {
	way        string
	info       *catalog.BackupInfo
	begin, end int
}

// truthCase is one recovery and what has to come of it.
type truthCase struct {
	// words say what it is.
	words  string
	backup *taken
	// args are the arguments of `barman recover` that say where to.
	args []string
	// want are the rows that are right; more than one only when nobody can know better.
	want []string
	// getWAL and remote are about how the WAL gets there, and where that is.
	getWAL, remote bool
}

// draw chooses a target at random, for a backup and of a kind that are given. ok is false when there is no such target.
func (s *truthSite) draw(random *rand.Rand, backup *taken, kind string) (c truthCase, ok bool) {
	c = truthCase{backup: backup, getWAL: random.IntN(3) == 0}
	timeline := wal.TimelineID(1 + random.IntN(2))
	if timeline < backup.info.Timeline {
		timeline = backup.info.Timeline
	}
	moments := s.timelines[timeline-1].moments
	var eligible []int
	for i, m := range moments {
		behind := i >= backup.end && m.before >= backup.info.EndLSN && m.started.After(backup.info.EndTime)
		switch kind {
		case "name":
			behind = behind && m.point != ""
		case "time", "lsn":
			behind = behind && i+1 < len(moments) // something has to come after them
		}
		if behind {
			eligible = append(eligible, i)
		}
	}
	if len(eligible) == 0 {
		return c, false
	}
	i := eligible[random.IntN(len(eligible))]
	m := moments[i]
	c.want = []string{m.rows}
	exclusive := random.IntN(3) == 0
	switch kind {
	case "end":
		c.want = []string{moments[len(moments)-1].rows}
	case "immediate":
		timeline = backup.info.Timeline
		c.args = []string{"--target-immediate"}
		c.want = nil
		for _, in := range s.timelines[timeline-1].moments[max(0, backup.begin-1):min(len(moments), backup.end+1)] {
			c.want = append(c.want, in.rows)
		}
	case "name":
		c.args = []string{"--target-name", m.point}
	case "xid":
		c.args = []string{"--target-xid", strconv.FormatUint(m.xid, 10)}
		if exclusive {
			c.args = append(c.args, "--exclusive")
			c.want = []string{moments[i-1].rows}
		}
	case "lsn":
		// Between two transactions of the chronicle there may be those of others.
		lsn := m.after + wal.LSN(random.Uint64N(uint64(moments[i+1].before-m.after)+1))
		c.args = []string{"--target-lsn", lsn.String()}
		if exclusive {
			c.args = append(c.args, "--exclusive")
		}
	case "time":
		at, want := s.moment(random, timeline, i, exclusive)
		zone := time.FixedZone("", []int{0, 2 * 3600, -5*3600 - 1800}[random.IntN(3)])
		c.args = []string{"--target-time", at.In(zone).Format("2006-01-02 15:04:05.000000-07:00")}
		c.want = []string{want}
		if exclusive {
			c.args = append(c.args, "--exclusive")
		}
	}
	c.args = append(c.args, s.timelineArgs(random, backup, timeline, kind, c.getWAL)...)
	if len(c.args) > 0 {
		c.args = append(c.args, "--target-action", "promote")
	}
	c.words = fmt.Sprintf("%s, %s, timeline %d, %s", kind, backup.way, timeline, strings.Join(c.args, " "))
	return c, true
}

// moment is a time between two transactions of the chronicle. On the second timeline, where nobody else works, it may be the very time of
// a commit: elsewhere one whose time is later may come before it in the WAL, and PostgreSQL stops there.
func (s *truthSite) moment(random *rand.Rand, timeline wal.TimelineID, i int, exclusive bool) (at time.Time, rows string) {
	moments := s.timelines[timeline-1].moments
	m := moments[i]
	if timeline == 2 && i > s.fork+1 && m.committed && random.IntN(2) == 0 {
		if exclusive {
			return m.at, moments[i-1].rows
		}
		return m.at, m.rows
	}
	gap := moments[i+1].started.Sub(m.ended).Microseconds()
	return m.ended.Add(time.Duration(random.Int64N(max(gap, 1))) * time.Microsecond), m.rows
}

// timelineArgs are one of the ways to name a timeline, or none where it is the one that is taken without.
func (s *truthSite) timelineArgs(random *rand.Rand, backup *taken, timeline wal.TimelineID, kind string, getWAL bool) []string {
	names := []string{strconv.Itoa(int(timeline))}
	if timeline == backup.info.Timeline {
		names = append(names, "current")
	}
	if timeline == 2 {
		names = append(names, "latest")
	}
	// Recovery to the end of what was copied, without any target, does not leave the backup's timeline; else the newest is taken. Whether
	// 13 or 18: before 12 it would be the backup's.
	byDefault := wal.TimelineID(2)
	if kind == "end" && !getWAL {
		byDefault = backup.info.Timeline
	}
	if timeline == byDefault || kind == "immediate" {
		names = append(names, "")
	}
	name := names[random.IntN(len(names))]
	if name == "" {
		return nil
	}
	return []string{"--target-tli", name}
}

// check compares the rows of a recovered server with those that are right.
func (c truthCase) check(s *truthSite, got string) error {
	if slices.Contains(c.want, got) {
		return nil
	}
	for timeline, chronicle := range s.timelines {
		for i, m := range chronicle.moments {
			if m.rows == got {
				return fmt.Errorf("the rows are those of moment %d of timeline %d, after xid %d, committed %v at %s", i, timeline+1, m.xid, m.committed, m.at)
			}
		}
	}
	return fmt.Errorf("the rows were never like this:\n%s\nwant\n%s", got, c.want[0])
}
