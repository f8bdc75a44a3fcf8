package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/test/lab"
)

// workload commits, aborts, uses subtransactions, prepares, marks, switches, and writes records longer than a page.
var workload = []string{
	"CREATE TABLE t (i int, s text)",
	"INSERT INTO t SELECT i, repeat('x', 50) FROM generate_series(1, 20000) i",
	"BEGIN; INSERT INTO t VALUES (1); ROLLBACK",
	"BEGIN; SAVEPOINT a; INSERT INTO t VALUES (2); SAVEPOINT b; INSERT INTO t VALUES (3); ROLLBACK TO a; COMMIT",
	"SELECT pg_create_restore_point('before the accident')",
	"SELECT pg_logical_emit_message(false, 'big', repeat('y', 3000000))",
	"INSERT INTO t VALUES (4)",
	"SELECT pg_switch_wal()",
	"BEGIN; INSERT INTO t VALUES (5); PREPARE TRANSACTION 'p'",
	"COMMIT PREPARED 'p'",
	"BEGIN; INSERT INTO t VALUES (6); PREPARE TRANSACTION 'q'",
	"ROLLBACK PREPARED 'q'",
	"CREATE TABLE u AS SELECT * FROM t",
	"DROP TABLE t",
	"CHECKPOINT",
	"SELECT pg_switch_wal()",
}

// dumped is a line of pg_waldump that ends a transaction or marks a place.
var dumped = regexp.MustCompile(`lsn: (\S+), prev \S+, desc: (COMMIT|ABORT|COMMIT_PREPARED|ABORT_PREPARED|RESTORE_POINT) (.*)`)

var dumpedTime = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+`)

// TestReaderAgreesWithWaldump compares what the reader finds in the segments of a real server with pg_waldump.
func TestReaderAgreesWithWaldump(t *testing.T) {
	for _, installation := range lab.Installations() {
		if installation.Major < 10 {
			continue
		}
		t.Run(fmt.Sprint(installation.Major), func(t *testing.T) {
			c := lab.StartCluster(t, lab.ClusterOptions{
				Version: installation.Major, WALSegmentSizeMB: 1,
				Settings: map[string]string{"max_prepared_transactions": "5", "wal_level": "logical", "wal_keep_size": "1GB"},
			})
			for _, sql := range workload {
				c.MustSQL(t, sql)
			}
			if err := c.Stop(lab.Fast); err != nil {
				t.Fatal(err)
			}
			files := segments(t, c)
			var want, got []string
			want = waldump(t, c, files)
			var r Reader
			for _, file := range files {
				if err := readFile(&r, file, func(rec Record) error {
					switch rec.Kind {
					case Commit, Abort:
						got = append(got, fmt.Sprintf("%s %s", rec.LSN, rec.Time.Format("2006-01-02 15:04:05.000000")))
					case RestorePoint:
						got = append(got, fmt.Sprintf("%s %s", rec.LSN, rec.Name))
					}
					return nil
				}); err != nil && !errors.Is(err, ErrEnd) {
					t.Fatalf("%s: %v", file, err)
				}
			}
			if len(want) < 10 {
				t.Fatalf("pg_waldump found only %d records: %v", len(want), want)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("pg_waldump (-) and the reader (+) differ:\n%s", diff)
			}
		})
	}
}

func segments(t *testing.T, c *lab.Cluster) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(c.Data, "pg_wal", "????????????????????????"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no segments: %v", err)
	}
	sort.Strings(files)
	return files
}

// waldump returns the ends of transactions and the restore points that pg_waldump finds.
func waldump(t *testing.T, c *lab.Cluster, files []string) []string {
	t.Helper()
	cmd := c.Tool(context.Background(), "pg_waldump", "-p", filepath.Dir(files[0]), filepath.Base(files[0]), filepath.Base(files[len(files)-1]))
	cmd.Env = append(cmd.Environ(), "TZ=UTC")
	res, err := lab.Run(cmd)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(res.Stdout) {
		m := dumped.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		lsn, err := wal.ParseLSN(m[1])
		if err != nil {
			t.Fatal(err)
		}
		detail := dumpedTime.FindString(m[3])
		if m[2] == "RESTORE_POINT" {
			detail = m[3]
		}
		found = append(found, fmt.Sprintf("%s %s", lsn, detail))
	}
	return found
}

func readFile(r *Reader, path string, each func(Record) error) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return r.Segment(bytes.NewReader(content), each)
}

func TestReaderRefusesWhatIsNoWAL(t *testing.T) {
	for name, content := range map[string][]byte{
		"zeros": make([]byte, 8192),
		"text":  bytes.Repeat([]byte("text "), 100),
	} {
		var r Reader
		if err := r.Segment(bytes.NewReader(content), func(Record) error { return nil }); !errors.Is(err, wal.ErrNotWAL) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var r Reader
	if err := r.Segment(strings.NewReader("short"), func(Record) error { return nil }); !errors.Is(err, ErrEnd) {
		t.Errorf("short: %v", err)
	}
}

// page is the first page of a segment at 0/1000000 with some records.
func page(records ...[]byte) []byte {
	p := make([]byte, 8192)
	order := binaryOrder
	order.PutUint16(p, 0xD110)
	order.PutUint16(p[2:], wal.InfoLongHeader)
	order.PutUint32(p[4:], 1)
	order.PutUint64(p[8:], 0x1000000)
	order.PutUint64(p[24:], 4711)
	order.PutUint32(p[32:], 1<<20)
	order.PutUint32(p[36:], 8192)
	pos := longHeader
	for _, rec := range records {
		copy(p[pos:], rec)
		pos = align(pos + len(rec))
	}
	return p
}

func commit(at time.Time) []byte {
	rec := make([]byte, headerSize, headerSize+10)
	rec[17] = rmXact
	rec = append(rec, partDataShort, 8)
	rec = binaryOrder.AppendUint64(rec, uint64(at.Sub(postgresEpoch).Microseconds()))
	binaryOrder.PutUint32(rec, uint32(len(rec)))
	binaryOrder.PutUint32(rec[4:], 755)
	seal(rec)
	return rec
}

func TestReaderStopsAtADamagedRecord(t *testing.T) {
	at := time.Date(2026, 1, 7, 10, 0, 0, 123456000, time.UTC)
	good, bad := commit(at), commit(at.Add(time.Hour))
	bad[len(bad)-1] ^= 1
	var r Reader
	var got []Record
	err := r.Segment(bytes.NewReader(page(good, bad, good)), func(rec Record) error { got = append(got, rec); return nil })
	if !errors.Is(err, ErrEnd) || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("error %v", err)
	}
	want := []Record{{LSN: 0x1000028, Kind: Commit, XID: 755, Time: at}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(page(commit(postgresEpoch)), page(commit(postgresEpoch)))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var r Reader
		for _, content := range [][]byte{a, b} {
			var last wal.LSN
			_ = r.Segment(bytes.NewReader(content), func(rec Record) error {
				if rec.LSN <= last {
					t.Fatalf("record at %s comes after the one at %s", rec.LSN, last)
				}
				last = rec.LSN
				return nil
			})
		}
	})
}
