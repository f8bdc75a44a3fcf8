package transfer

import (
	"context"
	"io/fs"
	"time"

	"github.com/barman-go/barman/sdk/progress"
)

// ServiceName is the gRPC service, as listed in GetInfo.
const ServiceName = "barman.transfer.v1"

// Transfer is what both modes have in common.
type Transfer interface {
	Describe() Description
	// Check probes everything a backup needs and returns rows for `barman check`.
	Check(ctx context.Context, req CheckRequest) ([]CheckRow, error)
}

// FileCopier is a Transfer in mode FileCopy.
type FileCopier interface {
	Transfer
	// Copy runs a plan. Files that vanish at the source while it runs are not an error: PostgreSQL removes files during
	// a backup, and WAL replay does not need them.
	Copy(ctx context.Context, plan Plan, rep progress.Reporter) (CopyResult, error)
	// ReadFile returns a small file, or an error that is fs.ErrNotExist.
	ReadFile(ctx context.Context, remote []string, path string, maxBytes int64) (FileContent, error)
	// ApplyFiles makes changes in order and returns how many were done.
	ApplyFiles(ctx context.Context, remote []string, changes []FileChange) (int, error)
	// Stat looks at paths; the result has their order.
	Stat(ctx context.Context, remote []string, paths []string) ([]PathInfo, error)
}

// BackupTaker is a Transfer in mode SelfContained.
type BackupTaker interface {
	Transfer
	TakeBackup(ctx context.Context, req TakeBackupRequest, rep BackupReporter) (TakeBackupResult, error)
}

// BackupRestorer is a BackupTaker that also puts back what it took; without it core restores PGDATA trees and tar
// archives by itself.
type BackupRestorer interface {
	BackupTaker
	RestoreBackup(ctx context.Context, req RestoreBackupRequest, rep progress.Reporter) (RestoreBackupResult, error)
}

// BackupReporter is a progress.Reporter that can also ask for a WAL switch.
type BackupReporter interface {
	progress.Reporter
	// WaitingForWAL tells core that the tool waits for WAL that only a WAL switch on the primary will archive.
	WaitingForWAL()
}

// Mode is how a plugin takes backups.
type Mode int

// Modes.
const (
	FileCopy Mode = iota + 1
	SelfContained
)

// Description tells what an instance can do; core checks options against it.
type Description struct {
	Mode Mode
	// NeedsSSHCommand means that the source of a backup is on another host, reached through ssh_command.
	NeedsSSHCommand                  bool
	SupportsReuse                    bool
	SupportsBandwidthLimit           bool
	SupportsTablespaceBandwidthLimit bool
	SupportsNetworkCompression       bool
	SupportsParallelJobs             bool
}

// CheckRequest names what to probe.
type CheckRequest struct {
	// Remote is the program and arguments that reach the other host; empty when there is none.
	Remote []string
	// Conninfo is the replication connection, without Password; empty when not needed.
	Conninfo string
	Password string
	// ServerVersion is server_version_num, 0 when unknown.
	ServerVersion int
	// Compression is that of the backups to come, nil for none.
	Compression *Compression
}

// CheckRow is one line of `barman check`.
type CheckRow struct {
	Label string
	OK    bool
	// Hint of a failed row: what was tried, what was found, what to do.
	Hint string
	// OnlyFailure leaves the row out of the output when it is OK.
	OnlyFailure bool
}

// Direction says which side of a plan is remote.
type Direction int

// Directions.
const (
	// Fetch copies from the remote side (backup, passive node).
	Fetch Direction = iota + 1
	// Put copies to the remote side (remote recovery).
	Put
	// Local copies on this host.
	Local
)

// Plan is a set of trees to copy.
type Plan struct {
	// Op correlates log lines.
	Op        string
	Direction Direction
	Items     []Item
	// Workers is the number of copies that run at the same time, at least 1.
	Workers int
	// Remote is the program and arguments that reach the other host (Fetch, Put).
	Remote             []string
	NetworkCompression bool
	// BandwidthLimit is the total over all workers in kB/s (1024 bytes); 0 means none.
	BandwidthLimit int
	Retry          Retry
	// At most StartBatchSize workers start per StartBatchPeriod, to spare sshd's MaxStartups; 0 means no limit.
	StartBatchSize   int
	StartBatchPeriod time.Duration
}

// Retry is how often a failed tool is run again.
type Retry struct {
	// Times is the number of further attempts after the first.
	Times int
	Sleep time.Duration
}

// Kind is what an Item copies.
type Kind int

// Kinds.
const (
	Directory Kind = iota + 1
	File
)

// Reuse is what happens with files that an earlier backup already has.
type Reuse int

// Reuse modes.
const (
	ReuseOff Reuse = iota + 1
	// ReuseLink makes hard links.
	ReuseLink
	// ReuseCopy copies locally.
	ReuseCopy
)

// Item is one tree or file. Patterns are rsync's; a leading "/" anchors them at the item's source.
type Item struct {
	// Label is for messages and statistics: a tablespace's name, "pgdata", "pg_control", "config_file", …
	Label               string
	Kind                Kind
	Source, Destination string
	// Exclude patterns are not copied and are removed from the destination.
	Exclude []string
	// Include patterns are looked at before Exclude.
	Include []string
	// ExcludeAndProtect patterns are not copied but left alone in the destination.
	ExcludeAndProtect []string
	Reuse             Reuse
	// ReuseDirectory is that of an earlier backup; empty for none.
	ReuseDirectory string
	// BandwidthLimit in kB/s replaces the plan's; 0 means the plan's.
	BandwidthLimit int
	// SafeHorizon: files of ReuseDirectory (or of the destination) older than this are trusted when size and
	// modification time agree, younger ones are compared by content. Zero: none is trusted.
	SafeHorizon time.Time
	// Optional sources may be missing.
	Optional bool
	// Phase orders items: all of a lower phase are copied before any of a higher one.
	Phase int
	// DeleteExtra removes what the destination has and the source has not.
	DeleteExtra bool
}

// CopyResult is the end of a Copy.
type CopyResult struct {
	Files, Bytes             int64
	FilesCopied, BytesCopied int64
	Workers                  int
	Items                    []ItemStats
	Analysis, Copy, Total    time.Duration
}

// ItemStats is the time spent on one item.
type ItemStats struct {
	Label    string
	Analysis time.Duration
	// Copy is first start to last end, SerializedCopy the sum over parallel copies.
	Copy, SerializedCopy time.Duration
}

// FileContent is a small file.
type FileContent struct {
	Content []byte
	Mode    fs.FileMode
}

// Action is what a FileChange does.
type Action int

// Actions.
const (
	// Write writes Content under a temporary name, makes it durable and renames it to Path.
	Write Action = iota + 1
	// Mkdir makes Path and its parents; an existing directory is fine.
	Mkdir
	// Symlink makes Path a link to Target, replacing a link that is there.
	Symlink
	// Remove removes a file, link or empty directory; a missing one is fine.
	Remove
	// Rename moves Path to Target.
	Rename
	// Sync makes everything below the directory Path durable, contents and names.
	Sync
)

// FileChange is one small change.
type FileChange struct {
	Path   string
	Action Action
	// Content is at most 1 MiB.
	Content []byte
	// Mode is 0 for the default: 0600 for files, 0700 for directories.
	Mode   fs.FileMode
	Target string
}

// PathInfo is what Stat found.
type PathInfo struct {
	Path   string
	Exists bool
	// Type is "file", "directory", "symlink" or "other".
	Type     string
	Size     int64
	Modified time.Time
	// HasEntries tells of a directory that it is not empty; hidden entries count.
	HasEntries bool
	// FreeBytes of the file system that holds Path, or would hold it.
	FreeBytes int64
	// Writable tells whether files can be created in Path, or in its nearest existing parent.
	Writable bool
}

// TakeBackupRequest asks for a self-contained base backup.
type TakeBackupRequest struct {
	Op, BackupID string
	// Destination receives PGDATA or its archives; it is created, or empty.
	Destination string
	Tablespaces []Tablespace
	// Conninfo is the replication connection, without Password.
	Conninfo string
	Password string
	// ServerVersion is server_version_num.
	ServerVersion       int
	ImmediateCheckpoint bool
	// BandwidthLimit in kB/s; 0 means none.
	BandwidthLimit int
	// Compression is nil for an uncompressed plain backup.
	Compression *Compression
	// IncrementalManifest is the parent's backup_manifest; empty for a full backup.
	IncrementalManifest string
	Retry               Retry
}

// Tablespace of a backup.
type Tablespace struct {
	OID  uint32
	Name string
	// Location is on the PostgreSQL host, or for a restore where it goes.
	Location    string
	Destination string
}

// Compression of a base backup.
type Compression struct {
	// Algorithm is "gzip", "lz4", "zstd" or "none" (an uncompressed archive).
	Algorithm string
	// Format is "plain" or "tar"; empty means "tar".
	Format         string
	Level, Workers *int
	// Location is "client", "server" or empty.
	Location string
}

// TakeBackupResult is the end of a TakeBackup.
type TakeBackupResult struct {
	// BackupLabel is the text of backup_label.
	BackupLabel string
	// EndLSN is empty when the tool does not tell.
	EndLSN string
	Copy   time.Duration
}

// RestoreBackupRequest asks a BackupRestorer to put a backup back.
type RestoreBackupRequest struct {
	Op, BackupID        string
	Source, Destination string
	// Tablespaces: Location is where each goes, Destination where TakeBackup put it.
	Tablespaces []Tablespace
	Remote      []string
	Workers     int
}

// RestoreBackupResult is the end of a RestoreBackup.
type RestoreBackupResult struct {
	Files, Bytes int64
}
