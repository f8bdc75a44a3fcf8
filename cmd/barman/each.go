package main

import (
	"context"

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

// showEach is eachServer for commands that show something.
func showEach[R report.Result](a *app, show func(context.Context, *server) (R, error)) runE {
	return a.eachServer(showAll, func(ctx context.Context, s *server) error {
		result, err := show(ctx, s)
		if err == nil {
			a.out.Result(result)
		}
		return err
	})
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
