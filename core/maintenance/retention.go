package maintenance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/lock"
	"github.com/barman-go/barman/core/retention"
)

// Verdicts applies the retention policy to a catalog.
func (k *Keeper) Verdicts(list *catalog.Backups, keeps map[string]catalog.Keep) (*retention.Report, error) {
	situation, err := k.situation(list, keeps)
	if err != nil {
		return nil, err
	}
	return situation.Verdicts(), nil
}

// Plan is what Enforce would do at this moment.
func (k *Keeper) Plan() (*Plan, error) {
	list, keeps, err := k.backups()
	if err != nil {
		return nil, err
	}
	situation, err := k.situation(list, keeps)
	if err != nil {
		return nil, err
	}
	return situation.Plan(), nil
}

// PlanAt is what Enforce would do at another moment, with those backups of today that there were by then.
func (k *Keeper) PlanAt(at time.Time) (*Plan, error) {
	list, keeps, err := k.backups()
	if err != nil {
		return nil, err
	}
	situation, err := k.situation(list.At(at), keeps)
	if err != nil {
		return nil, err
	}
	situation.Now, situation.Distrust = at, ""
	return situation.Plan(), nil
}

// situation is what there is to decide on.
func (k *Keeper) situation(list *catalog.Backups, keeps map[string]catalog.Keep) (Situation, error) {
	marked, err := k.Catalog.Marked()
	if err != nil {
		return Situation{}, err
	}
	clock, _, err := k.clock()
	return Situation{
		Policy: k.Policy, MinimumRedundancy: k.MinimumRedundancy, Backups: list, Keeps: keeps, Marked: marked,
		Running: k.running(list), Now: k.Now(), Distrust: clock.distrust(),
	}, err
}

// Enforce deletes the backups that the policy does not need any more, completes deletes that were interrupted, and removes temporary
// files of processes that died. What cannot be deleted does not keep the rest; the errors are joined.
func (k *Keeper) Enforce(ctx context.Context) error {
	list, keeps, err := k.backups()
	if err != nil {
		return err
	}
	situation, err := k.situation(list, keeps)
	if err != nil {
		return err
	}
	plan := situation.Plan()
	warnings := plan.Warnings
	for _, u := range list.Unreadable {
		warnings = append(warnings, fmt.Sprintf("backup %s cannot be read: %s", u.ID, u.Err))
	}
	kept := k.keptAndMarked(situation)
	if err := k.sayOnce(warnings, kept); err != nil {
		return err
	}
	errs := k.carryOut(ctx, plan)
	// Processes that died while they wrote a description, a mark, or what is beside them, left its beginning.
	for _, dir := range []string{k.Catalog.Layout.Meta(), k.Catalog.Layout.Backup} {
		_, err := fsx.Sweep(dir, fsx.OwnerDead)
		errs = append(errs, err)
	}
	return errors.Join(append(errs, k.removeStrayMarks(list), k.record(append(warnings, kept...)))...)
}

// sayOnce logs and reports what the pass before did not have to say: cron comes every minute.
func (k *Keeper) sayOnce(logged, reported []string) error {
	_, before, err := k.clock()
	if err != nil {
		return err
	}
	for _, text := range logged {
		if !slices.Contains(before.Said, text) {
			k.Log.Warn(text, "server", k.Server)
		}
	}
	for _, text := range reported {
		if !slices.Contains(before.Said, text) {
			k.Out.Warning("%s", text)
		}
	}
	return nil
}

// carryOut deletes what a plan says. When a backup cannot be deleted, because somebody works on it or for any other reason,
// those that it depends on stay.
func (k *Keeper) carryOut(ctx context.Context, plan *Plan) (errs []error) {
	stays := make(map[string]bool)
	for _, one := range plan.Deletes {
		if stays[one.Tree] {
			continue
		}
		announcement := "Enforcing retention policy: removing backup %s for server %s"
		if one.Resumed {
			announcement = "Completing the interrupted delete of backup %s for server %s"
		}
		k.Out.Info(announcement, one.ID, k.Server)
		err := k.deleteExpired(ctx, one.ID)
		if err == nil {
			continue
		}
		stays[one.Tree] = true
		switch {
		case errors.Is(err, lock.ErrBusy):
			k.Out.Warning("%s", Busy(err, k.Server, one.ID))
		case errors.Is(err, ErrRefused): // reported
		default:
			errs = append(errs, err)
		}
	}
	return errs
}
