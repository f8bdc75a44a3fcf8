package recovery

import (
	"time"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/wal"
)

// Plan is everything that a restore will do, decided before the first byte is written.
type Plan struct {
	Server string
	// Backup is what is restored; Reason says why it was chosen.
	Backup *catalog.BackupInfo
	Reason string
	Target Target

	Destination string
	// Remote is the command that reaches the destination's host, as typed; empty for a local restore.
	Remote      string
	Tablespaces []Tablespace

	// Timeline is the one that recovery ends on, Path how it gets there.
	Timeline wal.TimelineID
	Path     wal.Path
	// TimelineSetting is the value of recovery_target_timeline; empty when the setting is not written.
	TimelineSetting string
	WAL             WALRange
	// WALDirectory is where WAL files are copied to; empty with get-wal.
	WALDirectory string
	// Space is what the restore needs, by directory.
	Space []Space

	// Way is how the content of the backup gets to the destination. Archives are the tar files of a backup that is not a
	// tree of files.
	Way      Way
	Archives []Archive
	// StagingPath is the work area, if there is one: see Way.
	StagingPath string
	format      tarFormat
	contents    contents
	// chain are what an incremental backup is combined from, the full backup first and itself last: each a plan that has only what
	// concerns the content of the backup. combiner is the program that combines them.
	chain    []*Plan
	combiner string

	// Delta tells that the destination may have content; Horizon is up to when its files are trusted.
	Delta   bool
	Horizon time.Time
	// Resumed tells that an interrupted restore of the same backup is taken up again.
	Resumed bool
	// Found is what was found at the destination; nil when nobody could look.
	Found *Found

	// Clocks are the zones in which people may have meant a time.
	Clocks []Clock
	// Tools are the programs that the restore uses. Owner is who will own the restored files, and Installed are the versions of
	// PostgreSQL where they go; both are empty when unknown.
	Tools     []Tool
	Owner     string
	Installed []string
	// Port is that of the restored configuration, 0 when it is not known; PortInUse tells that something listens there now.
	Port      int
	PortInUse bool
	// Estimate is how long the copy may take. Only Restorer.Plan fills it, and WAL.Newest whatever the target.
	Estimate Estimate
	// sound tells that what the catalog says about the backup can be relied on.
	sound bool
	// reachable are the files of the archive that recovery could read, whatever the target needs.
	reachable []WALFile
	// otherTimelines are those that the backup leads to besides the one of the plan, rising.
	otherTimelines []wal.TimelineID

	Warnings []string
	// Problems are the reasons not to start. A plan that has any is not run.
	Problems []Problem
}

// Err is a *PlanError, or nil when the plan can be run.
func (p *Plan) Err() error {
	if len(p.Problems) == 0 {
		return nil
	}
	return &PlanError{Problems: p.Problems}
}

// Tablespace is one tablespace of the backup and where it goes.
type Tablespace struct {
	Name string
	OID  uint32
	// Source is the directory in the catalog.
	Source string
	// Location is at the destination.
	Location string
	// Relocated tells that the user gave the location.
	Relocated bool
}

// WALRange is the WAL that a recovery needs and the archive has.
type WALRange struct {
	// Begin is where replay starts; Required is up to where it has to come for the target, as far as that is known:
	// at least the backup's end, and the begin of a record at which recovery stops. Available is up to where the archive leads without a gap.
	Begin, Required, Available wal.LSN
	// Files are copied, in order, up to the one in which recovery stops. With get-wal they are not.
	Files []WALFile
	// Histories are the history files of the timelines on the path that the archive has.
	Histories []WALFile
	// Missing are the segments of the range that the archive lacks; none when recovery stops before them.
	Missing []wal.Segment
	// Newest is the time of the last commit or abort in the archive that recovery can reach; zero when unknown.
	Newest time.Time
}

// WALFile is a file that Barman has and the name under which it is restored.
type WALFile struct {
	// Name is the name at the destination, Path the archived file, or one that was received and is not archived yet.
	Name, Path string
	// Partial tells that it was found as NAME.partial.
	Partial bool
}

// Space is what a directory at the destination will receive.
type Space struct {
	Directory string
	// Need and Free are in bytes. Free is −1 when unknown.
	Need, Free int64
	// Disk identifies the file system; empty when unknown.
	Disk string
}
