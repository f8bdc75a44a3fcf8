package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/core/check"
	"github.com/barman-go/barman/core/redact"
	"github.com/barman-go/barman/core/report"
)

// checkedAtOnce is how many servers are examined at the same time; most of it is waiting for other hosts.
const checkedAtOnce = 8

func newCheckCommand(a *app) *cobra.Command {
	var nagios bool
	var timeout int
	cmd := &cobra.Command{
		Use:   "check [options] SERVER…",
		Short: "Check that a server can be backed up and its WAL archived",
		Long: `Check the connections, the configuration, the backups and the WAL archive of servers. Nothing is changed, except that missing
directories are made.

Exit code 1: a check of an active server failed. With --nagios: 0 is OK, 2 is CRITICAL.`,
		Example: "  barman check main\n  barman check --nagios all",
		Args:    usage(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			limit := func(s *server) time.Duration {
				if cmd.Flags().Changed("check-timeout") {
					return seconds(timeout)
				}
				return s.CheckTimeout
			}
			if nagios {
				return a.checkForNagios(cmd.Context(), args, limit)
			}
			servers, err := a.servers(args, showAll)
			if err != nil {
				return err
			}
			a.check(cmd.Context(), servers, limit, func(r *check.Report) {
				a.out.Result(checkResult{r})
				a.noteDetails(r)
				if r.Failed() && r.Active {
					a.out.SetExit(report.ExitError)
				}
			})
			return cmd.Context().Err()
		},
	}
	cmd.Flags().BoolVar(&nagios, "nagios", false, "print the result for Nagios")
	nonNegative(cmd.Flags(), &timeout, "check-timeout", "give the checks of a server at most `SECONDS`; 0 is no limit")
	completeServers(a, cmd)
	return cmd
}

// check examines several servers at the same time and hands the reports out in the order of the servers.
func (a *app) check(ctx context.Context, servers []*server, limit func(*server) time.Duration, each func(*check.Report)) {
	a.plugins() // shared by all servers
	reports := make([]chan *check.Report, len(servers))
	free := make(chan struct{}, checkedAtOnce)
	var running sync.WaitGroup
	defer running.Wait()
	for i, s := range servers {
		done := make(chan *check.Report, 1)
		reports[i] = done
		running.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			done <- s.checks(ctx, limit(s))
		})
	}
	for _, done := range reports {
		r := <-done
		if ctx.Err() != nil {
			return
		}
		for _, row := range r.Failures() {
			a.log.Error("check failed", "server", r.Server, "check", row.Label, "hint", redact.Text(row.Hint))
		}
		each(r)
	}
}

// noteDetails puts the lines below rows, which the console has shown, among the messages of JSON.
func (a *app) noteDetails(r *check.Report) {
	if !a.out.JSON() {
		return
	}
	for _, row := range r.Rows {
		for _, line := range row.Details {
			a.out.Print("\t\t%s", line)
		}
	}
}

// checkForNagios prints nothing but the result, whatever happens on the way.
func (a *app) checkForNagios(ctx context.Context, args []string, limit func(*server) time.Duration) error {
	a.out = report.New(report.Options{Stdout: io.Discard, Stderr: io.Discard, Log: a.log})
	var reports []*check.Report
	servers, err := a.servers(args, showAll)
	if err == nil {
		a.check(ctx, servers, limit, func(r *check.Report) { reports = append(reports, r) })
	}
	if ctx.Err() != nil {
		a.out.Error("%s", ctx.Err())
	}
	text, critical := nagios(reports, a.out.Failed())
	if critical {
		a.out.SetExit(report.ExitUsage)
	}
	_, err = fmt.Fprintln(a.stdout, redact.Text(text))
	return err
}
