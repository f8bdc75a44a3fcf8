package lab

import (
	"fmt"
	"slices"
	"time"

	"github.com/barman-go/barman/core/wal"
)

// Expectation says which rows a cluster restored to a target must have. The commits that were in flight at the target may
// or may not be there; stop the writers, or wait between commits, to have none.
type Expectation struct {
	// Target is for messages.
	Target string
	// Must are the values that have to be there, May those that nobody can tell; both sorted. All others must not be.
	Must, May []int64
}

// AtLSN expects the commits up to a WAL position: also the one for the place of a restore point, or for the end of a backup.
func (l *Ledger) AtLSN(lsn wal.LSN) Expectation {
	return l.expect("LSN "+lsn.String(),
		func(c Commit) bool { return c.After <= lsn },
		func(c Commit) bool { return c.Before < lsn })
}

// AtTime expects the commits up to a time of the server's clock.
func (l *Ledger) AtTime(t time.Time) Expectation {
	return l.expect("time "+t.Format(time.RFC3339Nano),
		func(c Commit) bool { return c.Acknowledged() && !c.Ended.After(t) },
		func(c Commit) bool { return !c.Started.After(t) })
}

// AtCommit expects the commits up to and including one of the ledger's own, for a transaction id as target.
func (l *Ledger) AtCommit(last Commit) Expectation {
	return l.expect(fmt.Sprintf("xid %d", last.XID),
		func(c Commit) bool { return c.Value == last.Value || c.After <= last.Before },
		func(c Commit) bool { return c.Before < last.After })
}

// AtEnd expects every acknowledged commit: nothing that was confirmed is lost.
func (l *Ledger) AtEnd() Expectation {
	return l.expect("the end of the WAL", Commit.Acknowledged, func(Commit) bool { return true })
}

func (l *Ledger) expect(target string, must, may func(Commit) bool) Expectation {
	e := Expectation{Target: target}
	for _, c := range l.Commits() {
		switch {
		case must(c):
			e.Must = append(e.Must, c.Value)
		case may(c):
			e.May = append(e.May, c.Value)
		}
	}
	return e
}

// Compare returns an error that names the first missing and the first surplus values, or nil when the rows are right.
func (e Expectation) Compare(rows []int64) error {
	var missing, surplus []int64
	rows = slices.Sorted(slices.Values(rows))
	for _, value := range e.Must {
		if _, there := slices.BinarySearch(rows, value); !there {
			missing = append(missing, value)
		}
	}
	for _, value := range rows {
		if _, must := slices.BinarySearch(e.Must, value); must {
			continue
		}
		if _, may := slices.BinarySearch(e.May, value); !may {
			surplus = append(surplus, value)
		}
	}
	if len(missing) == 0 && len(surplus) == 0 {
		return nil
	}
	return fmt.Errorf("at %s: %d rows, %d of %d wanted ones are missing%s, %d should not be there%s",
		e.Target, len(rows), len(missing), len(e.Must), sample(missing), len(surplus), sample(surplus))
}

func sample(values []int64) string {
	if len(values) == 0 {
		return ""
	}
	return fmt.Sprintf(" (%d…%d)", values[0], values[len(values)-1])
}
