package catalog

import (
	"fmt"
	"strings"
	"time"

	"github.com/barman-go/barman/core/catalog/pyliteral"
	"github.com/barman-go/barman/core/pattern"
	"github.com/barman-go/barman/core/wal"
)

// BackupInfo is what a catalog records about one backup: the content of its backup.info file.
//
// The zero value of a field means that the file says None, or does not have the key; only counts for which 0 is a
// measurement are an OptInt. Values that were read and not changed are written back as the very bytes that were read,
// and so are keys, comments and blank lines that this program does not know (see EncodeInfo).
//
// A BackupInfo is plain data: it may be copied, and it is not safe for concurrent use while somebody changes it.
// Copies share slices.
type BackupInfo struct {
	// ID is the backup's identity; it is the name of the file, not a line in it.
	ID string

	// BackupLabel is the content of the backup_label file, several lines.
	BackupLabel string
	// BackupName is the name given with --name; the line is missing when there is none.
	BackupName string
	// BeginOffset is the offset of BeginLSN in the segment BeginWAL, in bytes.
	BeginOffset OptInt
	// BeginTime has the time zone of the PostgreSQL session, as an offset.
	BeginTime time.Time
	BeginWAL  wal.Segment
	BeginLSN  wal.LSN
	// ChildrenIDs are the incremental backups whose parent this one is, in the order in which they were taken.
	ChildrenIDs []string
	// ClusterSize is the size of all tablespaces when the backup began, in bytes.
	ClusterSize OptInt
	// Compression is that of the tar files of pg_basebackup: gzip, lz4, zstd or none.
	Compression string
	// ConfigFile, HBAFile and IdentFile are absolute paths on the server.
	ConfigFile string
	CopyStats  CopyStats
	// DataChecksums is on or off.
	DataChecksums string
	// DeduplicatedSize is the size in bytes of the files that were not shared with another backup.
	DeduplicatedSize OptInt
	// Encryption is gpg or nothing.
	Encryption string
	EndOffset  OptInt
	EndTime    time.Time
	EndWAL     wal.Segment
	EndLSN     wal.LSN
	// Error is one line that says why the backup failed.
	Error     string
	HBAFile   string
	IdentFile string
	// IncludedFiles are the files that the configuration includes, absolute paths on the server.
	IncludedFiles []string
	// Mode is how the backup was taken; the Mode… constants are those that Barman knows.
	Mode Mode
	// ParentID makes the backup incremental.
	ParentID string
	// PGData is the server's data_directory.
	PGData     string
	ServerName string
	// Size is the size of all files of the backup in bytes.
	Size OptInt
	// SnapshotsInfo is kept as it was read; nil when the backup is no snapshot.
	SnapshotsInfo pyliteral.Dict
	Status        Status
	// SummarizeWAL is on or off, empty before PostgreSQL 17.
	SummarizeWAL string
	// SystemID is the system identifier in decimal digits.
	SystemID    string
	Tablespaces []Tablespace
	Timeline    wal.TimelineID
	// Version is PostgreSQL's server_version_num, such as 170002.
	Version int
	// SegmentSize is never 0 in a BackupInfo made by NewBackupInfo or DecodeInfo.
	SegmentSize wal.SegmentSize

	// source is what was read; nil for a new backup. It is never changed.
	source *infoSource
}

// Tablespace is a tablespace other than pg_default and pg_global.
type Tablespace struct {
	Name string
	OID  uint32
	// Location is an absolute path on the server.
	Location string
}

// OptInt is a number that may be unknown.
type OptInt struct {
	N     int64
	Valid bool
}

// Int is a known number.
func Int(n int64) OptInt { return OptInt{N: n, Valid: true} }

// NewBackupInfo is a backup that has just got its identity: state EMPTY, PostgreSQL's default segment size.
func NewBackupInfo(id, server string, mode Mode) *BackupInfo {
	return &BackupInfo{
		ID: id, ServerName: server, Mode: mode, Status: StatusEmpty, SegmentSize: wal.DefaultSegmentSize,
	}
}

// Detach forgets the file that the backup was read from: it will be written like a new one, every key in Barman's order.
func (b *BackupInfo) Detach() { b.source = nil }

// Mode is how a backup was taken.
type Mode string

// Modes that Barman writes. rsync modes are written for local-rsync too; passive is a backup copied from a primary
// node.
const (
	ModeRsyncConcurrent    Mode = "rsync-concurrent"
	ModeRsyncExclusive     Mode = "rsync-exclusive"
	ModePostgres           Mode = "postgres"
	ModeSnapshotConcurrent Mode = "snapshot-concurrent"
	ModeSnapshotExclusive  Mode = "snapshot-exclusive"
	ModePassive            Mode = "passive"
)

// Type classifies a backup for people and for retention.
type Type string

// Types of backups.
const (
	TypeFull        Type = "full"
	TypeIncremental Type = "incremental"
	TypeRsync       Type = "rsync"
	TypeSnapshot    Type = "snapshot"
)

// Type derives the type from mode and parent. A copy on a passive node has lost its mode and shows as full or
// incremental.
func (b *BackupInfo) Type() Type {
	switch {
	case strings.HasPrefix(string(b.Mode), "snapshot"):
		return TypeSnapshot
	case strings.HasPrefix(string(b.Mode), "rsync"):
		return TypeRsync
	case b.ParentID != "":
		return TypeIncremental
	}
	return TypeFull
}

// IsIncremental tells whether the backup needs its parent to be restored.
func (b *BackupInfo) IsIncremental() bool { return b.Type() == TypeIncremental }

// IsFull tells whether latest-full may choose the backup: neither incremental nor a snapshot.
func (b *BackupInfo) IsFull() bool {
	t := b.Type()
	return t != TypeIncremental && t != TypeSnapshot
}

// DeduplicationRatio is the part of the size, from 0 to 1, that was saved by sharing files (rsync) or by copying only
// changed blocks (the others); 0 when it is not known.
func (b *BackupInfo) DeduplicationRatio() float64 {
	whole := b.ClusterSize
	if b.Type() == TypeRsync {
		whole = b.Size
	}
	if whole.N == 0 || b.DeduplicatedSize.N == 0 {
		return 0
	}
	return 1 - float64(b.DeduplicatedSize.N)/float64(whole.N)
}

// WALDirectory is the name of the WAL directory inside the data directory: pg_wal, or pg_xlog before PostgreSQL 10.
func (b *BackupInfo) WALDirectory() string {
	if b.Version > 0 && b.Version < 100000 {
		return "pg_xlog"
	}
	return "pg_wal"
}

// RequiredWALs are the segments without which the backup cannot become consistent, from BeginWAL to EndWAL. It is an
// error when one of them is unknown, when they lie on different timelines or when they are out of order.
func (b *BackupInfo) RequiredWALs() ([]wal.Segment, error) {
	var none wal.Segment
	if b.BeginWAL == none || b.EndWAL == none {
		return nil, fmt.Errorf("backup %s: the WAL files it needs are not known, because it has not ended (status %s)",
			b.ID, b.Status)
	}
	if err := b.SegmentSize.Validate(); err != nil {
		return nil, fmt.Errorf("backup %s: %w", b.ID, err)
	}
	if b.BeginWAL.Timeline != b.EndWAL.Timeline {
		return nil, fmt.Errorf("backup %s begins on timeline %d (%s) and ends on timeline %d (%s): it cannot be restored",
			b.ID, b.BeginWAL.Timeline, b.BeginWAL, b.EndWAL.Timeline, b.EndWAL)
	}
	n := wal.Count(b.BeginWAL, b.EndWAL, b.SegmentSize)
	if n == 0 {
		return nil, fmt.Errorf("backup %s ends (%s) before it begins (%s)", b.ID, b.EndWAL, b.BeginWAL)
	}
	segments := make([]wal.Segment, 0, min(n, 1<<16))
	for s := range wal.Range(b.BeginWAL, b.EndWAL, b.SegmentSize) {
		segments = append(segments, s)
	}
	return segments, nil
}

var idPattern = pattern.New(`^\d{8}T\d{6}$`)

// ValidID tells whether s has the form of a backup id, such as 20260111T100000. A valid id is safe as a component of
// a path.
func ValidID(s string) bool { return idPattern.MatchString(s) }

// IsInfoKey tells whether backup.info may have a key of that name in the version of Barman that is followed here.
func IsInfoKey(key string) bool { return infoFieldByKey[key] != nil }
