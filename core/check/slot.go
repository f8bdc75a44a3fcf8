package check

import (
	"fmt"
	"time"

	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/core/report"
)

// slot adds the row of the replication slot. past tells how fast WAL has come lately.
func (c *Checker) slot(r *rows, facts *Facts, past *answer[*history], suffix string) {
	if c.SlotName == "" {
		return
	}
	label, slot := "replication slot"+suffix, facts.Slot
	switch {
	case !c.StreamingArchiver:
		if slot != nil && slot.RestartLSN != 0 {
			state := "initialised"
			if slot.Active {
				state = "active"
			}
			r.ok(label, fmt.Sprintf("WARNING: slot '%s' is %s but not required by the current config", c.SlotName, state))
		}
	case slot == nil:
		r.fail(label, fmt.Sprintf("replication slot '%s' doesn't exist. Please execute 'barman receive-wal --create-slot %s'",
			c.SlotName, c.Server))
	case slot.WALStatus == "lost":
		r.fail(label, fmt.Sprintf("slot '%s' has lost WAL that was not received yet; drop and create it again with 'barman receive-wal', "+
			"and take a new backup", c.SlotName))
	case slot.RestartLSN == 0:
		r.fail(label, fmt.Sprintf("slot '%s' not initialised: is 'receive-wal' running?", c.SlotName))
	case !slot.Active:
		r.fail(label, fmt.Sprintf("slot '%s' not active: is 'receive-wal' running?; %s", c.SlotName, slotLag(slot, walRate(facts, past))))
	case slot.WALStatus == "unreserved":
		r.fail(label, fmt.Sprintf("slot '%s' may lose WAL that was not received yet at the next checkpoint; raise max_slot_wal_keep_size; %s",
			c.SlotName, slotLag(slot, walRate(facts, past))))
	default:
		r.ok(label, slotLag(slot, walRate(facts, past)))
	}
}

// slotLag says how much WAL the server keeps for a slot, and, as far as it sets a limit, how long it can go on doing so. How full
// the server's disk is, it does not tell. rate is in bytes per second; 0 when it is not known.
func slotLag(slot *postgres.Slot, rate float64) string {
	kept := "the server keeps " + report.Size(max(slot.Retained, 0)) + " of WAL for it"
	switch {
	case slot.Safe == nil:
		return kept + ", with no limit but its disk (max_slot_wal_keep_size)"
	case rate <= 0:
		return fmt.Sprintf("%s, and %s more before it is lost; how long that takes is not known", kept, report.Size(max(*slot.Safe, 0)))
	}
	left := time.Duration(min(float64(max(*slot.Safe, 0))/rate, maxSeconds) * float64(time.Second))
	return fmt.Sprintf("%s, and %s more before it is lost, in about %s at the usual rate",
		kept, report.Size(max(*slot.Safe, 0)), report.Duration(left))
}

// maxSeconds is a hundred years, which is more than a time.Duration has to hold.
const maxSeconds = 100 * 365 * 24 * 3600

// walRate is how fast the server writes WAL, in bytes per second: by what was archived since the last backup, or else by what
// its archiver counted; 0 when neither is known.
func walRate(facts *Facts, past *answer[*history]) float64 {
	perSecond := 0.0
	if h, ok := known(past); ok {
		perSecond = h.rate
	}
	if perSecond == 0 && facts.Archiver != nil {
		perSecond = facts.Archiver.WALsPerSecond
	}
	return perSecond * float64(facts.SegmentSize)
}
