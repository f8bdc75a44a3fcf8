package hook

import "context"

// ServiceName is the gRPC service, as listed in GetInfo.
const ServiceName = "barman.hook.v1"

// Exit codes of a hook script, and what they mean. Source: Barman manual, chapter "Hook scripts".
const (
	ExitSuccess       = 0
	ExitAbortContinue = 62
	ExitAbortStop     = 63
)

// Events and phases.
const (
	EventBackup    = "backup"
	EventDelete    = "delete"
	EventArchive   = "archive"
	EventWALDelete = "wal_delete"
	EventRecovery  = "recovery"

	PhasePre  = "pre"
	PhasePost = "post"
)

// Hook handles events. Calls may come from several goroutines.
type Hook interface {
	// Events lists the events it accepts; empty means all.
	Events() []string
	// Run handles one event. When ctx ends, whatever was started must be stopped before Run returns.
	Run(ctx context.Context, ev Event, out Output) Result
}

// Output takes what the hook prints, line by line, for Barman's log file.
type Output interface {
	// Line logs a line; warning marks standard error and the like.
	Line(text string, warning bool)
}

// Event is one call. Exactly one of Backup, WAL and Recovery is set.
type Event struct {
	// Op correlates log lines.
	Op string
	// Name is one of the Event… constants, Phase one of the Phase… constants.
	Name, Phase string
	// Retry tells that core repeats this hook until it ends with something other than Failure.
	Retry bool
	// Attempt is 1 for the first.
	Attempt int
	// Environment are the BARMAN_* variables, complete.
	Environment map[string]string
	Backup      *Backup
	WAL         *WAL
	Recovery    *Recovery
}

// Backup comes with events backup and delete.
type Backup struct {
	ID, PreviousID, NextID, Status, Directory, Error string
}

// WAL comes with events archive and wal_delete.
type WAL struct {
	Name string
	// File is an absolute path.
	File string
	Size int64
	// Timestamp is the modification time in seconds since the epoch.
	Timestamp          float64
	Compression, Error string
}

// Recovery comes with event recovery.
type Recovery struct {
	Backup      Backup
	Destination string
	// Tablespaces maps names to new locations.
	Tablespaces   map[string]string
	RemoteCommand string
	// OptionsJSON is a JSON object.
	OptionsJSON string
}

// Outcome is how a hook ended.
type Outcome int

// Outcomes.
const (
	Success Outcome = iota + 1
	// Failure makes a retry hook run again; of any other hook it is only logged.
	Failure
	// AbortContinue stops the retries and lets the operation go on.
	AbortContinue
	// AbortStop stops the retries and, in phase pre, the operation.
	AbortStop
)

// Result is the end of one run.
type Result struct {
	Outcome Outcome
	// ExitCode is the script's, where there is one.
	ExitCode int
	// Err says why, if the outcome is not Success. May be nil.
	Err error
}
