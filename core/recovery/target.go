package recovery

import (
	"time"

	"github.com/barman-go/barman/core/wal"
)

// Kind is what a Target names.
type Kind string

// Kinds of targets. The words are those of Barman's messages.
const (
	// ToEnd is recovery to the end of the WAL.
	ToEnd       Kind = ""
	ToTime      Kind = "time"
	ToXID       Kind = "xid"
	ToLSN       Kind = "lsn"
	ToName      Kind = "name"
	ToImmediate Kind = "immediate"
)

// Target is where recovery ends, parsed.
type Target struct {
	Kind Kind
	// Text is what is written into PostgreSQL's configuration; a time carries its offset.
	Text string
	// Time is set for ToTime. ZoneAssumed tells that the user gave no zone and this host's was taken.
	Time        time.Time
	ZoneAssumed bool
	// LSN is set for ToLSN.
	LSN wal.LSN
	// Timeline is what the user typed: a number, current, latest, or empty.
	Timeline string
	// TimelineID is Timeline as a number; 0 when it is none.
	TimelineID wal.TimelineID
	Exclusive  bool
	// Action is pause, shutdown, promote, or empty.
	Action string
}

// PITR tells whether this is a point-in-time recovery: any target, or only a timeline.
func (t Target) PITR() bool { return t.Kind != ToEnd || t.Timeline != "" }
