package filecopy

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/transfer"
)

// copyPhase copies the items of one phase.
func (s *session) copyPhase(ctx context.Context, items []*itemState) error {
	if s.plan.Workers > 1 {
		return s.copyListed(ctx, items)
	}
	for _, item := range items {
		var err error
		switch {
		case item.Kind == transfer.File:
			err = s.copyFile(ctx, item, 1)
		case s.earlierCopies(item).none() && !s.copiesHere(item):
			err = s.copyWhole(ctx, item)
		default:
			err = s.copyListed(ctx, []*itemState{item})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// copyWhole copies a directory in one run and without a listing: there is nothing that would have to be compared by
// content.
//
// An item with an earlier copy is never copied like this. Even if the files to compare were copied before, rsync looks at
// --link-dest again for files that are up to date, and would replace them by what merely looks the same.
func (s *session) copyWhole(ctx context.Context, item *itemState) error {
	args := append([]string{"-r"}, copying(&s.control, &item.Item, item.reuses(), 1)...)
	args = append(args, filters(&item.Item)...)
	args = append(args, source(&s.plan, &item.Item), destination(&s.plan, &item.Item))
	p := s.meter.part(item.Label)
	start := time.Now()
	st, err := s.rsync(ctx, run{
		item: item, args: args,
		restart: func() error { p.set(0, 0); return nil },
		onProgress: func(snap snapshot) {
			p.setTotal(snap.total)
			p.set(snap.done, snap.bytes)
		},
	})
	if err != nil {
		return unlessOptional(item, err)
	}
	item.ran(start, st)
	item.holds(st.files, st.bytes)
	return nil
}

// copyListed lists the items' sources and then shares the files out to the workers.
func (s *session) copyListed(ctx context.Context, items []*itemState) (err error) {
	q := newQueue(s.plan.Workers)
	var mu sync.Mutex
	var analyses []*analysis
	defer func() {
		for _, a := range analyses {
			err = errors.Join(err, a.close())
		}
	}()
	analysing, actx := errgroup.WithContext(ctx)
	analysing.SetLimit(s.plan.Workers)
	for _, item := range items {
		if item.Kind == transfer.File {
			q.addFile(item)
			continue
		}
		analysing.Go(func() error {
			a, err := s.analyse(actx, item)
			if err != nil {
				return unlessOptional(item, err)
			}
			mu.Lock()
			analyses = append(analyses, a)
			mu.Unlock()
			q.add(item, a.plain, false)
			q.add(item, a.check, true)
			item.holds(a.files, a.bytes)
			s.meter.expect(a.files, a.bytes)
			return s.makeTree(actx, item)
		})
	}
	if err := analysing.Wait(); err != nil {
		return err
	}
	width := q.width()
	copyings, cctx := errgroup.WithContext(ctx)
	for range width {
		copyings.Go(func() error {
			for j := q.take(); j != nil; j = q.take() {
				if err := s.do(cctx, j, width); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return copyings.Wait()
}

// do runs one job.
func (s *session) do(ctx context.Context, j *job, width int) error {
	if j.list == nil {
		return s.copyFile(ctx, j.item, width)
	}
	sum := total(j.units)
	p := s.meter.part(j.item.Label)
	if s.copiesHere(j.item) {
		start := time.Now()
		st, err := s.copyHere(ctx, j, p)
		if err != nil {
			return err
		}
		p.set(sum.files, sum.bytes)
		j.item.ran(start, st)
		return nil
	}
	r := s.listRun(j.item, j.list, j.units, j.checksum, width)
	r.restart = func() error { p.set(0, 0); return nil }
	r.onProgress = func(snap snapshot) { p.set(min(snap.done, sum.files), min(snap.bytes, sum.bytes)) }
	start := time.Now()
	st, err := s.rsync(ctx, r)
	if err != nil {
		return err
	}
	// What did not need to be copied is done as well.
	p.set(sum.files, sum.bytes)
	j.item.ran(start, st)
	return nil
}

// listRun is the run that copies the files of a list.
func (s *session) listRun(item *itemState, list *spool, units []unit, checksum bool, share int) run {
	plan := &s.plan
	if share == 1 {
		plan = &s.control
	}
	args := copying(plan, &item.Item, item.reuses(), share)
	if checksum {
		args = append(args, "--checksum")
	}
	args = append(args, source(&s.plan, &item.Item), destination(&s.plan, &item.Item))
	return run{item: item, args: args, list: func() io.Reader { return list.reader(units) }}
}

// makeTree makes the directories, so that empty ones exist too and workers do not race for their modes, and removes what
// does not belong in the destination. No file is at least 1 and at most 0 bytes long, so no file is copied: rsync
// only walks both sides, by the plan's own rules.
func (s *session) makeTree(ctx context.Context, item *itemState) error {
	begin := time.Now()
	defer func() { item.analysis += time.Since(begin) }()
	args := []string{"-rLKpts", "--min-size=1", "--max-size=0"}
	clean := !item.hasContent && !item.relisted
	if item.DeleteExtra && !clean {
		args = append(args, "--delete", "--delete-excluded", "--force")
	}
	args = append(args, connection(&s.control)...)
	args = append(args, filters(&item.Item)...)
	if clean {
		// Files need not be looked at, or travel in the list: there is nothing to remove.
		args = append(args, "--filter=+_*/", "--filter=-_*")
	}
	_, err := s.rsync(ctx, run{
		item: item, args: append(args, source(&s.plan, &item.Item), destination(&s.plan, &item.Item)),
	})
	return err
}

// copyFile copies an item that is a file. It is small and important (pg_control keeps its size), so neither size nor time
// excuses it from being copied.
func (s *session) copyFile(ctx context.Context, item *itemState, share int) error {
	p := s.meter.part(item.Label)
	start := time.Now()
	var st runStats
	var err error
	if s.copiesHere(item) {
		st, err = s.copyFileHere(ctx, item, p)
	} else {
		args := append(copying(&s.control, &item.Item, false, share), "--ignore-times")
		st, err = s.rsync(ctx, run{
			item: item, args: append(args, source(&s.plan, &item.Item), destination(&s.plan, &item.Item)),
		})
	}
	if err != nil {
		return unlessOptional(item, err)
	}
	s.meter.expect(st.files, st.bytes)
	p.set(st.files, st.bytes)
	item.ran(start, st)
	item.holds(st.files, st.bytes)
	return nil
}

// unlessOptional forgives an optional item that its source does not exist.
func unlessOptional(item *itemState, err error) error {
	var d diag.Diagnostic
	if item.Optional && errors.As(err, &d) && d.Code == diag.CodeNotFound {
		return nil
	}
	return err
}
