// Package lock keeps two operations on one server from running at the same time, also when one of them belongs to
// Python Barman: both use flock(2) on the same files.
//
//	<barman_lock_directory>/.main-backup.lock     contains "4711\n", the process that holds it, or held it last
//
// A lock belongs to an open file, so it ends with the process, however that dies. The file stays: it says nothing by
// existing. Because Python Barman's cron removes lock files that are free, a lock counts only when the file that was
// locked is still the one under its name; Acquire checks that and tries again otherwise.
//
// Lock files are opened close-on-exec: a tool that outlives its parent never keeps a lock.
//
// # Reading a backup
//
// A restore shares the lock of the backup that it reads, and those of the backups which that one depends on:
//
//	restore ── Share ──┐
//	restore ── Share ──┼─▶ .main-20250131T020000.lock ◀── Acquire: busy ── delete, retention, check-backup
//	restore ── Share ──┘
//
// Any number of restores read at the same time, and nobody can delete meanwhile: neither this program nor Python Barman,
// which takes the same file alone. Nobody has to clean up after a restore that was killed.
//
// Which locks exist is in the table of Kind. Nesting, outermost first: config-update, cron, backup, backup id,
// archive-wal or sync-wal, xlogdb. Whoever follows this order cannot wait in a circle; only xlogdb and sync-wal are
// waited for anyway.
package lock
