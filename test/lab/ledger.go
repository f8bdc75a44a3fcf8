package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/barman-go/barman/core/wal"
)

// Commit is one transaction of a ledger: it inserted one row with Value.
type Commit struct {
	Value int64
	XID   uint64
	// Before and Started are the WAL insert position and the server's clock before the transaction began.
	Before  wal.LSN
	Started time.Time
	// After and Ended are those after the commit was acknowledged; the commit record lies between Before and After. Of a
	// transaction whose acknowledgement never came they are wal.MaxLSN and the zero time: nobody knows whether it counts.
	After wal.LSN
	Ended time.Time
}

// Acknowledged tells whether the server confirmed the commit.
func (c Commit) Acknowledged() bool { return c.After != wal.MaxLSN }

// LedgerOptions describe the writers.
type LedgerOptions struct {
	// Writers is the number of concurrent sessions; 0 means 1.
	Writers int
	// Pause is the time between two commits of a writer; 0 means 20 ms.
	Pause time.Duration
	// Tablespace is where the table lives; empty means the default.
	Tablespace string
}

// Ledger is a book, kept outside the database, about rows that background writers commit into the table lab_ledger. A
// restored cluster is compared with the book: see Expectation.
type Ledger struct {
	cluster *Cluster
	pause   time.Duration
	writers []*ledgerWriter

	mu      sync.Mutex
	next    int64
	commits []Commit
	err     error
}

// StartLedger creates the table and starts the writers; they end with Stop, or with the test.
func (c *Cluster) StartLedger(t testing.TB, o LedgerOptions) *Ledger {
	t.Helper()
	l, err := c.NewLedger(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Stop() })
	return l
}

// NewLedger is StartLedger for programs.
func (c *Cluster) NewLedger(ctx context.Context, o LedgerOptions) (*Ledger, error) {
	if o.Writers == 0 {
		o.Writers = 1
	}
	if o.Pause == 0 {
		o.Pause = 20 * time.Millisecond
	}
	create := "CREATE TABLE IF NOT EXISTS lab_ledger (value bigint PRIMARY KEY, writer int NOT NULL, filler text NOT NULL)"
	if o.Tablespace != "" {
		create += " TABLESPACE " + o.Tablespace
	}
	if _, err := c.SQL(ctx, create); err != nil {
		return nil, err
	}
	l := &Ledger{cluster: c, pause: o.Pause}
	for i := range o.Writers {
		w, err := l.startWriter(i + 1)
		if err != nil {
			return nil, errors.Join(err, l.Stop())
		}
		l.writers = append(l.writers, w)
	}
	return l, nil
}

// Stop lets the writers finish their current transaction and ends them. It returns what went wrong; a server that was
// killed under the writers is no error, because that is what ledgers are for.
func (l *Ledger) Stop() error {
	for _, w := range l.writers {
		w.stop()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Resume starts the writers again whose server was killed under them and is back. The book goes on.
func (l *Ledger) Resume() error {
	for i, w := range l.writers {
		w.stop()
		next, err := l.startWriter(i + 1)
		if err != nil {
			return err
		}
		l.writers[i] = next
	}
	return nil
}

// Commits returns what was written so far, ordered by value.
func (l *Ledger) Commits() []Commit {
	l.mu.Lock()
	defer l.mu.Unlock()
	commits := slices.Clone(l.commits)
	slices.SortFunc(commits, func(a, b Commit) int { return int(a.Value - b.Value) })
	return commits
}

// Acknowledged returns the number of acknowledged commits.
func (l *Ledger) Acknowledged() int {
	n := 0
	for _, c := range l.Commits() {
		if c.Acknowledged() {
			n++
		}
	}
	return n
}

// WaitCommits waits until n more commits than now are acknowledged.
func (l *Ledger) WaitCommits(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for want := l.Acknowledged() + n; l.Acknowledged() < want; {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the ledger's writers are too slow: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
		l.mu.Lock()
		err := l.err
		l.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// LedgerRows returns the values in the table lab_ledger, sorted.
func (c *Cluster) LedgerRows(t testing.TB) []int64 {
	t.Helper()
	rows, err := c.ReadLedgerRows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// ReadLedgerRows is LedgerRows for programs.
func (c *Cluster) ReadLedgerRows(ctx context.Context) ([]int64, error) {
	out, err := c.SQL(ctx, "SELECT value FROM lab_ledger ORDER BY value")
	if err != nil {
		return nil, err
	}
	var rows []int64
	for _, field := range strings.Fields(out) {
		value, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return nil, err
		}
		rows = append(rows, value)
	}
	return rows, nil
}

// ledgerWriter is a session that commits one transaction after the other.
type ledgerWriter struct {
	number  int
	session *Session
	quit    chan struct{}
	ended   chan struct{}
	stopped sync.Once
}

func (l *Ledger) startWriter(number int) (*ledgerWriter, error) {
	session, err := l.cluster.NewSession()
	if err != nil {
		return nil, err
	}
	w := &ledgerWriter{number: number, session: session, quit: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(w.ended)
		err := l.write(w)
		session.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.err = errors.Join(l.err, err)
	}()
	return w, nil
}

func (w *ledgerWriter) stop() {
	w.stopped.Do(func() { close(w.quit) })
	<-w.ended
}

// write commits until told to quit, or until the server goes away.
func (l *Ledger) write(w *ledgerWriter) error {
	for {
		l.mu.Lock()
		l.next++
		commit := Commit{Value: l.next, After: wal.MaxLSN}
		l.mu.Unlock()
		complete, err := w.commit(&commit)
		l.mu.Lock()
		l.commits = append(l.commits, commit)
		l.mu.Unlock()
		if err != nil || !complete {
			return err
		}
		select {
		case <-w.quit:
			return nil
		case <-time.After(l.pause):
		}
	}
}

// commit runs one transaction. It returns false when the server went away; what was learnt until then is in c.
func (w *ledgerWriter) commit(c *Commit) (complete bool, err error) {
	const place = "SELECT '%s', pg_current_wal_insert_lsn(), extract(epoch FROM clock_timestamp())::numeric(20,6);\n"
	script := fmt.Sprintf(place, "before") +
		"BEGIN;\n" +
		fmt.Sprintf("INSERT INTO lab_ledger VALUES (%d, %d, repeat('x', 100));\n", c.Value, w.number) +
		"SELECT 'xid', txid_current();\n" +
		"COMMIT;\n" +
		fmt.Sprintf(place, "after")
	lines, ended := w.session.Run(script)
	for _, line := range lines {
		fields := strings.Split(line, "|")
		switch {
		case fields[0] == "before" && len(fields) == 3:
			c.Before, c.Started, err = parsePlace(fields[1], fields[2])
		case fields[0] == "xid" && len(fields) == 2:
			c.XID, err = strconv.ParseUint(fields[1], 10, 64)
		case fields[0] == "after" && len(fields) == 3:
			c.After, c.Ended, err = parsePlace(fields[1], fields[2])
		default:
			err = fmt.Errorf("unexpected line from psql: %q", line)
		}
		if err != nil {
			return false, err
		}
	}
	// A session ends when its server does.
	return ended == nil, nil
}

func parsePlace(lsnText, epoch string) (wal.LSN, time.Time, error) {
	lsn, err := wal.ParseLSN(lsnText)
	if err != nil {
		return 0, time.Time{}, err
	}
	whole, micros, _ := strings.Cut(epoch, ".")
	s, errS := strconv.ParseInt(whole, 10, 64)
	us, errUS := strconv.ParseInt(micros, 10, 64)
	return lsn, time.Unix(s, us*1000), errors.Join(errS, errUS)
}
