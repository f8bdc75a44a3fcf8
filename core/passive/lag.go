package passive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/core/wal"
)

// Lag says how far this node is behind its primary.
type Lag struct {
	// Asked is when the primary has answered last; zero when never.
	Asked time.Time
	// There is the name of the last file that it had archived then.
	There string
	// Here is the end of the WAL that is here without a gap, by pages; Segment is where it lies, empty when there is none.
	Here    wal.LSN
	Segment string
	// BackupsThere is the number of backups of the primary, BackupsHere how many of them are complete here.
	BackupsThere, BackupsHere int
}

// tooOld is the age from which on an answer is no proof that this node is a copy. cron asks every minute.
const tooOld = 15 * time.Minute

// Lag compares this node with what the primary said last. It asks nobody.
func (p *Primary) Lag(c *catalog.Catalog) (Lag, error) {
	var lag Lag
	info, err := os.Stat(p.Layout.PrimaryInfoPath())
	if errors.Is(err, fs.ErrNotExist) {
		return lag, nil
	}
	if err != nil {
		return lag, err
	}
	doc, err := p.Stored(nil)
	if err != nil {
		return lag, err
	}
	list, err := c.List()
	if err != nil {
		return lag, err
	}
	lag.Asked, lag.There = info.ModTime(), doc.Last.Name
	for _, b := range doc.Backups {
		lag.BackupsThere++
		if here := list.Get(b.ID); here != nil && here.Status == catalog.StatusDone {
			lag.BackupsHere++
		}
	}
	if last := list.Last(catalog.Usable...); last != nil {
		err = lag.findEnd(c, last)
	}
	return lag, err
}

// findEnd looks for the end of the WAL that follows on without a gap: in the archive, and then in what is mirrored. A new timeline goes on
// in the segment in which the old one ends.
func (l *Lag) findEnd(c *catalog.Catalog, last *catalog.BackupInfo) error {
	size := last.SegmentSize
	newest, err := c.NewestSegments()
	if err != nil {
		return err
	}
	var at wal.Segment
	for _, s := range newest {
		if s.Compare(at) > 0 {
			at = s
		}
	}
	next := last.BeginWAL
	if at != (wal.Segment{}) {
		l.Here, l.Segment, next = at.EndLSN(size), at.String(), at.Next(size)
	}
	for {
		child := next.OnTimeline(next.Timeline + 1)
		found := false
		for _, s := range []wal.Segment{next, child, previous(child, size)} {
			for _, name := range []string{s.String(), wal.PartialName(s)} {
				end, err := endOfPages(filepath.Join(c.Layout.Streaming, name), s.StartLSN(size))
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
				if end > l.Here {
					l.Here, l.Segment, found = end, s.String(), true
					if s.String() == name {
						next = s.Next(size)
						break
					}
					next = s
				}
			}
		}
		if !found {
			return nil
		}
	}
}

// previous is the segment before one, or the same at the start of the log.
func previous(s wal.Segment, size wal.SegmentSize) wal.Segment {
	if before, ok := s.Previous(size); ok {
		return before
	}
	return s
}

// endOfPages is the end of the last page of a segment that was written: pages carry their addresses. It is 0 when there is none.
func endOfPages(path string, start wal.LSN) (wal.LSN, error) {
	const pageSize = 8192
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	// Written pages come first, so the last one can be found by halving.
	low, high := int64(0), info.Size()/pageSize
	header := make([]byte, 16)
	for low < high {
		middle := (low + high) / 2
		if _, err := f.ReadAt(header, middle*pageSize); err != nil {
			return 0, err
		}
		address := wal.LSN(0)
		for i := range 8 {
			address |= wal.LSN(header[8+i]) << (8 * i)
		}
		if address == start+wal.LSN(middle*pageSize) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == 0 {
		return 0, nil
	}
	return start + wal.LSN(low*pageSize), nil
}

// Problem says why this node is no good copy at the moment; empty when nothing is wrong.
func (l Lag) Problem(now time.Time) string {
	switch {
	case l.Asked.IsZero():
		return "the primary node has never answered: run 'barman cron'"
	case now.Sub(l.Asked) > tooOld:
		return fmt.Sprintf("the primary node has not answered for %s: look whether it can be reached, and whether cron runs here", report.Duration(now.Sub(l.Asked)))
	}
	return ""
}

// Text is one line for people.
func (l Lag) Text(now time.Time) string {
	if l.Asked.IsZero() {
		return "never"
	}
	text := fmt.Sprintf("%s, %s ago; %d of %d backups are here", report.CTime(l.Asked.Local()), report.Duration(now.Sub(l.Asked)), l.BackupsHere, l.BackupsThere)
	if l.Segment != "" {
		text += fmt.Sprintf("; WAL up to %s (%s)", l.Here, l.Segment)
	}
	if l.There != "" {
		text += fmt.Sprintf(", the primary had archived up to %s", l.There)
	}
	return text
}
