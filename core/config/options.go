package config

// The option table, part 1: everything but directories, hooks and clouds. Defaults are in text form, exactly as one would
// write them. Source: Barman manual, chapter "Configuration".

func globalOptions() []Option {
	return globalScope(
		Option{
			Name: "barman_home", Kind: Path, Required: true, Invalid: Abort,
			Help: "Root of all data that Barman keeps.",
		},
		Option{
			Name: "barman_lock_directory", Kind: Path, Derived: "<barman_home>", Invalid: Abort,
			Help: "Where lock files live.",
		},
		Option{
			Name: "lock_directory_cleanup", Kind: Boolean, Default: "true", Invalid: Abort,
			Help: "Let `cron` remove lock files that nobody holds.",
		},
		Option{
			Name: "barman_user", Kind: Text, Default: "barman",
			Help: "System user that Barman runs as. Started by root, Barman switches to this user; any other user is refused.",
		},
		Option{
			Name: "config_changes_queue", Kind: Path, Derived: "<barman_home>/cfg_changes.queue", Invalid: Abort,
			Help: "Accepted, and not used: `config-update` makes its changes at once.",
		},
		Option{
			Name: "configuration_files_directory", Kind: FilePath, EmptyUnsets: true,
			Help: "Every `*.hcl` file in this directory is read after the main file, in the order of their names. " +
				"A relative path starts at the directory of the main file.",
		},
		Option{
			Name: "log_file", Kind: FilePath, EmptyUnsets: true,
			Help: "Log destination. Unset, the log goes to standard error.",
		},
		Option{
			Name: "log_level", Kind: Choice, Default: "INFO", Invalid: Late, Fallback: "INFO",
			Choices: []string{"NOTSET", "DEBUG", "INFO", "WARNING", "WARN", "ERROR", "CRITICAL", "FATAL"},
			Help:    "Lowest level that is logged, by name or as a number (10 is DEBUG, 20 INFO, 30 WARNING, 40 ERROR).",
		},
		Option{
			Name: "log_format", Kind: Text, EmptyUnsets: true, Ignored: true,
			Help: "Has no effect: log lines have one fixed form.",
		},
	)
}

func connectionOptions() []Option {
	return area(AreaConnection,
		Option{
			Name: "active", Scope: ScopeServer, InModel: true, Kind: Boolean, Default: "true", Invalid: Warn, AppliesTo: "all",
			Help: "False leaves the server out of normal operation.",
		},
		Option{
			Name: "disabled", Scope: ScopeServer, InModel: true, Kind: Boolean, Default: "false", Invalid: Warn, Fixed: true,
			AppliesTo: "all",
			Help:      "Set by Barman itself when the configuration of the server has errors. Only a model may set it.",
		},
		Option{
			Name: "description", Scope: ScopeServer, InModel: true, Kind: Text, EmptyUnsets: true, AppliesTo: "all",
			Help: "Free label, shown by `list-servers`.",
		},
		Option{
			Name: "cluster", Scope: ScopeServer, InModel: true, Kind: Text, Derived: "<server name>", EmptyUnsets: true,
			AppliesTo: "all", Help: "Links servers and models: a model applies to servers of the same cluster.",
		},
		Option{
			Name: "model", Scope: ScopeModel, InModel: true, Kind: Boolean, Default: "true", Invalid: Abort, AppliesTo: "models",
			Help: "Marks a section of an old configuration file as a model. In HCL the `model` block says so.",
		},
		Option{
			Name: "conninfo", Scope: ScopeServer, InModel: true, Kind: ConnInfo, EmptyUnsets: true, Sensitive: true,
			AppliesTo: "all but passive servers", Help: "Connection string of the main connection to PostgreSQL.",
		},
		Option{
			Name: "streaming_conninfo", Scope: ScopeServer, InModel: true, Kind: ConnInfo, Derived: "<conninfo>",
			EmptyUnsets: true, Sensitive: true, AppliesTo: "postgres, streaming_archiver",
			Help: "Connection string of the replication connection.",
		},
		Option{
			Name: "primary_conninfo", Scope: ScopeServer, InModel: true, Kind: ConnInfo, EmptyUnsets: true, Sensitive: true,
			AppliesTo: "backup from a standby", Help: "Connection string of the primary, when `conninfo` names a standby.",
		},
		Option{
			Name: "primary_checkpoint_timeout", Scope: ScopeServer, InModel: true, Kind: Integer, Default: "0", Invalid: Warn,
			Unit: "seconds", AppliesTo: "backup from a standby",
			Help: "Above 0: force a checkpoint on the primary when WAL switches did not end the backup in this time.",
		},
		Option{
			Name: "wal_conninfo", Scope: ScopeServer, InModel: true, Kind: ConnInfo, EmptyUnsets: true, Sensitive: true,
			AppliesTo: "WAL streaming",
			Help:      "Ordinary connection to the host that WAL is streamed from, when it is not the one of `conninfo`.",
		},
		Option{
			Name: "wal_streaming_conninfo", Scope: ScopeServer, InModel: true, Kind: ConnInfo, EmptyUnsets: true,
			Sensitive: true, AppliesTo: "WAL streaming",
			Help: "Replication connection to the host that WAL is streamed from.",
		},
		Option{
			Name: "ssh_command", Scope: ScopeServer, InModel: true, Kind: Command, EmptyUnsets: true,
			AppliesTo: "rsync, snapshot", Help: "Command that logs in to the database host, such as `ssh postgres@pg`.",
		},
		Option{
			Name: "primary_ssh_command", Scope: ScopeShared, InModel: true, Kind: Command, EmptyUnsets: true,
			AppliesTo: "passive servers",
			Help:      "Command that logs in to the primary Barman host. Setting it makes the server passive.",
		},
		Option{
			Name: "forward_config_path", Scope: ScopeShared, InModel: true, Kind: Boolean, Default: "false", Invalid: Warn,
			AppliesTo: "passive servers", Help: "Pass `-c` with the local configuration path to Barman on the primary host.",
		},
		Option{
			Name: "slot_name", Scope: ScopeShared, InModel: true, Kind: SlotName, Invalid: Warn, AppliesTo: "WAL streaming",
			Help: "Physical replication slot that `receive-wal` uses: lower-case letters, digits and underscores.",
		},
		Option{
			Name: "create_slot", Scope: ScopeShared, InModel: true, Kind: Choice, Default: "manual", Invalid: Warn,
			Choices: []string{"manual", "auto"}, AppliesTo: "WAL streaming",
			Help: "`auto` lets `receive-wal` create a missing replication slot.",
		},
		Option{
			Name: "streaming_archiver_name", Scope: ScopeShared, InModel: true, Kind: Text, Default: "barman_receive_wal",
			EmptyUnsets: true, AppliesTo: "WAL streaming", Help: "application_name of `receive-wal`.",
		},
		Option{
			Name: "streaming_backup_name", Scope: ScopeShared, InModel: true, Kind: Text, Default: "barman_streaming_backup",
			EmptyUnsets: true, AppliesTo: "postgres", Help: "application_name of pg_basebackup.",
		},
	)
}

func archiveOptions() []Option {
	return shared(AreaArchive,
		Option{
			Name: "archiver", Kind: Boolean, Default: "off", Invalid: Warn,
			Help: "Archive WAL that arrives through `archive_command`. Forced on when both archivers are off.",
		},
		Option{
			Name: "streaming_archiver", Kind: Boolean, Default: "off", Invalid: Warn,
			Help: "Archive WAL that is streamed by `receive-wal`.",
		},
		Option{
			Name: "archiver_batch_size", Kind: Integer, Default: "0", Invalid: Warn, Unit: "files",
			Help: "Most files that one run takes from the incoming directory; 0 takes all.",
		},
		Option{
			Name: "streaming_archiver_batch_size", Kind: Integer, Default: "0", Invalid: Warn, Unit: "files",
			Help: "Most files that one run takes from the streaming directory; 0 takes all.",
		},
		Option{
			Name: "max_incoming_wals_queue", Kind: Integer, Invalid: Warn, Unit: "files",
			Help: "`check` fails when more files than this wait in the incoming directory. Unset means no limit.",
		},
		Option{
			Name: "wal_free_space_reserve", Kind: Size, Invalid: Warn, EmptyAbsent: true, Unit: "bytes",
			Help: "WAL is refused when it would leave less free space than this on the disk, for example `2Gi`, so that the catalog stays " +
				"workable and PostgreSQL keeps the WAL. Unset means `256Mi`, or a twentieth of a disk smaller than 5 GiB; `0` reserves " +
				"nothing. Not an option of Barman 3.17.",
		},
		Option{
			Name: "compression", Kind: PluginName, Invalid: Warn, EmptyUnsets: true,
			Choices: []string{"gzip", "bzip2", "pygzip", "pybzip2", "pigz", "xz", "zstd", "lz4", "snappy", "custom"},
			Help:    "How WAL files are compressed. Any installed compress plugin may be named.",
		},
		Option{
			Name: "compression_level", Kind: Level, Default: "medium", Invalid: Warn, EmptyUnsets: true,
			Help: "`low`, `medium`, `high` or a number. A number outside of the algorithm's range is brought into it.",
		},
		Option{
			Name: "custom_compression_filter", Kind: Command, EmptyUnsets: true, AppliesTo: "compression custom",
			Help: "Shell filter that compresses standard input to standard output.",
		},
		Option{
			Name: "custom_decompression_filter", Kind: Command, EmptyUnsets: true, AppliesTo: "compression custom",
			Help: "Shell filter that decompresses standard input to standard output.",
		},
		Option{
			Name: "custom_compression_magic", Kind: Hex, EmptyUnsets: true, Invalid: Disable, AppliesTo: "compression custom",
			Help: "First bytes of a file written by the custom filter, such as `0x28b52ffd`.",
		},
	)
}

func retentionOptions() []Option {
	return shared(AreaRetention,
		Option{
			Name: "minimum_redundancy", Kind: Integer, Default: "0", Invalid: Late, Fallback: "0", Unit: "backups",
			EmptyUnsets: true,
			Help:        "Number of good backups that must always remain.",
		},
		Option{
			Name: "retention_policy", Kind: Retention, Invalid: Late, EmptyUnsets: true,
			Help: "`REDUNDANCY n` or `RECOVERY WINDOW OF n DAYS|WEEKS|MONTHS`. Unset keeps everything.",
		},
		Option{
			Name: "retention_policy_mode", Kind: Choice, Default: "auto", Invalid: Late, Fallback: "auto", EmptyUnsets: true,
			Choices: []string{"auto"}, ExactCase: true, Help: "Only `auto` exists: `cron` enforces the retention policy.",
		},
		Option{
			Name: "wal_retention_policy", Kind: Choice, Default: "main", Invalid: Late, Fallback: "main", EmptyUnsets: true,
			Choices: []string{"main"}, ExactCase: true, Help: "Only `main` exists: WAL is kept as long as its backups.",
		},
		Option{
			Name: "last_backup_maximum_age", Kind: Interval, Invalid: Warn, EmptyAbsent: true,
			Help: "`check` fails when the latest backup is older, for example `1 WEEK`.",
		},
		Option{
			Name: "last_wal_maximum_age", Kind: Interval, Invalid: Warn, EmptyAbsent: true,
			Help: "`check` fails when the latest archived WAL file is older, for example `2 hours`.",
		},
		Option{
			Name: "last_backup_minimum_size", Kind: Size, Invalid: Warn, EmptyAbsent: true, Unit: "bytes",
			Help: "`check` fails when the latest backup is smaller, for example `20Gi`.",
		},
	)
}

func restoreOptions() []Option {
	return shared(AreaRestore,
		Option{
			Name: "recovery_options", Kind: ChoiceSet, Invalid: Warn, EmptyUnsets: true,
			Choices: []string{"get-wal", "delta-restore"},
			Help:    "Defaults of restore: `get-wal` fetches WAL when PostgreSQL asks for it instead of copying it beforehand.",
		},
		Option{
			Name: "staging_path", Kind: Path, Invalid: Warn,
			Help: "Work area for restoring compressed, encrypted and incremental backups. Unset means `/tmp`.",
		},
		Option{
			Name: "staging_location", Kind: Choice, Default: "local", Invalid: Warn, Choices: []string{"local", "remote"},
			ExactCase: true, Help: "Host that `staging_path` is on.",
		},
		Option{
			Name: "recovery_staging_path", Kind: Path, Invalid: Warn, Deprecated: "use staging_path",
			Help: "Work area on the destination host for restoring compressed backups.",
		},
		Option{
			Name: "local_staging_path", Kind: Path, Invalid: Warn, Deprecated: "use staging_path",
			Help: "Work area on the Barman host for restoring incremental and encrypted backups.",
		},
		Option{
			Name: "combine_mode", Kind: Choice, Default: "copy", Invalid: Warn,
			Choices: []string{"copy", "link", "clone", "copy-file-range"},
			Help:    "How pg_combinebackup copies files. `link` copies them, because a restored server would write into the backup.",
		},
	)
}

func environmentOptions() []Option {
	return shared(AreaEnvironment,
		Option{
			Name: "path_prefix", Kind: PathList, EmptyUnsets: true, Invalid: Warn, AppliesTo: "all",
			Help: "Directories in which plugins and tools are looked for before `PATH`: a list, or text separated by colons.",
		},
	)
}

// globalScope completes rows that belong to the barman block only.
func globalScope(rows ...Option) []Option {
	for i := range rows {
		rows[i].Scope, rows[i].Area, rows[i].AppliesTo = ScopeGlobal, AreaGlobal, "all"
	}
	return rows
}

// area completes rows that name their scope themselves.
func area(name string, rows ...Option) []Option {
	for i := range rows {
		rows[i].Area = name
		if rows[i].AppliesTo == "" {
			rows[i].AppliesTo = "all"
		}
	}
	return rows
}

// shared completes rows that may be written in the barman block, in servers and in models.
func shared(name string, rows ...Option) []Option {
	for i := range rows {
		rows[i].Scope, rows[i].InModel = ScopeShared, true
	}
	return area(name, rows...)
}
