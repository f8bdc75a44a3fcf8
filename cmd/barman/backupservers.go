package main

import (
	"context"
	"errors"
	"sync"

	"github.com/barman-go/barman/core/catalog"
)

// takeBackups takes the backups of servers, as many at the same time as the user asked for. One that fails is reported, and the
// others get their turn.
func (a *app) takeBackups(ctx context.Context, servers []*server, f *backupFlags) error {
	together := max(1, min(f.servers, len(servers)))
	if together > 1 {
		a.plugins() // one host for all, made before several ask for it
	}
	taken := make([]*catalog.BackupInfo, len(servers))
	limit := make(chan struct{}, together)
	var all sync.WaitGroup
	for i, s := range servers {
		limit <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		if together > 1 {
			s.app = a.labelled(s.Name)
		}
		all.Go(func() {
			defer func() { <-limit }()
			var err error
			if taken[i], err = s.takeBackup(ctx, f); err != nil && !errors.Is(err, errReported) {
				s.out.Error("%s", err)
			}
		})
	}
	all.Wait()
	for _, b := range taken {
		if b != nil {
			a.out.Result(backupResult{b})
		}
	}
	return ctx.Err()
}
