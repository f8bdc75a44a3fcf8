// Package e2e tells stories of a DBA with the real programs: PostgreSQL 15, sshd, rsync, and barman as it is installed.
//
//	recover_test.go    back up under load by each method, destroy the server, recover to every kind of target, compare rows
//	catalog_test.go    sharing files between backups, retention, keep, delete, several servers
//	trouble_test.go    what goes wrong with WAL, disks, servers and arguments
//	plugins_test.go    plugins of other people: in Go, in Python, and in place of bundled ones
//
// The package has no code of its own; backuphost has what the stories share.
package e2e
