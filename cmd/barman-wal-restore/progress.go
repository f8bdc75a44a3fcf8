package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
)

// stretch is a number of consecutive segments. The zero value is none.
type stretch struct {
	first wal.Segment
	size  wal.SegmentSize
	count uint64
}

// has tells whether a file is one of the segments.
func (t stretch) has(name wal.FileName) bool {
	seg, ok := name.Segment()
	return ok && name.IsWAL() && t.holds(seg)
}

// holds tells whether seg is one of the segments.
func (t stretch) holds(seg wal.Segment) bool {
	if t.size.Validate() != nil || !seg.Fits(t.size) || seg.Timeline != t.first.Timeline {
		return false
	}
	from, n := t.first.Number(t.size), seg.Number(t.size)
	return n >= from && n-from < t.count
}

// after are the count segments that follow t's first one.
func (t stretch) after(count int) stretch {
	return stretch{first: t.first.Next(t.size), size: t.size, count: uint64(count)}
}

// wanted is the segment that PostgreSQL got last.
func (s *spool) wanted() stretch { return s.read("wanted") }

// fetching are the segments that the prefetcher is about to bring.
func (s *spool) fetching() stretch { return s.read("fetching") }

// read reads a note: "SEGMENT SIZE COUNT". One that is not there, or is not understood, says nothing.
func (s *spool) read(note string) stretch {
	text, err := os.ReadFile(s.path(note))
	if err != nil {
		return stretch{}
	}
	var name string
	var t stretch
	if _, err := fmt.Sscan(string(text), &name, &t.size, &t.count); err != nil {
		return stretch{}
	}
	if t.first, err = wal.ParseSegment(name); err != nil || t.size.Validate() != nil {
		return stretch{}
	}
	return t
}

// write replaces a note at once. It need not outlive a crash.
func (s *spool) write(note string, t stretch) error {
	return s.replace(note, fmt.Sprintf("%s %d %d\n", t.first, t.size, t.count))
}

func (s *spool) replace(name, text string) error {
	temp := fsx.TempPath(s.path(name))
	if err := os.WriteFile(temp, []byte(text), 0o600); err != nil {
		_ = os.Remove(temp)
		return err
	}
	return os.Rename(temp, s.path(name))
}

// pauseTime is how long no prefetcher is started after one has found the end of the archive, or has failed.
const pauseTime = 10 * time.Second

// mayStart tells whether a prefetcher, which would begin behind at, has anything to do that the last one could not do just now.
// problem is why the last one has failed, if nobody has been told yet.
func (s *spool) mayStart(at stretch, count int) (problem string, ok bool) {
	if end := s.read("end"); s.fresh("end") && at.reaches(end.first, count+1) {
		return "", false
	}
	if !s.fresh("problem") {
		return "", true
	}
	text, _ := os.ReadFile(s.path("problem"))
	if len(text) > 0 {
		_ = os.Truncate(s.path("problem"), 0)
	}
	return strings.TrimSpace(string(text)), false
}

func (s *spool) fresh(note string) bool {
	info, err := os.Stat(s.path(note))
	return err == nil && time.Since(info.ModTime()) < pauseTime
}

// prune removes the files that are not among the segments given.
func (s *spool) prune(keep stretch) {
	for _, e := range s.entries() {
		if !keep.has(e.name) {
			_ = os.Remove(e.path)
		}
	}
}

// sweep removes what a killed prefetcher, or a killed client, has left half done. Only for the prefetcher, which is the only one
// that writes anything big.
func (s *spool) sweep() { _, _ = fsx.Sweep(s.dir, fsx.AnyTemp) }

// reaches tells whether seg is one of the count segments after t's first one.
func (t stretch) reaches(seg wal.Segment, count int) bool {
	return t.size.Validate() == nil && t.after(count).holds(seg)
}
