package recovery

import (
	"time"

	"github.com/barman-go/barman/sdk/transfer"
)

// Options are what the user asked for, as typed: the command line laid over the server's configuration. Plan checks
// them.
type Options struct {
	// Backup is an id, a name, a shortcut such as latest, or auto: the best backup for the target.
	Backup string
	// Destination is the directory that becomes PGDATA, an absolute path on the host that is restored to.
	Destination string

	// At most one of the next five is set.
	TargetTime, TargetXID, TargetLSN, TargetName string
	TargetImmediate                              bool
	// TargetTimeline is a number, current, latest, or empty.
	TargetTimeline string
	// Exclusive stops just before the target.
	Exclusive bool
	// TargetAction is pause, shutdown, promote, or empty.
	TargetAction string
	StandbyMode  bool

	// GetWAL makes PostgreSQL fetch its WAL from Barman instead of copying it beforehand.
	GetWAL bool
	// Delta allows a destination that is not empty and copies only what differs.
	Delta bool
	// Tablespaces are rules NAME:LOCATION.
	Tablespaces []string
	// RemoteCommand reaches the host that is restored to, such as "ssh postgres@db2"; empty for a local restore.
	// Remote is the same, split into program and arguments.
	RemoteCommand string
	Remote        []string
	// StagingWALDirectory receives the WAL of a point-in-time recovery; empty means barman_wal in the destination.
	StagingWALDirectory string
	// ConfFilename receives the recovery settings, relative to the destination; empty means postgresql.auto.conf. It
	// has no effect before PostgreSQL 12.
	ConfFilename string
	// OptionPort is the port in the restore_command of a remote get-wal; 0 means ssh's default.
	OptionPort int

	Workers int
	// BandwidthLimit is in kB/s; 0 means none.
	BandwidthLimit     int
	NetworkCompression bool
	Retry              transfer.Retry
	StartBatchSize     int
	StartBatchPeriod   time.Duration

	// StagingPath and StagingLocation ("local" or "remote"; LocationTyped when the command line gave it) are for
	// backups that are compressed, encrypted or incremental; RecoveryStagingPath and LocalStagingPath are their
	// predecessors.
	StagingPath, StagingLocation          string
	LocationTyped                         bool
	RecoveryStagingPath, LocalStagingPath string
	// CombineMode is how pg_combinebackup copies files: copy, link, clone or copy-file-range; empty means copy.
	CombineMode string
	// SnapshotInstance is the argument of --snapshot-recovery-instance; SnapshotArguments are the names of all
	// snapshot options given.
	SnapshotInstance  string
	SnapshotArguments []string
}

// Special words of Options.
const (
	// BackupAuto chooses the best backup for the target.
	BackupAuto = "auto"
	// TimelineCurrent is the timeline on which the backup was taken.
	TimelineCurrent = "current"
	// TimelineLatest is the newest timeline of the archive.
	TimelineLatest = "latest"
)

// Files that a restore leaves, or uses, in the destination.
const (
	// InfoFile is a copy of backup.info; a later delta restore reads it.
	InfoFile = ".barman-recover.info"
	// IncompleteFile says what is being restored; it is there until the restore is complete.
	IncompleteFile = ".barman-restore-incomplete"
	// StagingWAL is the default directory for the WAL of a point-in-time recovery.
	StagingWAL = "barman_wal"
	// controlFile is without which PostgreSQL does not start.
	controlFile = "global/pg_control"
)

func (o *Options) remote() bool { return len(o.Remote) > 0 }

// direction is that of copies to the destination.
func (o *Options) direction() transfer.Direction {
	if o.remote() {
		return transfer.Put
	}
	return transfer.Local
}

// place is "local" or "remote", for messages.
func (o *Options) place() string {
	if o.remote() {
		return "remote"
	}
	return "local"
}
