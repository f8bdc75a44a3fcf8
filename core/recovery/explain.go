package recovery

import (
	"context"
	"fmt"
	"time"

	"github.com/barman-go/barman/core/catalog"
)

// explain adds to a plan what people want to know, and the restore does not.
func (r *Restorer) explain(ctx context.Context, o *Options, p *Plan) error {
	backups, err := r.Catalog.List()
	if err != nil {
		return err
	}
	if p.Target.ZoneAssumed {
		p.warn(zoneAssumed)
	}
	var delta int64
	if p.Delta && p.Found != nil && !o.remote() && p.Way == CopyFiles {
		if delta, err = p.deltaBytes(ctx, r.Catalog.Layout); err != nil {
			// The problems of the plan say so, if it matters.
			r.Log.Debug("measuring what differs in the destination", "error", err)
		}
	}
	p.Estimate = p.estimate(o, backups.With(catalog.Usable...), delta)
	newest, err := r.newestArchived(ctx, p)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		p.warn("The time of the newest transaction in the archive is not known: %v", err)
	}
	p.WAL.Newest = newest
	return nil
}

// newestArchived finds the newest end of a transaction in the archive, whatever the target needs; the zero time when there is none.
func (r *Restorer) newestArchived(ctx context.Context, p *Plan) (time.Time, error) {
	if len(p.reachable) == 0 {
		return time.Time{}, nil
	}
	temp, remove, err := r.tempDir()
	if err != nil {
		return time.Time{}, err
	}
	defer remove()
	open, never := openSegment(r.WAL, temp), func(time.Time) bool { return false }
	for window := 1; ; window *= 2 {
		begin := max(0, len(p.reachable)-window)
		newest, _, err := newestCommit(ctx, p.reachable[begin:], never, open)
		if err != nil {
			return time.Time{}, fmt.Errorf("read the end of the archive: %w", err)
		}
		if begin == 0 || !newest.IsZero() && window >= minScan {
			return newest, nil
		}
	}
}
