package recovery

import (
	"context"
	"io"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/sdk/progress"
	"github.com/barman-go/barman/sdk/transfer"
)

// Copier copies trees to the destination and changes its small files. transfer.Client and every transfer.FileCopier
// is one.
type Copier interface {
	Copy(ctx context.Context, plan transfer.Plan, rep progress.Reporter) (transfer.CopyResult, error)
	ReadFile(ctx context.Context, remote []string, path string, maxBytes int64) (transfer.FileContent, error)
	ApplyFiles(ctx context.Context, remote []string, changes []transfer.FileChange) (int, error)
	Stat(ctx context.Context, remote []string, paths []string) ([]transfer.PathInfo, error)
}

// Decoder reads archived WAL files, and the archives of tar backups. *archive.Codecs is one.
type Decoder interface {
	// FormatOf returns the format of a stored file, "" when it is plain.
	FormatOf(ctx context.Context, path string) (string, error)
	// Decode writes the plain content of a file to dest, which must not exist.
	Decode(ctx context.Context, path, format, dest string) error
	// CanDecode returns nil when files of the format can be decoded, and otherwise why not.
	CanDecode(ctx context.Context, format string) error
	// Stream gives the plain content of a file to read, whose end of file means that all of it was sound. temp is for
	// what it needs meanwhile; empty means the system's directory.
	Stream(ctx context.Context, path, format, temp string, read func(io.Reader) error) error
}

// Hooks run before and after.
type Hooks interface {
	// Pre runs the pre hooks; an error means that one of them stops the restore.
	Pre(ctx context.Context, ev HookEvent) error
	// Post runs the post hooks, after success only.
	Post(ctx context.Context, ev HookEvent)
}

// HookEvent is what recovery hooks learn. The variables of the backup come from Backup.
type HookEvent struct {
	Backup *catalog.BackupInfo
	// Destination is BARMAN_DESTINATION_DIRECTORY, RemoteCommand BARMAN_REMOTE_COMMAND.
	Destination, RemoteCommand string
	// Tablespaces is the content of BARMAN_TABLESPACES: the new location of every relocated tablespace, by name.
	Tablespaces map[string]string
	// OptionsJSON is BARMAN_RECOVER_OPTIONS, a JSON object with sorted members.
	OptionsJSON string
}

// WALClient says how the restored server gets WAL from Barman.
type WALClient struct {
	// Program is the absolute path of the barman executable on this host; empty means "barman".
	Program string
	// ConfigFile is given as -c when the configuration is not in a default place; otherwise empty.
	ConfigFile string
	// User runs barman on this host, Host is the name under which other hosts reach it.
	User, Host string
	// Jobs above 1 is -p of barman-wal-restore.
	Jobs int
}

// Restorer restores backups of one server.
type Restorer struct {
	Server  string
	Catalog *catalog.Catalog
	// OtherCatalogs are those of the other servers of this host, which no restore may write into.
	OtherCatalogs []catalog.Layout
	// LockDir is barman_lock_directory.
	LockDir string
	WAL     Decoder
	// OpenCopier opens the transfer plugin that reaches the destination: "rsync" when remote, else "local-rsync".
	OpenCopier func(ctx context.Context, remote bool) (Copier, error)
	// Archive files what waits in incoming/ and streaming/, once, before the plan is made; nil on a passive node.
	Archive func(ctx context.Context) error
	Hooks   Hooks
	Client  WALClient
	// PathPrefix are directories in which the program of the remote command is looked for first.
	PathPrefix []string
	// TempDir is where WAL is decoded for a remote destination; empty means the system's directory for temporary
	// files.
	TempDir string
	Out     report.Messenger
	// Progress receives the progress of the search for the target, and of the copies.
	Progress progress.Reporter
	Log      hclog.Logger
	Now      func() time.Time
	// Zone is that of target times without one.
	Zone *time.Location
}
