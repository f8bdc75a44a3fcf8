package config

import (
	"path/filepath"
	"time"

	"github.com/barman-go/barman/sdk/hook"
)

// Server is one PostgreSQL server with all its options in force.
//
// A field with an option tag holds the option's value. A pointer is nil when the option is unset and that differs from
// zero; other unset options are zero. Options in whole seconds are time.Duration here and int in Value.Go.
type Server struct {
	// Name is safe as a path component.
	Name string
	// Disabled tells that Messages is not empty, or that a model says so. See the manual's chapter "Commands" for what is still allowed.
	Disabled bool `option:"disabled"`
	// Messages are the errors in the server's configuration, as `check` and `diagnose` show them.
	Messages []string
	// ActiveModel is the name of the model in force, or empty.
	ActiveModel string

	Active                   bool          `option:"active"`
	Description              string        `option:"description"`
	Cluster                  string        `option:"cluster"`
	ConnInfo                 string        `option:"conninfo"`
	StreamingConnInfo        string        `option:"streaming_conninfo"`
	PrimaryConnInfo          string        `option:"primary_conninfo"`
	PrimaryCheckpointTimeout time.Duration `option:"primary_checkpoint_timeout"`
	WALConnInfo              string        `option:"wal_conninfo"`
	WALStreamingConnInfo     string        `option:"wal_streaming_conninfo"`
	SSHCommand               string        `option:"ssh_command"`
	PrimarySSHCommand        string        `option:"primary_ssh_command"`
	ForwardConfigPath        bool          `option:"forward_config_path"`
	SlotName                 string        `option:"slot_name"`
	// CreateSlot is "manual" or "auto".
	CreateSlot            string `option:"create_slot"`
	StreamingArchiverName string `option:"streaming_archiver_name"`
	StreamingBackupName   string `option:"streaming_backup_name"`

	BackupDirectory        string `option:"backup_directory"`
	BasebackupsDirectory   string `option:"basebackups_directory"`
	ErrorsDirectory        string `option:"errors_directory"`
	IncomingWALsDirectory  string `option:"incoming_wals_directory"`
	StreamingWALsDirectory string `option:"streaming_wals_directory"`
	WALsDirectory          string `option:"wals_directory"`
	XlogDBDirectory        string `option:"xlogdb_directory"`
	// LockDirectory is the global barman_lock_directory, BarmanHome the global barman_home.
	LockDirectory, BarmanHome string

	BackupMethod  string `option:"backup_method"`
	BackupOptions Set    `option:"backup_options"`
	// ReuseBackup is "", "off", "link" or "copy".
	ReuseBackup         string `option:"reuse_backup"`
	ImmediateCheckpoint bool   `option:"immediate_checkpoint"`
	NetworkCompression  bool   `option:"network_compression"`
	// BandwidthLimit is in kB/s; 0 means none.
	BandwidthLimit int `option:"bandwidth_limit"`
	// TablespaceBandwidthLimit is in kB/s, by tablespace name.
	TablespaceBandwidthLimit map[string]int `option:"tablespace_bandwidth_limit"`
	ParallelJobs             int            `option:"parallel_jobs"`
	// ParallelJobsStartBatchSize workers may start within ParallelJobsStartBatchPeriod.
	ParallelJobsStartBatchSize   int              `option:"parallel_jobs_start_batch_size"`
	ParallelJobsStartBatchPeriod time.Duration    `option:"parallel_jobs_start_batch_period"`
	BasebackupRetryTimes         int              `option:"basebackup_retry_times"`
	BasebackupRetrySleep         time.Duration    `option:"basebackup_retry_sleep"`
	KeepaliveInterval            time.Duration    `option:"keepalive_interval"`
	AutogenerateManifest         bool             `option:"autogenerate_manifest"`
	CheckTimeout                 time.Duration    `option:"check_timeout"`
	BackupCompression            string           `option:"backup_compression"`
	BackupCompressionFormat      string           `option:"backup_compression_format"`
	BackupCompressionLevel       *int             `option:"backup_compression_level"`
	BackupCompressionLocation    string           `option:"backup_compression_location"`
	BackupCompressionWorkers     *int             `option:"backup_compression_workers"`
	Encryption                   string           `option:"encryption"`
	EncryptionKeyID              string           `option:"encryption_key_id"`
	EncryptionPassphraseCommand  string           `option:"encryption_passphrase_command"`
	WORMMode                     bool             `option:"worm_mode"`
	Archiver                     bool             `option:"archiver"`
	StreamingArchiver            bool             `option:"streaming_archiver"`
	ArchiverBatchSize            int              `option:"archiver_batch_size"`
	StreamingArchiverBatchSize   int              `option:"streaming_archiver_batch_size"`
	MaxIncomingWALsQueue         *int             `option:"max_incoming_wals_queue"`
	WALFreeSpaceReserve          *int64           `option:"wal_free_space_reserve"`
	Compression                  string           `option:"compression"`
	CompressionLevel             CompressionLevel `option:"compression_level"`
	CustomCompressionFilter      string           `option:"custom_compression_filter"`
	CustomDecompressionFilter    string           `option:"custom_decompression_filter"`
	// CustomCompressionMagic is hexadecimal with a 0x prefix; see Magic.
	CustomCompressionMagic string `option:"custom_compression_magic"`

	MinimumRedundancy int `option:"minimum_redundancy"`
	// RetentionPolicy is empty, "REDUNDANCY n" or "RECOVERY WINDOW OF n DAYS|WEEKS|MONTHS". When it is empty because what was
	// configured is invalid, Rejected("retention_policy") says so.
	RetentionPolicy       string         `option:"retention_policy"`
	RetentionPolicyMode   string         `option:"retention_policy_mode"`
	WALRetentionPolicy    string         `option:"wal_retention_policy"`
	LastBackupMaximumAge  *time.Duration `option:"last_backup_maximum_age"`
	LastWALMaximumAge     *time.Duration `option:"last_wal_maximum_age"`
	LastBackupMinimumSize *int64         `option:"last_backup_minimum_size"`

	RecoveryOptions     Set    `option:"recovery_options"`
	StagingPath         string `option:"staging_path"`
	StagingLocation     string `option:"staging_location"`
	RecoveryStagingPath string `option:"recovery_staging_path"`
	LocalStagingPath    string `option:"local_staging_path"`
	CombineMode         string `option:"combine_mode"`

	// PathPrefix are absolute directories.
	PathPrefix []string `option:"path_prefix"`

	SnapshotProvider              string        `option:"snapshot_provider"`
	SnapshotInstance              string        `option:"snapshot_instance"`
	SnapshotDisks                 []string      `option:"snapshot_disks"`
	SnapshotGCPProject            string        `option:"snapshot_gcp_project"`
	GCPProject                    string        `option:"gcp_project"`
	SnapshotZone                  string        `option:"snapshot_zone"`
	GCPZone                       string        `option:"gcp_zone"`
	AzureCredential               string        `option:"azure_credential"`
	AzureResourceGroup            string        `option:"azure_resource_group"`
	AzureSubscriptionID           string        `option:"azure_subscription_id"`
	AWSProfile                    string        `option:"aws_profile"`
	AWSRegion                     string        `option:"aws_region"`
	AWSAwaitSnapshotsTimeout      time.Duration `option:"aws_await_snapshots_timeout"`
	AWSSnapshotLockMode           string        `option:"aws_snapshot_lock_mode"`
	AWSSnapshotLockDuration       *int          `option:"aws_snapshot_lock_duration"`
	AWSSnapshotLockExpirationDate string        `option:"aws_snapshot_lock_expiration_date"`
	AWSSnapshotLockCoolOffPeriod  *int          `option:"aws_snapshot_lock_cool_off_period"`

	// Hooks are the hook blocks in the order of the file. The twenty hook scripts are read with HookScript.
	Hooks []HookBlock

	values   serverValues
	rejected map[string]string
	plugins  []*PluginBlock
	defined  Range
}

// Value returns the effective value of any server option; false when there is no such option.
func (s *Server) Value(name string) (Value, bool) {
	return s.values.get(name)
}

// Values returns the effective values of all server options, sorted by name.
func (s *Server) Values() []Value { return sortedValues(s.values.all()) }

// Source tells where the value of an option comes from.
func (s *Server) Source(name string) Source { return s.values.of(name).Source }

// Rejected returns why the configured value of an option is not in force, when only the log says so (bandwidth_limit,
// minimum_redundancy, retention_policy and the like).
func (s *Server) Rejected(name string) (reason string, ok bool) {
	reason, ok = s.rejected[name]
	return reason, ok
}

// HookScript returns the shell command for a phase ("pre", "post") and event ("backup", "delete", "archive",
// "wal_delete", "recovery"), or "".
func (s *Server) HookScript(phase, event string, retry bool) string {
	return s.values.text(HookOption(phase, event, retry))
}

// Passive tells that the server's backups come from another Barman host.
func (s *Server) Passive() bool { return s.PrimarySSHCommand != "" }

// MetaDirectory holds backup.info files.
func (s *Server) MetaDirectory() string { return filepath.Join(s.BackupDirectory, "meta") }

// IdentityFile records the system identifier and major version of the PostgreSQL server.
func (s *Server) IdentityFile() string { return filepath.Join(s.BackupDirectory, "identity.json") }

// ActiveModelFile holds the name of the active model, if there is one.
func (s *Server) ActiveModelFile() string {
	return filepath.Join(s.BackupDirectory, ".active-model.auto")
}

// XlogDBFile is the WAL index.
func (s *Server) XlogDBFile() string { return filepath.Join(s.XlogDBDirectory, s.Name+"-xlog.db") }

// Range is where the server is defined.
func (s *Server) Range() Range { return s.defined }

// HookBlock is one `hook "pre_backup" "webhook" { … }` block.
type HookBlock struct {
	// Phase is hook.PhasePre or hook.PhasePost, Event one of HookEvents.
	Phase, Event string
	Retry        bool
	// Timeout limits one run of the hook; 0 means that it may take as long as it likes.
	Timeout time.Duration
	// Config is the plugin to run, with the block's own options over those of the server's and the global plugin blocks.
	Config *PluginBlock
}

// Option is the name that the hook has in BARMAN_HOOK and in logs: "post_backup" or "post_backup_retry" with "_script".
func (h HookBlock) Option() string { return HookOption(h.Phase, h.Event, h.Retry) }

// hookPhases are the phases that a hook block may name.
func hookPhases() []string { return []string{hook.PhasePre, hook.PhasePost} }
