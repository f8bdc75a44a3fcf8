package retention

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Input is everything that a verdict depends on.
type Input struct {
	Policy Policy
	// Backups may be in any order.
	Backups []Backup
	// MinimumRedundancy is the least number of backups that may remain; it raises the number of REDUNDANCY, or makes older
	// backups OBSOLETE* instead of OBSOLETE.
	MinimumRedundancy int
	Now               time.Time
	// Distrust says why Now may be wrong; empty when nothing speaks against it. Evaluate finds one reason by itself: a
	// backup that ended in the future.
	Distrust string
}

// clockTolerance is how far the clocks of two hosts may be apart before one of them is called wrong.
const clockTolerance = time.Hour

// Evaluate applies a policy.
//
// REDUNDANCY n needs the n newest complete backups, counting only those that are DONE and not incremental; kept ones
// count. RECOVERY WINDOW needs every backup of the window and the newest one that ended before it, the anchor.
//
// REDUNDANCY 0 with a minimum of 0 would delete every backup, the newest included, each time cron runs. It is treated
// as 1, with a warning.
//
// While the clock is not trusted nothing is obsolete but what is doomed: a day later does no harm, a day earlier does.
func Evaluate(in Input) *Report {
	e := &evaluation{policy: in.Policy, minimum: in.MinimumRedundancy, now: in.Now, report: &Report{byID: make(map[string]int)}}
	e.backups = slices.Clone(in.Backups)
	slices.SortFunc(e.backups, func(a, b Backup) int { return cmp.Compare(b.ID, a.ID) })
	e.growTrees()
	if e.policy.Kind != None {
		e.report.Held = cmp.Or(in.Distrust, e.fromTheFuture())
	}
	switch e.policy.Kind {
	case Redundancy:
		e.redundancy()
	case RecoveryWindow:
		e.recoveryWindow()
	default:
		e.withoutPolicy()
	}
	e.finish()
	return e.report
}

// evaluation is the state of one Evaluate.
type evaluation struct {
	policy  Policy
	minimum int
	now     time.Time
	// backups are newest first.
	backups []Backup
	trees
	// verdict is that of each backup; children is what the incremental backups of a root get.
	verdict  map[string]Verdict
	children map[string]Verdict
	report   *Report
}

// fromTheFuture says of a backup that ended after now, if there is one, that the clock must be wrong, or was.
func (e *evaluation) fromTheFuture() string {
	for _, b := range e.backups {
		if b.Done && b.EndTime.Sub(e.now) > clockTolerance {
			return fmt.Sprintf("backup %s ended at %s, which is in the future: the clock is wrong, or was",
				b.ID, b.EndTime.Format(time.RFC3339))
		}
	}
	return ""
}

func (e *evaluation) warn(format string, args ...any) {
	e.report.Warnings = append(e.report.Warnings, fmt.Sprintf(format, args...))
}

// decide records the verdict of a full backup and that of its incremental ones. policyLabel is what the policy says
// of it without looking at keep; standaloneChildren is what incremental backups get when it is kept as standalone.
func (e *evaluation) decide(b Backup, policyLabel Label, reason string, standaloneChildren Label) {
	v := Verdict{ID: b.ID, Label: policyLabel, Reason: reason}
	child := Verdict{Label: policyLabel, Reason: fmt.Sprintf("it depends on %s, of which this is true: %s", b.ID, reason)}
	switch {
	case b.Keep == KeepStandalone:
		v.Label, v.Reason = KeptStandalone, "it is kept as standalone until somebody releases it"
		child = Verdict{Label: standaloneChildren, Reason: fmt.Sprintf("it depends on %s, which is kept as standalone", b.ID)}
		if standaloneChildren == Obsolete {
			child.Reason += ", and the policy does not need it"
		}
	case b.Keep != KeepNone:
		v.Label, v.Reason = KeptFull, "it is kept in full until somebody releases it"
		child = Verdict{Label: Valid, Reason: fmt.Sprintf("it depends on %s, which is kept in full", b.ID)}
	}
	why := e.needed[b.ID]
	if why == "" && e.report.Held != "" {
		why = "nothing expires now, because " + e.report.Held
	}
	if why != "" {
		if v.Label == Obsolete {
			v.Label, v.Reason = Valid, why
		}
		if child.Label == Obsolete {
			child.Label, child.Reason = Valid, why
		}
	}
	e.verdict[b.ID] = v
	e.children[b.ID] = child
}

// undecided records that a full backup is not complete.
func (e *evaluation) undecided(b Backup) {
	reason := "it is not complete, so the policy neither counts nor removes it"
	e.verdict[b.ID] = Verdict{ID: b.ID, Label: Undecided, Reason: reason}
	e.children[b.ID] = Verdict{Label: Undecided, Reason: fmt.Sprintf("it depends on %s, which is not complete", b.ID)}
}

// redundancy counts backups from the newest back.
func (e *evaluation) redundancy() {
	need := e.policy.N
	if need < e.minimum {
		e.warn("retention policy %s is less than minimum_redundancy %d: %d backups are kept", e.policy, e.minimum, e.minimum)
		need = e.minimum
	}
	if need < 1 {
		e.warn("retention policy %s would delete every backup: the newest one is kept", e.policy)
		need = 1
	}
	i := 0
	for _, b := range e.backups {
		switch {
		case b.Parent != "":
			continue
		case !b.Done:
			e.undecided(b)
			continue
		}
		label, reason := Valid, fmt.Sprintf("it is number %d, from the newest, of the %d backups to be kept", i+1, need)
		if i >= need {
			label, reason = Obsolete, fmt.Sprintf("%d newer backups satisfy %s", i, e.policy)
		}
		i++
		standaloneChildren := Valid
		if i > need {
			standaloneChildren = Obsolete
		}
		e.decide(b, label, reason, standaloneChildren)
	}
}

// recoveryWindow looks for the anchor from the newest backup back.
func (e *evaluation) recoveryWindow() {
	horizon := e.now.Add(-e.policy.Window())
	valid := 0
	for _, b := range e.backups {
		switch {
		case b.Parent != "":
			continue
		case !b.Done:
			e.undecided(b)
			continue
		}
		anchored := e.report.Anchor != ""
		label, reason := Valid, "it ended within the recovery window"
		switch {
		case !anchored && b.EndTime.IsZero():
			// Nothing proves that it is old enough to be the anchor.
			reason = "its end is not known"
			e.warn("backup %s is DONE and has no end_time: it cannot begin the recovery window", b.ID)
		case !anchored && b.EndTime.Before(horizon):
			e.report.Anchor = b.ID
			anchored = true
			reason = "recovery to the beginning of the recovery window starts from it"
		case anchored && valid < e.minimum:
			label = PotentiallyObsolete
			reason = fmt.Sprintf("the recovery window begins after it, but minimum_redundancy %d needs it", e.minimum)
			e.warn("backup %s is older than %s needs; it stays because of minimum_redundancy %d", b.ID, e.policy, e.minimum)
		case anchored:
			label = Obsolete
			reason = fmt.Sprintf("%s needs nothing older than %s", e.policy, e.report.Anchor)
		}
		if label != Obsolete {
			valid++
		}
		standaloneChildren := Valid
		if anchored {
			standaloneChildren = Obsolete
		}
		e.decide(b, label, reason, standaloneChildren)
	}
}

func (e *evaluation) withoutPolicy() {
	for _, b := range e.backups {
		if b.Parent == "" {
			e.verdict[b.ID] = Verdict{ID: b.ID, Label: Undecided, Reason: "there is no retention policy"}
			e.children[b.ID] = e.verdict[b.ID]
		}
	}
}

// finish gives incremental backups the verdict of their root and fills in the rest of the report.
func (e *evaluation) finish() {
	if e.report.Held != "" {
		e.warn("nothing expires now, because %s", e.report.Held)
	}
	for i, b := range e.backups {
		v := e.verdict[b.ID]
		if b.Parent != "" {
			v = e.dependent(b)
		}
		if doomed := e.doomed[b.ID]; doomed == b.ID {
			v = Verdict{Label: Obsolete, Reason: "its delete began, and cron completes it"}
		} else if doomed != "" {
			v = Verdict{Label: Obsolete, Reason: fmt.Sprintf("it depends on %s, whose delete began", doomed)}
		}
		v.ID = b.ID
		e.report.byID[b.ID] = i
		e.report.Verdicts = append(e.report.Verdicts, v)
		if b.Done && b.Parent == "" && v.Label != Obsolete {
			e.report.FirstValid = b.ID
			if v.Label != KeptStandalone && !b.EndTime.IsZero() {
				e.report.RecoverableFrom = b.EndTime
			}
		}
	}
}

// dependent is the verdict of an incremental backup.
func (e *evaluation) dependent(b Backup) Verdict {
	root, ok := e.roots[b.ID]
	switch {
	case !ok:
		e.warn("incremental backup %s depends on %s, and its chain is not complete: it cannot be restored", b.ID, b.Parent)
		return Verdict{Label: Undecided, Reason: "the backup that it depends on is missing"}
	case b.InProgress:
		return Verdict{Label: Undecided, Reason: "it is being taken"}
	case b.Keep != KeepNone:
		return Verdict{Label: KeptFull, Reason: "it is kept until somebody releases it"}
	}
	return e.children[root]
}
