package recovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/core/wal/record"
	"github.com/barman-go/barman/sdk/progress"
)

// minScan is how many segments at the end of the range are looked at before the newest commit found there counts as
// the newest of all: commit records of parallel sessions are not strictly in the order of their times.
const minScan = 4

// errFound ends a scan early.
var errFound = errors.New("found")

// segmentOpener opens the plain content of an archived segment.
type segmentOpener func(ctx context.Context, f WALFile) (io.ReadCloser, error)

// checkReach finds out from the records themselves whether recovery gets to its target, and where it stops: what comes
// after that segment is left out of the plan. PostgreSQL stops at the first record that matches, so a segment with any
// record that matches is late enough; nothing is left out without one. When there is none, PostgreSQL 13 and later end
// with a fatal error after all the work.
func checkReach(ctx context.Context, p *Plan, soft bool, now time.Time, open segmentOpener) error {
	switch p.Target.Kind {
	case ToTime:
		return checkTime(ctx, p, soft, now, open)
	case ToLSN:
		return checkLSN(ctx, p, soft, open)
	case ToXID:
		return checkXID(ctx, p, soft, open)
	case ToName:
		return checkName(ctx, p, soft, open)
	}
	return nil
}

// watched is an opener that reports how much of the plan's WAL was opened. A search by halving ends long before all was.
func watched(p *Plan, rep progress.Reporter, open segmentOpener) segmentOpener {
	done := progress.Progress{
		FilesTotal: int64(len(p.WAL.Files)), BytesTotal: int64(len(p.WAL.Files)) * int64(p.Backup.SegmentSize), Label: "looking for the target",
	}
	return func(ctx context.Context, f WALFile) (io.ReadCloser, error) {
		content, err := open(ctx, f)
		if done.FilesDone < done.FilesTotal {
			done.FilesDone++
			done.BytesDone += int64(p.Backup.SegmentSize)
		}
		rep.Progress(done)
		return content, err
	}
}

func checkTime(ctx context.Context, p *Plan, soft bool, now time.Time, open segmentOpener) error {
	target := p.Target.Time
	if target.After(now) {
		p.unreachable(soft, fmt.Sprintf("The requested target time %s is in the future: it is %s now",
			p.Target.Text, catalog.FormatTime(now.In(target.Location()))), "Check the date and the time zone.")
		return nil
	}
	stopsAt := func(t time.Time) bool { return t.After(target) || p.Target.Exclusive && t.Equal(target) }
	var newest time.Time
	for window, end := 1, len(p.WAL.Files); ; window *= 2 {
		begin := max(0, len(p.WAL.Files)-window)
		// One file of those that were read before, for a record that goes on there.
		among, stop, err := newestCommit(ctx, p.WAL.Files[begin:min(end+1, len(p.WAL.Files))], stopsAt, open)
		if err != nil {
			return err
		}
		if end = begin; among.After(newest) {
			newest = among
		}
		p.WAL.Newest = newest
		switch {
		case stop != nil:
			stop.file += begin
			return p.stopAtTime(ctx, *stop, stopsAt, open)
		case begin > 0 && (newest.IsZero() || window < minScan):
			continue
		case newest.IsZero():
			p.unreachable(soft, fmt.Sprintf("The requested target time %s cannot be reached: no transaction ended in the archived WAL after the backup",
				p.Target.Text), p.reachAdvice())
			return nil
		}
		p.unreachable(soft, fmt.Sprintf("The requested target time %s is after the last WAL: the newest transaction in the archive ended at %s",
			p.Target.Text, catalog.FormatTime(newest.In(target.Location()))), p.reachAdvice())
		return nil
	}
}

// reachAdvice is what can be done about a target that the WAL of this timeline does not have.
func (p *Plan) reachAdvice() string {
	advice := "Choose an earlier target, leave the target out to recover everything that is archived, or archive more WAL " +
		"(barman switch-wal --archive) and run the command again."
	if len(p.otherTimelines) > 0 {
		advice += fmt.Sprintf(" This was looked for on timeline %d; the backup also leads to %s, see --target-tli.",
			p.Timeline, timelineList(p.otherTimelines))
	}
	return advice
}

func timelineList(timelines []wal.TimelineID) string {
	if len(timelines) == 1 {
		return fmt.Sprintf("timeline %d", timelines[0])
	}
	names := make([]string, len(timelines))
	for i, t := range timelines {
		names[i] = strconv.Itoa(int(t))
	}
	last := len(names) - 1
	return "timelines " + strings.Join(names[:last], ", ") + " and " + names[last]
}

// stopAtTime looks for an earlier segment with a commit that stops recovery than the one that is known. Commits are
// almost in the order of their times, so halving finds the first one by reading few segments. Where they are not, the
// clock was set back or somebody committed for long, the result is only later than need be.
func (p *Plan) stopAtTime(ctx context.Context, known stop, stops func(time.Time) bool, open segmentOpener) error {
	_, err := bisect(known.file, func(i int) (bool, error) {
		_, found, err := newestCommit(ctx, p.WAL.Files[i:i+1], stops, open)
		if found != nil {
			known = *found
			known.file = i
		}
		return found != nil, unlessCancelled(ctx, err)
	})
	if err == nil {
		p.WAL.stopAt(known, p.Backup.SegmentSize)
	}
	return err
}

// stop is a record at which recovery stops.
type stop struct {
	// file is the index of the file in which the record ends.
	file int
	// lsn is where it begins.
	lsn wal.LSN
}

// newestCommit returns the newest end of a transaction in consecutive segments, or the first that stops recovery and its
// place.
func newestCommit(
	ctx context.Context, files []WALFile, stops func(time.Time) bool, open segmentOpener,
) (newest time.Time, found *stop, err error) {
	err = scan(ctx, files, open, func(i int, r record.Record) error {
		if r.Kind != record.Commit && r.Kind != record.Abort {
			return nil
		}
		if r.Time.After(newest) {
			newest = r.Time
		}
		if stops(r.Time) {
			found = &stop{file: i, lsn: r.LSN}
			return errFound
		}
		return nil
	})
	return newest, found, err
}

func checkLSN(ctx context.Context, p *Plan, soft bool, open segmentOpener) error {
	size := p.Backup.SegmentSize
	place := wal.SegmentForLSN(0, p.Target.LSN, size)
	begin := len(p.WAL.Files)
	for i, f := range p.WAL.Files {
		if s, err := wal.ParseSegment(f.Name); err == nil && s.OnTimeline(0) == place {
			begin = i
		}
	}
	found, err := firstRecord(ctx, p.WAL.Files, begin, open, func(r record.Record) bool { return r.LSN >= p.Target.LSN })
	if err != nil {
		return err
	}
	if found == nil {
		p.unreachable(soft, fmt.Sprintf("The target LSN %s cannot be reached: no record at or after it is archived, and the archive leads only to %s",
			p.Target.LSN, p.WAL.Available), p.reachAdvice())
		return nil
	}
	p.WAL.stopAt(*found, size)
	return nil
}

// firstRecord finds the first record that matches in the files from an index on; nil when there is none.
func firstRecord(
	ctx context.Context, files []WALFile, from int, open segmentOpener, matches func(record.Record) bool,
) (found *stop, err error) {
	err = scan(ctx, files[from:], open, func(i int, r record.Record) error {
		if !matches(r) {
			return nil
		}
		found = &stop{file: from + i, lsn: r.LSN}
		return errFound
	})
	return found, err
}

// bisect returns the first index below high for which holds is true, or high, provided that it is true from some index
// on. Where it is not, the result is some index for which it is true, or high.
func bisect(high int, holds func(i int) (bool, error)) (int, error) {
	for low := 0; low < high; {
		middle := low + (high-low)/2
		found, err := holds(middle)
		switch {
		case err != nil:
			return 0, err
		case found:
			high = middle
		default:
			low = middle + 1
		}
	}
	return high, nil
}

// unlessCancelled forgets an error of reading a segment that may not even be needed; if it is, its copy will fail.
func unlessCancelled(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return nil
	}
	return err
}

// scan reads the records of consecutive segments; i is the index of the file in which a record ends. It ends without
// an error at errFound and where the valid WAL ends.
func scan(ctx context.Context, files []WALFile, open segmentOpener, each func(i int, r record.Record) error) error {
	var reader record.Reader
	for i, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		content, err := open(ctx, f)
		if err != nil {
			return err
		}
		err = reader.Segment(content, func(r record.Record) error { return each(i, r) })
		err = errors.Join(err, content.Close())
		switch {
		case errors.Is(err, errFound), errors.Is(err, record.ErrEnd):
			return nil
		case err != nil:
			return fmt.Errorf("WAL file %s: %w", f.Path, err)
		}
	}
	return nil
}

// unreachable refuses the plan, or only warns when more WAL may come while PostgreSQL recovers.
func (p *Plan) unreachable(soft bool, summary, advice string) {
	if soft {
		p.warn("%s.", summary)
		return
	}
	p.refuse(summary, advice)
}

// decodedFile removes its file when it is closed.
type decodedFile struct {
	*os.File
	remove func()
}

// Close closes and removes the file.
func (f decodedFile) Close() error {
	defer f.remove()
	return f.File.Close()
}

// openSegment is the segmentOpener of an archive.
func openSegment(decoder Decoder, temp string) segmentOpener {
	return func(ctx context.Context, f WALFile) (io.ReadCloser, error) {
		plain, remove, err := plainFile(ctx, f.Path, temp, decoder)
		if err != nil {
			return nil, err
		}
		file, err := os.Open(plain)
		if err != nil {
			remove()
			return nil, err
		}
		return decodedFile{file, remove}, nil
	}
}
