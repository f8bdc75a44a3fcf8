package matrix

// trials are the rows that are proven together, in this order: a later trial may build on the backup of an earlier one.
var trials = [][]string{
	{
		"rsync over ssh", "tablespaces, moved by recover", "include and exclude rules", "configuration outside of PGDATA",
		"parallel_jobs", "bandwidth_limit, rsync", "tablespace_bandwidth_limit", "basebackup_retry_times: connections are cut",
		"concurrent backup", "--no-immediate-checkpoint",
	},
	{
		"local-rsync", "reuse_backup = link", "interrupted: FAILED, and the next one is good", "a running backup is shown",
		"immediate_checkpoint", "--name", "a failed backup is not built upon",
	},
	{"network_compression, both ways", "--jobs in backup and recover"},
	{"generate-manifest, verify-backup", "--reuse-backup=copy", "--wait-timeout, WAITING_FOR_WALS, check-backup"},
	{"backup --jobs-servers 2 all", "--bwlimit, rsync"},
	{"postgres, plain", "bandwidth_limit, postgres", "--immediate-checkpoint", "recover --target-immediate"},
	{"postgres, tar, gzip", "postgres, tar, recovered through ssh"},
	{"postgres, tar, uncompressed"},
	{"postgres, tar, lz4 on the client"},
	{"postgres, tar, zstd on the server by 2 workers"},
	{"postgres, plain, compressed on the server"},
	{"--incremental, on an incremental backup"},
	{"--incremental, tar, recovered through ssh"},
	{"invalid options for a method are refused"},
	{"compression that came with 15 is refused"},
	{"--incremental is refused where it cannot work"},
	{"a disk that is too small: refused"},
	{"exclusive backup"},
	{"exclusive backup refused"},
	{"standby, rsync", "WAL in every compression"},
	{"standby, postgres"},
	{"standby without primary_conninfo"},
	{"standby is promoted during a backup: FAILED"},
	{"receive-wal as synchronous standby: no commit is lost"}, // the last one: the server is lost
}
