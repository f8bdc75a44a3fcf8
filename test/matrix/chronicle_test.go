package matrix

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/test/lab"
)

// moment is what is known about the time after one transaction of a chronicle and before the next one.
type moment struct {
	xid       uint64
	committed bool
	// before and started are the WAL insert position and the server's clock before the transaction, after and ended those behind it.
	before, after  wal.LSN
	started, ended time.Time
	// at is the time in the commit record; zero for a transaction that was rolled back.
	at time.Time
	// point is the name of a restore point that was made then, or empty.
	point string
	// rows is what contents has to return.
	rows string
}

// chronicle is a book, kept outside of the database, of what one session does to the tables of the schema "truth": random transactions
// with DDL, tablespaces and subtransactions, of which some are rolled back. Others may work on the server, but not on these tables, so
// the rows after each transaction are known exactly.
type chronicle struct {
	random  *rand.Rand
	session *lab.Session
	// tables are the rows by table and key.
	tables tables
	// numbers makes names and values that were never used before.
	numbers int

	mu      sync.Mutex
	moments []moment
}

type tables map[string]map[int]string

func (ts tables) clone() tables {
	c := tables{}
	for name, rows := range ts {
		c[name] = maps.Clone(rows)
	}
	return c
}

// String is the rows in the form of contents.
func (ts tables) String() string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(ts)) {
		line := name + ":"
		for _, id := range slices.Sorted(maps.Keys(ts[name])) {
			line += fmt.Sprintf(" %d=%s", id, ts[name][id])
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// contents reads the tables of a server.
func contents(sql func(string) (string, error)) (string, error) {
	names, err := sql("SELECT tablename FROM pg_tables WHERE schemaname = 'truth' ORDER BY tablename COLLATE \"C\"")
	if err != nil || names == "" {
		return "", err
	}
	var parts []string
	for i, name := range strings.Split(names, "\n") {
		parts = append(parts, fmt.Sprintf("SELECT %d, '%s:' || coalesce(string_agg(' ' || id || '=' || value, '' ORDER BY id), '') FROM truth.%s", i, name, name))
	}
	lines, err := sql(strings.Join(parts, " UNION ALL ") + " ORDER BY 1")
	if err != nil {
		return "", err
	}
	var rows []string
	for line := range strings.SplitSeq(lines, "\n") {
		_, row, _ := strings.Cut(line, "|")
		rows = append(rows, row)
	}
	return strings.Join(rows, "\n"), nil
}

// branch is a chronicle that goes on from a moment of this one, on a server that was restored to it.
func (c *chronicle) branch(at int) *chronicle {
	b := &chronicle{random: c.random, numbers: c.numbers, moments: slices.Clone(c.moments[:at+1])}
	b.tables = parseTables(b.moments[at].rows)
	return b
}

func parseTables(text string) tables {
	ts := tables{}
	for line := range strings.SplitSeq(text, "\n") {
		name, rows, found := strings.Cut(line, ":")
		if !found {
			continue
		}
		ts[name] = map[int]string{}
		for _, row := range strings.Fields(rows) {
			id, value, _ := strings.Cut(row, "=")
			n, _ := strconv.Atoi(id)
			ts[name][n] = value
		}
	}
	return ts
}

func (c *chronicle) next() int {
	c.numbers++
	return c.numbers
}

func (c *chronicle) length() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.moments)
}

// run does n transactions.
func (c *chronicle) run(n int) error {
	for range n {
		if err := c.transaction(c.random.IntN(4) == 0, c.random.IntN(8) == 0); err != nil {
			return err
		}
	}
	return nil
}

// transaction does one transaction, makes a restore point if it is asked to, and begins a new WAL segment if it is asked to.
func (c *chronicle) transaction(point, segment bool) error {
	const clock = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
	statements, result := c.statements(c.tables.clone(), true)
	m := moment{committed: c.random.IntN(5) != 0}
	end := "COMMIT;"
	if !m.committed {
		end = "ROLLBACK;"
	}
	batch := []string{"SELECT 'before', pg_current_wal_insert_lsn(), " + clock + ";", "BEGIN;"}
	batch = append(batch, statements...)
	batch = append(batch, `SELECT txid_current() AS xid \gset`, end,
		"SELECT 'after', pg_current_wal_insert_lsn(), "+clock+", :xid, "+
			"coalesce((extract(epoch FROM pg_xact_commit_timestamp(:'xid'::xid)) * 1000000)::bigint, 0);")
	if point {
		m.point = fmt.Sprintf("point %d", c.next())
		batch = append(batch, "SELECT 'point', pg_create_restore_point('"+m.point+"');")
	}
	if segment {
		batch = append(batch, "SELECT 'segment', pg_switch_wal();")
	}
	lines, err := c.session.Run(strings.Join(batch, "\n"))
	if err != nil {
		return fmt.Errorf("%w after %s", err, strings.Join(batch, "\n"))
	}
	for _, line := range lines {
		if err := m.note(strings.Split(line, "|")); err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
	}
	if m.committed {
		c.tables = result
	}
	m.rows = c.tables.String()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moments = append(c.moments, m)
	return nil
}

// note takes down what the server says.
func (m *moment) note(fields []string) (err error) {
	micros := func(text string) time.Time {
		n, e := strconv.ParseInt(text, 10, 64)
		if e != nil {
			err = e
		}
		return time.UnixMicro(n).UTC()
	}
	switch fields[0] {
	case "before":
		m.before, err = wal.ParseLSN(fields[1])
		m.started = micros(fields[2])
	case "after":
		m.after, err = wal.ParseLSN(fields[1])
		m.ended = micros(fields[2])
		if m.committed {
			m.at = micros(fields[4])
		}
		if err == nil {
			m.xid, err = strconv.ParseUint(fields[3], 10, 64)
		}
	}
	return err
}

// statements are some changes to the tables ts, and the tables afterwards. Some are made in subtransactions, and some of these are rolled
// back. DDL comes only where none of them is open: PostgreSQL 15 reported a duplicate key after thousands of random mixtures of the two.
func (c *chronicle) statements(ts tables, ddl bool) (sql []string, after tables) {
	for range 1 + c.random.IntN(3) {
		if c.random.IntN(3) != 0 {
			if ddl && c.random.IntN(2) == 0 || len(ts) == 0 {
				sql = append(sql, c.define(ts))
			} else {
				sql = append(sql, c.change(ts))
			}
			continue
		}
		name := fmt.Sprintf("s%d", c.next())
		inner, result := c.statements(ts.clone(), false)
		sql = append(append(sql, "SAVEPOINT "+name+";"), inner...)
		if c.random.IntN(2) == 0 {
			sql = append(sql, "ROLLBACK TO "+name+";")
			continue
		}
		sql = append(sql, "RELEASE "+name+";")
		ts = result
	}
	return sql, ts
}

// define is one statement of DDL.
func (c *chronicle) define(ts tables) string {
	name := c.choose(ts)
	if name == "" || len(ts) < 4 && c.random.IntN(3) == 0 {
		return c.create(ts)
	}
	switch c.random.IntN(5) {
	case 0:
		delete(ts, name)
		return "DROP TABLE truth." + name + ";"
	case 1:
		clear(ts[name])
		return "TRUNCATE truth." + name + ";"
	case 2:
		return "ALTER TABLE truth." + name + " SET TABLESPACE " + []string{"pg_default", "space"}[c.random.IntN(2)] + ";"
	case 3:
		return fmt.Sprintf("CREATE INDEX ON truth.%s (value);", name)
	}
	return fmt.Sprintf("ALTER TABLE truth.%s ADD COLUMN c%d int DEFAULT 1;", name, c.next())
}

// choose is one of the tables, or empty.
func (c *chronicle) choose(ts tables) string {
	names := slices.Sorted(maps.Keys(ts))
	if len(names) == 0 {
		return ""
	}
	return names[c.random.IntN(len(names))]
}

// change is one statement that changes rows.
func (c *chronicle) change(ts tables) string {
	name := c.choose(ts)
	rows := ts[name]
	const of = 3
	part := c.random.IntN(of)
	some := fmt.Sprintf("WHERE id %% %d = %d", of, part)
	switch c.random.IntN(4) {
	case 0:
		maps.DeleteFunc(rows, func(id int, _ string) bool { return id%of == part })
		return "DELETE FROM truth." + name + " " + some + ";"
	case 1:
		value := fmt.Sprintf("u%d", c.next())
		for id := range rows {
			if id%of == part {
				rows[id] = value
			}
		}
		return "UPDATE truth." + name + " SET value = '" + value + "' " + some + ";"
	}
	var values []string
	for range 1 + c.random.IntN(8) {
		id := c.next()
		rows[id] = fmt.Sprintf("i%d", id)
		values = append(values, fmt.Sprintf("(%d, 'i%d')", id, id))
	}
	return "INSERT INTO truth." + name + " (id, value) VALUES " + strings.Join(values, ", ") + ";"
}

func (c *chronicle) create(ts tables) string {
	name := fmt.Sprintf("t%d", c.next())
	ts[name] = map[int]string{}
	sql := "CREATE TABLE truth." + name + " (id int PRIMARY KEY, value text, filler text DEFAULT repeat('x', 400))"
	if c.random.IntN(2) == 0 {
		sql += " TABLESPACE space"
	}
	return sql + ";"
}
