package manifest

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// ahead is how many items may be worked on, or be done, before the first of them was used. It keeps the other workers busy while
// one has a segment of a gigabyte.
const ahead = 1024

// ordered works on everything that produce yields, with several workers at a time, and hands the results to use in the order of the
// items. newWork is called once for each worker. The first error ends everything and is returned.
func ordered[T, R any](
	ctx context.Context, workers int, produce func(ctx context.Context, yield func(T) error) error,
	newWork func(ctx context.Context) func(T) (R, error), use func(T, R) error,
) error {
	type job struct {
		item   T
		result R
		done   chan struct{}
	}
	group, ctx := errgroup.WithContext(ctx)
	waiting, inOrder := make(chan *job, ahead), make(chan *job, ahead)
	group.Go(func() error {
		defer close(waiting)
		defer close(inOrder)
		return produce(ctx, func(item T) error {
			j := &job{item: item, done: make(chan struct{})}
			for _, queue := range []chan *job{inOrder, waiting} {
				select {
				case queue <- j:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			return nil
		})
	})
	for range max(workers, 1) {
		group.Go(func() error {
			work := newWork(ctx)
			for j := range waiting {
				var err error
				if j.result, err = work(j.item); err != nil {
					return err
				}
				close(j.done)
			}
			return nil
		})
	}
	group.Go(func() error {
		for j := range inOrder {
			select {
			case <-j.done:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			if err := use(j.item, j.result); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}
