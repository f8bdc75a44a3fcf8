package retention

import "time"

// Keep says what of a backup is kept beyond the policy.
type Keep string

// Values of Keep.
const (
	KeepNone       Keep = ""
	KeepFull       Keep = "full"
	KeepStandalone Keep = "standalone"
)

// Backup is what retention needs to know about a backup.
type Backup struct {
	// ID orders backups in time: byte order.
	ID string
	// Done means status DONE. Leave backups of status EMPTY out, unless they are incremental.
	Done bool
	// EndTime is when the backup ended; zero when that is not known.
	EndTime time.Time
	// Parent is the backup on which an incremental one is based; empty for all others.
	Parent string
	// Keep is what of it is kept.
	Keep Keep
	// InProgress means that a process is taking the backup at this moment. A chain is not obsolete while it grows.
	InProgress bool
	// Doomed means that a delete of the backup began. It does not count any more and is obsolete, with all that depends on
	// it, unless it is kept: somebody said so later than whoever began the delete.
	Doomed bool
}

// Label is the state of a backup under a policy, as it is shown.
type Label string

// Labels.
const (
	// Valid: the policy needs it.
	Valid Label = "VALID"
	// Obsolete: nothing needs it; cron deletes it.
	Obsolete Label = "OBSOLETE"
	// PotentiallyObsolete: only minimum_redundancy needs it.
	PotentiallyObsolete Label = "OBSOLETE*"
	// KeptFull and KeptStandalone: somebody asked to keep it.
	KeptFull       Label = "KEEP:FULL"
	KeptStandalone Label = "KEEP:STANDALONE"
	// Undecided: not complete, or there is no policy.
	Undecided Label = "-"
)

// Verdict is the answer for one backup.
type Verdict struct {
	ID    string
	Label Label
	// Reason is one sentence for people, without a full stop.
	Reason string
}

// Report is the answer for all backups.
type Report struct {
	// Verdicts are in the order in which the policy looks at backups: newest first.
	Verdicts []Verdict
	// Anchor is, with a recovery window, the backup from which the whole window can be recovered; empty when there is
	// none yet.
	Anchor string
	// FirstValid is the oldest complete backup that is not incremental and not obsolete; empty when there is none.
	FirstValid string
	// RecoverableFrom is the end of FirstValid: the earliest moment the policy promises to be able to recover, as
	// long as the WAL files after it are archived. A backup kept as standalone promises nothing after its end, and is
	// not considered.
	RecoverableFrom time.Time
	// Warnings are sentences for the log.
	Warnings []string
	// Held says why nothing becomes obsolete by the policy at this moment; empty when the policy rules.
	Held string

	byID map[string]int
}

// Of returns the verdict of a backup; a backup that was not part of the input is undecided.
func (r *Report) Of(id string) Verdict {
	if i, ok := r.byID[id]; ok {
		return r.Verdicts[i]
	}
	return Verdict{ID: id, Label: Undecided, Reason: "it was not examined"}
}

// Obsolete are the backups that may be deleted, oldest first. A full backup comes before the incremental ones that
// depend on it; whoever deletes must delete those first.
func (r *Report) Obsolete() []string {
	var ids []string
	for i := len(r.Verdicts) - 1; i >= 0; i-- {
		if r.Verdicts[i].Label == Obsolete {
			ids = append(ids, r.Verdicts[i].ID)
		}
	}
	return ids
}
