package main

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
)

// maxIdle is how long a prefetcher stays when PostgreSQL asks for nothing.
const maxIdle = 30 * time.Second

// prefetchLock is the descriptor of the spool's lock, which the request that starts a prefetcher hands over.
const prefetchLock = 3

// prefetcher keeps the spool filled: with the segments that follow the one that PostgreSQL got last, at most o.parallel of them.
type prefetcher struct {
	*spool
	o *options
	// next is what it fetches, or has found to be behind the end of the archive.
	next stretch
	// brought are the segments ahead of PostgreSQL that it has put into the spool. One that is not there any more was taken by a
	// request that has not told so yet, and is not fetched again.
	brought map[wal.Segment]bool
	// last is where PostgreSQL was when brought was looked at.
	last stretch
}

// outcome says why a session with the backup host is over.
type outcome int

const (
	// again: there is more to do, here or at another place of the log.
	again outcome = iota
	// archiveEnds: the next segment is not there.
	archiveEnds
	// gap: the other side goes on with another segment than the next one.
	gap
	// idle: PostgreSQL has not asked for anything for a while.
	idle
	// unsupported: the other side knows no get-wal --tar.
	unsupported
)

// prefetch is the process in the background. It has no streams; what goes wrong is left in the spool for the next request.
func prefetch(ctx context.Context, o *options) error {
	s, err := openSpool(o)
	if err != nil || s == nil {
		return err
	}
	// It is ours until this process ends, and nobody else's: an ssh that stays in the background must not keep it.
	if err := unix.Flock(prefetchLock, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("lock handed over by the request: %w", err)
	}
	unix.CloseOnExec(prefetchLock)
	s.sweep()
	for _, note := range []string{"end", "problem"} {
		_ = os.Remove(s.path(note))
	}
	p := &prefetcher{spool: s, o: o, brought: map[wal.Segment]bool{}}
	ended, err := p.run(ctx)
	_ = os.Remove(s.path("fetching"))
	switch {
	case ctx.Err() != nil:
	case err != nil:
		_ = s.replace("problem", err.Error())
	case ended == archiveEnds || ended == gap:
		// Not what the spool lacks now: a request that has just taken the last file may not have told so yet.
		_ = s.write("end", p.next)
	}
	return err
}

// announce tells the requests what comes next.
func (p *prefetcher) announce(next stretch) error {
	p.next = next
	return p.write("fetching", next)
}

// run fetches until there is nothing to do any more.
func (p *prefetcher) run(ctx context.Context) (outcome, error) {
	session := p.stream
	for {
		wanted := p.wanted()
		if wanted.count == 0 {
			return idle, nil // never asked for anything, or the note is gone
		}
		p.prune(wanted.after(p.o.parallel))
		next, room := p.missing(wanted)
		if !room {
			ended, err := p.waitForRoom(ctx, next)
			if err != nil || ended == idle {
				p.prune(stretch{})
				return ended, err
			}
			continue
		}
		ended, err := session(ctx, next)
		switch {
		case err != nil:
			return ended, err
		case ended == unsupported:
			session = p.oneByOne
		case ended == archiveEnds || ended == gap:
			return ended, p.linger(ctx)
		case ended != again:
			p.prune(stretch{})
			return ended, nil
		}
	}
}

// linger waits at the end of the archive until PostgreSQL has taken what is here. What it does not ask for any more, because its
// recovery is complete, is removed.
func (p *prefetcher) linger(ctx context.Context) error {
	_ = os.Remove(p.path("fetching"))
	last, since := p.wanted(), time.Now()
	for len(p.entries()) > 0 && time.Since(since) < maxIdle {
		if wanted := p.wanted(); wanted != last {
			last, since = wanted, time.Now()
			p.prune(wanted.after(p.o.parallel))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(10 * poll):
		}
	}
	p.prune(stretch{})
	return nil
}

// prune removes the files that are not among the segments given, and forgets that they were brought.
func (p *prefetcher) prune(keep stretch) {
	p.spool.prune(keep)
	maps.DeleteFunc(p.brought, func(seg wal.Segment, _ bool) bool { return !keep.holds(seg) })
}

// missing are the segments that the spool lacks, from the first one on. room is false when it is full; then they are the segment
// after the last one.
func (p *prefetcher) missing(wanted stretch) (next stretch, room bool) {
	if wanted != p.last && !p.last.reaches(wanted.first, math.MaxInt) {
		clear(p.brought) // PostgreSQL has gone back, or is on another timeline, and may want them once more
	}
	p.last = wanted
	ready := maps.Clone(p.brought)
	for _, e := range p.entries() {
		seg, _ := e.name.Segment()
		ready[seg] = true
	}
	next = wanted.after(p.o.parallel)
	for next.count > 0 && ready[next.first] {
		next.first = next.first.Next(next.size)
		next.count--
	}
	return next, next.count > 0
}

// waitForRoom waits until PostgreSQL has come close enough to a segment for it to be put into the spool. The outcome is again when
// that is so, or when PostgreSQL is elsewhere.
func (p *prefetcher) waitForRoom(ctx context.Context, next stretch) (outcome, error) {
	last, since := p.wanted(), time.Now()
	for pause := poll; ; pause = min(pause+pause/4, 100*time.Millisecond) {
		wanted := p.wanted()
		if wanted != last {
			last, since, pause = wanted, time.Now(), poll
		}
		ahead := wanted.after(p.o.parallel + 1)
		if !ahead.holds(next.first) || ahead.first.Number(next.size)+ahead.count-1 > next.first.Number(next.size) {
			return again, nil
		}
		if time.Since(since) > maxIdle {
			return idle, nil
		}
		select {
		case <-ctx.Done():
			return again, context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// keep verifies a temporary file of the spool and gives it its place.
func (p *prefetcher) keep(temp string, name wal.FileName) error {
	found, err := verify(temp, name, false)
	if err != nil {
		return err
	}
	return p.add(temp, name, found)
}

// temp makes a temporary file of the spool for a segment.
func (p *prefetcher) temp(seg wal.Segment) (wal.FileName, *os.File, error) {
	name, err := wal.ParseFileName(seg.String())
	if err != nil {
		return name, nil, err
	}
	f, err := fsx.CreateTemp(p.path(name.String()), 0o600)
	return name, f, err
}

// drop removes a temporary file; one that has got its place has no such name any more.
func drop(temp string) { _ = os.Remove(temp) }
