package check

import "slices"

// Row is one line of `barman check`.
type Row struct {
	// Label is the name of the check, as monitoring systems know it.
	Label string
	OK    bool
	// Hint is a single line of explanation; may be empty.
	Hint string
	// OnlyFailure rows are shown when they fail only; Report.Rows has no other ones of them.
	OnlyFailure bool
	// Details are lines that the console shows below the row.
	Details []string
	// Bytes is the row's performance data; nil when it has none.
	Bytes *int64
}

// Report is the outcome of all checks of a server.
type Report struct {
	Server string
	// Active and Disabled are the server's state: what fails on an inactive server is no alarm.
	Active, Disabled bool
	// Rows are in the order in which they are shown.
	Rows []Row
}

// Failed tells whether a row failed.
func (r *Report) Failed() bool {
	return slices.ContainsFunc(r.Rows, func(row Row) bool { return !row.OK })
}

// Failures are the failed rows.
func (r *Report) Failures() []Row {
	return slices.DeleteFunc(slices.Clone(r.Rows), func(row Row) bool { return row.OK })
}

// Blocking are the failed rows that keep a backup from starting. A backup is gated only by what a backup needs: too few, too
// old or failed backups are reasons to take one, and WAL that waits does no harm. (Barman manual, chapter "Backup".)
func (r *Report) Blocking() []Row {
	return slices.DeleteFunc(r.Failures(), func(row Row) bool { return slices.Contains(tolerated, row.Label) })
}

// Labels of the rows that another part of the package, or a reader of a Report, has to recognise.
const (
	LabelMinimumSize = "backup minimum size"
	LabelWALSize     = "wal size"

	labelMinimumRedundancy = "minimum redundancy requirements"
	labelMaximumAge        = "backup maximum age"
	labelFailedBackups     = "failed backups"
	labelUnreadable        = "unreadable backups"
	labelIndex             = "WAL index"
	labelGaps              = "WAL gaps"
	labelClock             = "retention clock"
	labelArchiverErrors    = "archiver errors"
	labelEmptyIncoming     = "empty incoming directory"
	labelEmptyStreaming    = "empty streaming directory"
	labelIncomingQueue     = "incoming WALs directory"
	labelStreamingQueue    = "streaming WALs directory"
	labelWALMaximumAge     = "wal maximum age"
	labelIsStandby         = "PostgreSQL server is standby"
	labelBackupMode        = "backup mode"
)

// tolerated are the checks that a backup ignores.
var tolerated = []string{
	labelMinimumRedundancy, labelMaximumAge, LabelMinimumSize, labelFailedBackups, labelUnreadable, labelIndex, labelGaps, labelClock, labelArchiverErrors,
	labelEmptyIncoming, labelEmptyStreaming, labelIncomingQueue, labelStreamingQueue, labelWALMaximumAge, labelIsStandby,
	labelBackupMode, // a backup ends what an interrupted one has left, or says why it cannot
}
