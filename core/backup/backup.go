package backup

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/postgres"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/sdk/progress"
	"github.com/barman-go/barman/sdk/transfer"
)

// Options say how a backup is taken.
type Options struct {
	Server string
	// Method is the name of the transfer plugin.
	Method string
	// Name is a friendly name, or empty.
	Name string
	// Parent makes the backup a block-level incremental one of that backup, an id; mode SELF_CONTAINED only.
	Parent string

	// Conninfo is the server; Primary, if set, its primary when the server is a standby.
	Conninfo postgres.Conninfo
	Primary  *postgres.Conninfo
	// Streaming is the replication connection of a self-contained method; StreamingName its application_name.
	Streaming     postgres.Conninfo
	StreamingName string
	// PrimaryCheckpointTimeout is how long WAL switches on the primary may fail to end the backup before a checkpoint is made there.
	PrimaryCheckpointTimeout time.Duration
	// Remote is the program and arguments that reach the server's host; empty for a local copy.
	Remote []string

	// Exclusive takes an exclusive backup instead of a concurrent one: PostgreSQL up to 14, mode FILE_COPY only.
	Exclusive           bool
	ImmediateCheckpoint bool
	// Keepalive is the time between probes of the session; 0 means none.
	Keepalive time.Duration
	Reuse     transfer.Reuse
	Workers   int
	// BandwidthLimit is in kB/s, 0 for none; TablespaceBandwidthLimit by tablespace name.
	BandwidthLimit           int
	TablespaceBandwidthLimit map[string]int
	NetworkCompression       bool
	Retry                    transfer.Retry
	StartBatchSize           int
	StartBatchPeriod         time.Duration
	// Compression is for self-contained methods; nil for a plain copy.
	Compression *transfer.Compression
	// Manifest writes a manifest after a copy file by file; a self-contained method writes its own.
	Manifest bool
	// ExternalConfiguration means that the user knows about configuration files that are not in the backup.
	ExternalConfiguration bool

	// Wait waits until the last WAL file is archived, at most WaitTimeout (0: for ever).
	Wait        bool
	WaitTimeout time.Duration
}

// Hooks run before and after.
type Hooks interface {
	// Pre returns an error when a hook stops the backup.
	Pre(ctx context.Context, b *catalog.BackupInfo) error
	Post(ctx context.Context, b *catalog.BackupInfo)
}

// Transfer is the transfer plugin: the last call is for mode SELF_CONTAINED, the others for FILE_COPY.
type Transfer interface {
	ReadFile(ctx context.Context, remote []string, path string, maxBytes int64) (transfer.FileContent, error)
	Copy(ctx context.Context, plan transfer.Plan, rep progress.Reporter) (transfer.CopyResult, error)
	TakeBackup(ctx context.Context, req transfer.TakeBackupRequest, rep transfer.BackupReporter) (transfer.TakeBackupResult, error)
}

// WAL is what a backup needs from the WAL archive.
type WAL interface {
	// Archive files what waits in incoming/ and streaming/, once.
	Archive(ctx context.Context) error
	// Check moves the backup to DONE when its WAL is archived, and returns it as it is then.
	Check(ctx context.Context, id string) (*catalog.BackupInfo, error)
	// Contains tells whether a segment is archived.
	Contains(name string) (bool, error)
}

// Runner takes backups of one server. The caller holds the server's backup lock.
type Runner struct {
	Options
	Catalog  *catalog.Catalog
	Transfer Transfer
	// Mode is that of the transfer plugin.
	Mode  transfer.Mode
	Hooks Hooks
	WAL   WAL
	Out   report.Messenger
	// Progress receives the progress of the copy.
	Progress progress.Reporter
	Log      hclog.Logger
	Now      func() time.Time
}

// failure is an error with what was being done, in the words of the catalog's error field.
type failure struct {
	action string
	err    error
}

func (f *failure) Error() string { return f.action + ": " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func failed(action string, err error) error {
	if err == nil {
		return nil
	}
	return &failure{action, err}
}

// What is being done, as it stands in messages and in backup.info.
const (
	actionStart = "starting backup"
	actionIssue = "issuing start backup command"
	actionCopy  = "copying files"
	actionStop  = "issuing stop backup command (native concurrent)"
	actionLabel = "writing backup label"
	// actionStopExclusive is what Barman says of an exclusive backup.
	actionStopExclusive = "issuing stop backup command"
	actionFinalise      = "calculating backup size"
)

// session is what the two ways of taking a backup share while it runs.
type session struct {
	*Runner
	info *catalog.BackupInfo
	conn *postgres.Conn
	// previous is the newest usable backup before this one, or nil.
	previous *catalog.BackupInfo
	// tree is the backup's directory, watched for write-back errors since before the copy.
	tree *fsx.Tree
	// reserve is for recording a failure on a full disk.
	reserve *reserve
	// copyStart is when the copy began, for the elapsed time.
	copyStart time.Time
}
