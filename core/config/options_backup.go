package config

// The option table, part 2: options of backups.

func backupOptions() []Option {
	rows := shared(AreaBackup,
		Option{
			Name: "backup_method", Kind: PluginName, Default: "rsync", Invalid: Warn,
			Choices: []string{"rsync", "postgres", "local-rsync", "snapshot"},
			Help:    "How backups are taken. Any installed transfer plugin may be named.",
		},
		Option{
			Name: "backup_options", Kind: ChoiceSet, Invalid: Warn, EmptyUnsets: true,
			Choices: []string{"concurrent_backup", "exclusive_backup", "external_configuration"},
			Help: "Strategy: `concurrent_backup` or `exclusive_backup`. With `external_configuration` the configuration " +
				"files that lie outside of the data directory are not copied.",
		},
		Option{
			Name: "reuse_backup", Kind: Choice, Invalid: Warn, Choices: []string{"copy", "link", "off"}, AppliesTo: "rsync, local-rsync",
			Help: "File-level incremental backup: unchanged files are hard-linked to, or copied from, the previous backup.",
		},
		Option{
			Name: "immediate_checkpoint", Kind: Boolean, Default: "false", Invalid: Warn,
			Help: "Ask PostgreSQL for a fast checkpoint at the start of a backup.",
		},
		Option{
			Name: "network_compression", Kind: Boolean, Default: "false", Invalid: Warn, AppliesTo: "rsync, restore",
			Help: "Compress what travels over the network.",
		},
		Option{
			Name: "bandwidth_limit", Kind: Integer, Invalid: Late, EmptyUnsets: true, Unit: "kB/s",
			AppliesTo: "rsync, local-rsync, postgres, restore", Help: "I/O limit. Unset or 0 means no limit.",
		},
		Option{
			Name: "tablespace_bandwidth_limit", Kind: Limits, Invalid: Late, EmptyUnsets: true, Unit: "kB/s",
			AppliesTo: "rsync, local-rsync",
			Help:      "I/O limit by tablespace: a map, or text such as `archive:4000, hot:8000`.",
		},
		Option{
			Name: "parallel_jobs", Kind: Integer, Default: "1", Invalid: Warn, AppliesTo: "copies, restore",
			Help: "Copy workers.",
		},
		Option{
			Name: "parallel_jobs_start_batch_size", Kind: Integer, Default: "10", Invalid: Warn, AppliesTo: "copies, restore",
			Help: "Copy workers that may start within one batch period.",
		},
		Option{
			Name: "parallel_jobs_start_batch_period", Kind: Integer, Default: "1", Invalid: Warn, Unit: "seconds",
			AppliesTo: "copies, restore", Help: "Length of the batch period.",
		},
		Option{
			Name: "basebackup_retry_times", Kind: Integer, Default: "0", Invalid: Warn, AppliesTo: "copies, restore",
			Help: "How often a failed copy is tried again.",
		},
		Option{
			Name: "basebackup_retry_sleep", Kind: Integer, Default: "30", Invalid: Warn, Unit: "seconds",
			AppliesTo: "copies, restore", Help: "Pause before a copy is tried again.",
		},
		Option{
			Name: "keepalive_interval", Kind: Integer, Default: "60", Invalid: Warn, Unit: "seconds", AppliesTo: "rsync, local-rsync",
			Help: "Period of the query that keeps the backup's connection alive; 0 or less disables it.",
		},
		Option{
			Name: "autogenerate_manifest", Kind: Boolean, Default: "false", Invalid: Warn, AppliesTo: "rsync, local-rsync",
			Help: "Write a backup_manifest after the backup.",
		},
		Option{
			Name: "check_timeout", Kind: Integer, Default: "30", Invalid: Warn, Unit: "seconds", AppliesTo: "check, backup",
			Help: "Time limit of the checks; 0 means none.",
		},
		Option{
			Name: "backup_compression", Kind: Choice, Invalid: Warn, Choices: []string{"gzip", "lz4", "zstd", "none"},
			AppliesTo: "postgres", Help: "Compression of a backup by pg_basebackup.",
		},
		Option{
			Name: "backup_compression_format", Kind: Choice, Invalid: Warn, Choices: []string{"plain", "tar"},
			AppliesTo: "postgres", Help: "Whether a compressed backup is stored as plain files or as tar files. Unset means tar.",
		},
		Option{
			Name: "backup_compression_level", Kind: Integer, Invalid: Warn, AppliesTo: "postgres",
			Help: "Level of backup_compression.",
		},
		Option{
			Name: "backup_compression_location", Kind: Choice, Invalid: Warn, Choices: []string{"client", "server"},
			AppliesTo: "postgres", Help: "Whether the Barman host or the PostgreSQL server compresses the backup.",
		},
		Option{
			Name: "backup_compression_workers", Kind: Integer, Invalid: Warn, AppliesTo: "postgres with zstd",
			Help: "Threads of backup_compression.",
		},
		Option{
			Name: "encryption", Kind: Choice, Default: "none", Invalid: Warn, Choices: []string{"none", "gpg"}, UnsetWord: "none",
			AppliesTo: "postgres with tar", Help: "Encryption of backups and WAL files.",
		},
		Option{
			Name: "encryption_key_id", Kind: Text, EmptyUnsets: true, AppliesTo: "encryption", Help: "Key of the recipient.",
		},
		Option{
			Name: "encryption_passphrase_command", Kind: Command, EmptyUnsets: true, AppliesTo: "encryption",
			Help: "Shell command that prints the passphrase for decrypting.",
		},
		Option{
			Name: "worm_mode", Kind: Boolean, Default: "off", Invalid: Warn,
			Help: "The storage is write-once: WAL files that precede the first backup are not removed.",
		},
	)
	for i := range rows {
		// Barman 3.17 does not inherit this one from its global section, and the count of options relies on it.
		if rows[i].Name == "keepalive_interval" {
			rows[i].Scope = ScopeServer
		}
	}
	return rows
}
