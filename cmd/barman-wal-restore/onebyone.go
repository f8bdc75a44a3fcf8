package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/barman-go/barman/cmd/internal/walclient"
	"github.com/barman-go/barman/core/wal"
)

// maxSessions is how many files are fetched at the same time, each through a connection of its own. sshd refuses many
// that come at once (MaxStartups).
const maxSessions = 8

// oneByOne fetches the missing segments as Python's client does, from a Barman that knows no other way: it asks which of them
// are there, and fetches each of those with a get-wal of its own.
func (p *prefetcher) oneByOne(ctx context.Context, next stretch) (outcome, error) {
	if err := p.announce(next); err != nil {
		return again, err
	}
	there, err := p.peek(ctx, next)
	if err != nil {
		return again, err
	}
	if len(there) == 0 {
		return archiveEnds, nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxSessions)
	for _, seg := range there {
		group.Go(func() error { return p.fetchOne(ctx, seg) })
	}
	if err := group.Wait(); err != nil {
		return again, err
	}
	for _, seg := range there {
		p.brought[seg] = true
	}
	return again, nil
}

// peek asks which of the segments are there, from the first one on without a gap.
func (p *prefetcher) peek(ctx context.Context, next stretch) ([]wal.Segment, error) {
	var names, said strings.Builder
	s := walclient.Session{
		Args:   p.o.getWAL(next.first.String(), "--peek", walclient.Quote(strconv.FormatUint(next.count, 10))),
		Stdout: &names, Stderr: &said,
	}
	code, err := s.Run(ctx)
	if err != nil {
		return nil, err
	}
	if code != 0 {
		failed := walclient.Failure(code, "barman get-wal", walclient.ExitLocal)
		return nil, errors.New(strings.TrimSpace(failed.Text + " " + said.String()))
	}
	var there []wal.Segment
	for line := range strings.Lines(names.String()) {
		if strings.TrimSpace(line) != next.first.String() || uint64(len(there)) == next.count {
			break
		}
		there = append(there, next.first)
		next.first = next.first.Next(next.size)
	}
	return there, nil
}

// fetchOne fetches a segment into the spool.
func (p *prefetcher) fetchOne(ctx context.Context, seg wal.Segment) error {
	name, file, err := p.temp(seg)
	if err != nil {
		return err
	}
	defer drop(file.Name())
	if err := file.Close(); err != nil {
		return err
	}
	if err := fetch(ctx, p.o, name, file.Name(), io.Discard); err != nil {
		return fmt.Errorf("fetch %s: %w", name, err.exit)
	}
	return p.keep(file.Name(), name)
}
