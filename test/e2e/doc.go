// Package e2e tells stories of a DBA with the real programs: PostgreSQL 15, sshd, rsync, and barman as it is installed.
//
//	recover_test.go    back up under load by each method, destroy the server, recover to every kind of target, compare rows
//	catalog_test.go    sharing files between backups, retention, keep, delete, several servers
//	mistakes_test.go   wrong arguments, configurations and targets; plugins and catalog files that are broken
//	wal_test.go        WAL of another cluster, half of a segment, junk, duplicates
//	outage_test.go     PostgreSQL is down before and during a backup; the disk is full
//	streaming_test.go  receive-wal from its first start to its last stop; cron keeps it alive
//	rpo_test.go        the only synchronous standby; the server is lost again and again, acknowledged commits never
//	restorekill_test.go  restores are killed: nothing starts on their remains, nobody deletes what they read
//	plugins_test.go    plugins of other people: in Go, in Python, and in place of bundled ones
//
// The package has no code of its own; backuphost has what the stories share.
package e2e
