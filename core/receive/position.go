package receive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/barman-go/barman/core/wal"
)

// position is where a stream begins: the start of a segment.
type position struct {
	timeline wal.TimelineID
	lsn      wal.LSN
}

func positionOf(s wal.Segment, size wal.SegmentSize) position {
	return position{timeline: s.Timeline, lsn: s.StartLSN(size)}
}

func (p position) segment(size wal.SegmentSize) wal.Segment {
	return wal.SegmentForLSN(p.timeline, p.lsn, size)
}

// entry is a segment in the streaming directory.
type entry struct {
	segment wal.Segment
	partial bool
}

// newest is the entry that says where to go on, as pg_receivewal chooses it: the highest address, on the highest timeline that has
// it; a complete segment counts more than its partial self. Complete segments of a wrong size are ignored and returned by name.
func newest(dir string, size wal.SegmentSize) (last entry, found bool, ignored []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return last, false, nil, nil
	}
	for _, e := range entries {
		name, parseErr := wal.ParseFileName(e.Name())
		if parseErr != nil || (name.Kind() != wal.KindSegment && name.Kind() != wal.KindPartial) {
			continue
		}
		segment, _ := name.Segment()
		if !segment.Fits(size) {
			ignored = append(ignored, e.Name())
			continue
		}
		partial := name.Kind() == wal.KindPartial
		if !partial {
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				continue // archived in this moment
			}
			if err != nil {
				return last, false, nil, err
			}
			if info.Size() != int64(size) {
				ignored = append(ignored, e.Name())
				continue
			}
		}
		if candidate := (entry{segment, partial}); !found || candidate.after(last, size) {
			last, found = candidate, true
		}
	}
	return last, found, ignored, err
}

func (e entry) after(o entry, size wal.SegmentSize) bool {
	if a, b := e.segment.Number(size), o.segment.Number(size); a != b {
		return a > b
	}
	if e.segment.Timeline != o.segment.Timeline {
		return e.segment.Timeline > o.segment.Timeline
	}
	return o.partial && !e.partial
}

// begin finds out where to go on: after what is in the directory, or else where the slot keeps WAL, or else at the server's current
// segment.
func (s *session) begin(ctx context.Context) (position, error) {
	size := s.expect.SegmentSize
	last, found, ignored, err := newest(s.Dir, size)
	if err != nil {
		return position{}, final{err}
	}
	for _, name := range ignored {
		s.Out.Warning("%s: %s/%s has not the size of a segment and is ignored", s.Server, s.Dir, name)
	}
	if !found {
		return s.serverPosition(ctx)
	}
	if err := s.ownWAL(last); err != nil {
		return position{}, final{err}
	}
	if last.segment.Timeline > s.identity.Timeline {
		return position{}, finalf("WAL of timeline %d was received before, but the server is on timeline %d: is it an older copy of the "+
			"cluster? To go on with its WAL, execute 'barman receive-wal --reset %s' and take a new backup",
			last.segment.Timeline, s.identity.Timeline, s.Server)
	}
	if !last.partial {
		last.segment = last.segment.Next(size)
	}
	return positionOf(last.segment, size), nil
}

// ownWAL looks whether the WAL that was received before is of this cluster.
func (s *session) ownWAL(last entry) error {
	name := last.segment.String()
	if last.partial {
		name = wal.PartialName(last.segment)
	}
	file, err := os.Open(filepath.Join(s.Dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // archived in this moment
	}
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read
	page := make([]byte, wal.PageHeaderSize)
	n, err := file.ReadAt(page, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	header, err := wal.DecodePageHeader(page[:n])
	if err != nil {
		return nil //nolint:nilerr // no WAL was written yet, or what was is written again
	}
	if header.SystemID != s.identity.SystemID {
		return fmt.Errorf("%s in %s is of the cluster with system identifier %s, the server of streaming_conninfo is %s: "+
			"correct the connection string, or move the files of the other cluster away", name, s.Dir, header.SystemID, s.identity.SystemID)
	}
	return nil
}

// serverPosition is where the server has WAL for a client that has none.
func (s *session) serverPosition(ctx context.Context) (position, error) {
	lsn, timeline := s.identity.Flushed, s.identity.Timeline
	if s.state.Slot != nil && s.state.Slot.RestartLSN != 0 {
		lsn = s.state.Slot.RestartLSN
		var err error
		if timeline, err = s.timelineAt(ctx, lsn); err != nil {
			return position{}, err
		}
	}
	return positionOf(wal.SegmentForLSN(timeline, lsn, s.expect.SegmentSize), s.expect.SegmentSize), nil
}

// timelineAt is the timeline on which the server's past has an address.
func (s *session) timelineAt(ctx context.Context, lsn wal.LSN) (wal.TimelineID, error) {
	if s.identity.Timeline == 1 {
		return 1, nil
	}
	_, text, err := s.conn.TimelineHistory(ctx, s.identity.Timeline)
	if err != nil {
		return 0, err
	}
	history, err := wal.ParseHistory(s.identity.Timeline, bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	return history.TimelineAt(lsn), nil
}
