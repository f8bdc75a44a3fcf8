package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/maintenance"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/core/retention"
)

func newRetentionCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "retention COMMAND",
		Short:   "Explain what the retention policy does",
		Example: "  barman retention explain main",
		Args:    usage(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		Annotations: map[string]string{withoutConfig: "true"},
	}
	cmd.AddCommand(newExplainCommand(a))
	return cmd
}

func newExplainCommand(a *app) *cobra.Command {
	var at string
	var moment time.Time
	cmd := &cobra.Command{
		Use:   "explain [options] SERVER",
		Short: "Say of every backup and of all WAL whether the retention policy needs it, and why",
		Long: `Say of every backup, and of every range of the WAL archive, what the next cron does with it, and the rule that says so.
Nothing is changed. cron acts by the same decision.

With --at, the answer is for another moment: what cron would do then, if no backup came and none went. Backups that were not
complete at that moment are left out. A time without an offset is in the time zone of this host.`,
		Example: "  barman retention explain main\n  barman retention explain --at '2026-02-01 00:00:00+00:00' main",
		Args:    usage(cobra.ExactArgs(1)),
		PreRunE: func(*cobra.Command, []string) (err error) {
			if at == "" {
				return nil
			}
			if moment, err = catalog.ParseTime(at, time.Local); err != nil {
				return usageError{fmt.Errorf("argument --at: %w", err)}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.oneServer(args[0], showAll)
			if s == nil {
				return err
			}
			result, err := s.explainRetention(cmd.Context(), moment)
			if err == nil {
				a.out.Result(result)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "say what would hold at `TIME`, as in \"2026-02-01 00:00:00+00:00\"")
	completeServers(a, cmd)
	return cmd
}

// explainRetention says what the retention policy does at a moment; the zero time is now.
func (s *server) explainRetention(ctx context.Context, at time.Time) (*explanation, error) {
	keeper, err := s.keeper()
	if err != nil {
		return nil, err
	}
	e := &explanation{server: s.Name, policy: keeper.Policy, minimum: s.MinimumRedundancy, at: at}
	if at.IsZero() {
		e.at = keeper.Now()
		e.plan, err = keeper.Plan()
	} else {
		e.plan, err = keeper.PlanAt(at)
	}
	if err != nil {
		return nil, err
	}
	if found, err := s.hasArchive(); err != nil || !found {
		return e, err
	}
	wals, bad, err := s.index().Expiry(ctx, e.plan.WAL)
	s.reportBadLines(bad)
	e.wals = wals
	return e, err
}

// explanation is the output of retention explain.
type explanation struct {
	server  string
	at      time.Time
	policy  retention.Policy
	minimum int
	plan    *maintenance.Plan
	wals    []catalog.ExpiringWAL
}

// policyText is the policy as status shows it.
func (e *explanation) policyText() string {
	if e.policy.Kind == retention.None {
		return "not enforced"
	}
	return e.policy.String()
}

func (e *explanation) Console(p *report.Printer) {
	p.Line("Server %s:", e.server)
	p.Line("\tTime: %s", catalog.FormatTime(e.at))
	p.Line("\tRetention policy: %s", e.policyText())
	p.Line("\tMinimum redundancy: %d", e.minimum)
	if !e.plan.RecoverableFrom.IsZero() {
		p.Line("\tRecoverable from: %s", catalog.FormatTime(e.plan.RecoverableFrom))
	}
	for _, text := range e.plan.Warnings {
		p.Line("\tWarning: %s", text)
	}
	p.Line("\tBackups:")
	for _, v := range e.plan.Verdicts {
		p.Line("\t\t%s %s: %s", v.ID, v.Label, v.Reason)
	}
	if len(e.plan.Verdicts) == 0 {
		p.Line("\t\tnone")
	}
	p.Line("\tWAL files:")
	for _, w := range e.wals {
		p.Line("\t\t%s (%s, %s) %s: %s", walNames(w), count(w.Count, "file"), report.Size(w.Size), walLabel(w.Verdict), walReason(w.Verdict))
	}
	if len(e.wals) == 0 {
		p.Line("\t\tnone")
	}
}

// walNames are the files of a range.
func walNames(w catalog.ExpiringWAL) string {
	if w.First == w.Last {
		return w.First
	}
	return w.First + " … " + w.Last
}

// walLabel says about WAL what the label of a backup says.
func walLabel(v catalog.ExpiryVerdict) retention.Label {
	if v.Removed {
		return retention.Obsolete
	}
	return retention.Valid
}

func walReason(v catalog.ExpiryVerdict) string {
	if v.Removed {
		return fmt.Sprintf("%s; it goes with backup %s", v.Reason, v.With)
	}
	return v.Reason
}

func (e *explanation) JSON() map[string]any {
	backups, wals, deletes := []any{}, []any{}, []any{}
	for _, v := range e.plan.Verdicts {
		backups = append(backups, map[string]any{"backup_id": v.ID, "retention_status": string(v.Label), "reason": v.Reason})
	}
	for _, d := range e.plan.Deletes {
		deletes = append(deletes, d.ID)
	}
	for _, w := range e.wals {
		item := map[string]any{
			"first": w.First, "last": w.Last, "files": w.Count, "size_bytes": w.Size,
			"retention_status": string(walLabel(w.Verdict)), "reason": w.Verdict.Reason,
		}
		if w.Verdict.Removed {
			item["removed_with"] = w.Verdict.With
		}
		wals = append(wals, item)
	}
	doc := map[string]any{
		"time": catalog.FormatTime(e.at), "retention_policy": e.policyText(), "minimum_redundancy": e.minimum,
		"recoverable_from": nil, "backups": backups, "deletes": deletes, "wals": wals, "warnings": append([]string{}, e.plan.Warnings...),
	}
	if !e.plan.RecoverableFrom.IsZero() {
		doc["recoverable_from"] = catalog.FormatTime(e.plan.RecoverableFrom)
	}
	return map[string]any{e.server: doc}
}
