package archive_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/barman-go/barman/core/archive"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/test/lab"
)

// pgWAL runs pgbench on a fresh cluster and returns its finished segments, oldest first.
func pgWAL(t testing.TB, sizeMB, scale int) (segments map[string][]byte, names []string, id wal.SystemID) {
	t.Helper()
	c := lab.StartCluster(t, lab.ClusterOptions{WALSegmentSizeMB: sizeMB, Settings: map[string]string{
		"archive_mode": "off", "wal_keep_size": "4GB", "max_wal_size": "4GB",
	}})
	ctx := t.Context()
	check(t, c.InitPgbench(ctx, scale, ""))
	result, err := lab.Run(c.Tool(ctx, "pgbench", "-h", c.SocketDir, "-p", itoa(c.Port), "-U", "postgres", "-t", "200", "postgres"))
	if err != nil || result.Exit != 0 {
		t.Fatalf("pgbench: %v %s", err, result.Stderr)
	}
	_, err = c.SQL(ctx, "SELECT pg_switch_wal()")
	check(t, err)
	text, err := c.SQL(ctx, "SELECT system_identifier FROM pg_control_system()")
	check(t, err)
	id, err = wal.ParseSystemID(string(bytes.TrimSpace([]byte(text))))
	check(t, err)
	current, err := c.SQL(ctx, "SELECT pg_walfile_name(pg_current_wal_lsn())")
	check(t, err)
	current = string(bytes.TrimSpace([]byte(current)))
	entries, err := os.ReadDir(filepath.Join(c.Data, "pg_wal"))
	check(t, err)
	segments = map[string][]byte{}
	for _, e := range entries {
		if wal.IsFileName(e.Name()) && e.Name() < current {
			content, err := os.ReadFile(filepath.Join(c.Data, "pg_wal", e.Name()))
			check(t, err)
			segments[e.Name()] = content
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return segments, names, id
}

// TestRealSegmentsGoThrough takes PostgreSQL's own WAL all the way, with two segment sizes.
func TestRealSegmentsGoThrough(t *testing.T) {
	for _, sizeMB := range []int{1, 16} {
		segments, names, id := pgWAL(t, sizeMB, 1)
		if len(names) == 0 {
			t.Fatal("PostgreSQL made no WAL")
		}
		for _, compression := range compressions[:3] {
			s := newSite(t)
			var members []member
			for _, name := range names {
				members = append(members, file(name, segments[name]))
			}
			p := s.putter(s.codecs(""))
			p.Expect = wal.Expect{SystemID: id, SegmentSize: wal.SegmentSize(sizeMB * mib)}
			check(t, p.Run(t.Context(), bytes.NewReader(stream(t, append(members, sums(members...))...))))
			a := s.archiver(compression)
			a.Expect = p.Expect
			if sum := s.run(a, s.incoming()); sum != (archive.Summary{Archived: len(names)}) {
				t.Errorf("summary %+v, want %d archived", sum, len(names))
			}
			for _, name := range names {
				s.wantGet(a.Codecs, name, segments[name])
			}
			p.Expect.SystemID++
			if err := p.Run(t.Context(), bytes.NewReader(stream(t, append(members, sums(members...))...))); !errors.Is(err, archive.ErrRefused) {
				t.Errorf("WAL of another cluster: error %v, want ErrRefused", err)
			}
		}
	}
}
