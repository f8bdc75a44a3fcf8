package archive_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/barman-go/barman/core/archive"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
)

func itoa(n int) string { return strconv.Itoa(n) }

// BenchmarkArchiveWAL archives 64 segments of 16 MiB that pgbench made. Metrics: segments per second, and processor seconds
// per segment of this process and its plugins together.
//
//	go test -run=^$ -bench=ArchiveWAL -benchtime=1x ./core/archive
//
// BARMAN_BENCH_WAL names a directory of segments to use instead, such as the pg_wal of another program's measurement.
func BenchmarkArchiveWAL(b *testing.B) {
	const n = 64
	segments, names, id := benchmarkWAL(b)
	for _, compression := range []string{"none", "gzip", "zstd", "lz4"} {
		for _, skip := range []bool{false, true} {
			title := compression + "/verified"
			if skip {
				title = compression + "/unverified"
			}
			b.Run(title, func(b *testing.B) {
				for range b.N {
					b.StopTimer()
					s := newSite(b)
					for i := range n {
						name := fmt.Sprintf("0000000100000000000000%02X", i+1)
						source := segments[names[i%len(names)]]
						s.deliver(name, withAddress(b, source, name))
					}
					unix.Sync()
					a := s.archiver(compression)
					a.Expect.SystemID, a.SkipReadBack, a.Verbose = id, skip, false
					before := cpuOf(b)
					b.StartTimer()
					began := time.Now()
					if sum := s.run(a, s.incoming()); sum != (archive.Summary{Archived: n}) {
						b.Fatalf("summary %+v", sum)
					}
					took := time.Since(began)
					b.StopTimer()
					b.ReportMetric(n/took.Seconds(), "segments/s")
					b.ReportMetric((cpuOf(b)-before).Seconds()/n, "cpu-s/segment")
					b.ReportMetric(float64(n*16*mib)/float64(bytesIn(b, s.layout.WALs)), "ratio")
					b.StartTimer()
				}
			})
		}
	}
}

func benchmarkWAL(b *testing.B) (segments map[string][]byte, names []string, id wal.SystemID) {
	b.Helper()
	if dir := os.Getenv("BARMAN_BENCH_WAL"); dir != "" {
		return readWAL(b, dir)
	}
	segments, names, id = pgWAL(b, 16, 10)
	if len(names) < 4 {
		b.Fatalf("only %d segments", len(names))
	}
	return segments, names, id
}

func readWAL(b *testing.B, dir string) (segments map[string][]byte, names []string, id wal.SystemID) {
	b.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, strings.Repeat("?", 24)))
	check(b, err)
	segments = map[string][]byte{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		check(b, err)
		header, err := wal.DecodePageHeader(content)
		check(b, err)
		name := filepath.Base(path)
		segments[name], id = content, header.SystemID
		names = append(names, name)
	}
	return segments, names, id
}

// withAddress gives the content of one segment the place of another.
func withAddress(t testing.TB, content []byte, name string) []byte {
	t.Helper()
	s, err := wal.ParseSegment(name)
	check(t, err)
	content = bytes.Clone(content)
	binary.LittleEndian.PutUint64(content[8:], uint64(s.StartLSN(16*mib)))
	return content
}

// cpuOf is the processor time of this process and the plugins that it runs.
func cpuOf(t testing.TB) time.Duration {
	t.Helper()
	var self unix.Rusage
	check(t, unix.Getrusage(unix.RUSAGE_SELF, &self))
	total := time.Duration(self.Utime.Nano() + self.Stime.Nano())
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	check(t, err)
	for _, path := range stats {
		content, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// The name, in parentheses, may hold blanks; state, parent, … follow it.
		fields := strings.Fields(string(content[bytes.LastIndexByte(content, ')')+1:]))
		if fields[1] != itoa(os.Getpid()) {
			continue
		}
		for _, ticks := range fields[11:13] {
			n, err := strconv.Atoi(ticks)
			check(t, err)
			total += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return total
}

func bytesIn(t testing.TB, dir string) int64 {
	t.Helper()
	size, err := fsx.TreeSize(t.Context(), dir)
	check(t, err)
	return size.Bytes
}
