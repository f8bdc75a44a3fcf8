package main

import (
	"context"
	"sync"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/report"
)

// runE is the body of a command.
type runE = func(cmd *cobra.Command, args []string) error

// eachServer is the body of commands that do something to every server named. A server that fails is reported, and the
// others get their turn.
func (a *app) eachServer(sel selection, do func(context.Context, *server) error) runE {
	return func(cmd *cobra.Command, args []string) error {
		servers, err := a.servers(args, sel)
		if err != nil {
			return err
		}
		for _, s := range servers {
			if err := do(cmd.Context(), s); err != nil {
				a.out.Error("%s", err)
			}
		}
		return nil
	}
}

// askedTogether is how many servers are asked at the same time: most of the time is that of their PostgreSQL.
const askedTogether = 8

// showEach is the body of commands that show something about every server named. Several are asked at the same time; what they say is
// shown in the order of the names, as soon as it is there. A server that fails is reported, and the others get their turn.
func showEach[R report.Result](a *app, show func(context.Context, *server) (R, error)) runE {
	return func(cmd *cobra.Command, args []string) error {
		servers, err := a.servers(args, showAll)
		if err != nil {
			return err
		}
		if len(servers) > 1 {
			a.plugins() // one host for all, made before several ask for it
		}
		type answer struct {
			result R
			err    error
		}
		answers := make([]chan answer, len(servers))
		for i := range answers {
			answers[i] = make(chan answer, 1)
		}
		limit := make(chan struct{}, askedTogether)
		go func() {
			for i, s := range servers {
				limit <- struct{}{}
				go func() {
					defer func() { <-limit }()
					result, err := show(cmd.Context(), s)
					answers[i] <- answer{result, err}
				}()
			}
		}()
		for i := range servers {
			if said := <-answers[i]; said.err != nil {
				a.out.Error("%s", said.err)
			} else {
				a.out.Result(said.result)
			}
		}
		return nil
	}
}

// later begins work that goes on while something else is waited for. The function that it returns waits for the result.
func later[R any](work func() (R, error)) func() (R, error) {
	result := sync.OnceValues(work)
	go result() //nolint:errcheck // whoever asks gets it, too
	return result
}

// oneBackup is the body of commands whose arguments are a server and a backup.
func (a *app) oneBackup(sel selection, do func(context.Context, *server, *catalog.BackupInfo, *catalog.Backups) error) runE {
	return func(cmd *cobra.Command, args []string) error {
		s, err := a.oneServer(args[0], sel)
		if s == nil {
			return err
		}
		b, list, err := s.backup(args[1])
		if err != nil {
			return err
		}
		return do(cmd.Context(), s, b, list)
	}
}
