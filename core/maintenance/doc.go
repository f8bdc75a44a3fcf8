// Package maintenance keeps the catalog of a server in order: it completes backups when their WAL has come, marks those
// whose process died, enforces the retention policy, and deletes backups with the WAL that nothing needs any more.
//
//	cron, for every server ─▶ archive ▸ reap ▸ check-backup ▸ retention
//
// # Deleting
//
// A delete can be interrupted anywhere and is completed by the next cron:
//
//	pre hooks ▸ mark delete_this ▸ status FAILED ▸ content ▸ WAL index ▸ WAL files ▸ backup.info ▸ unmark ▸ post hooks
//
// The mark comes after the pre hooks, so that a hook that stops a delete stops it for good. The status is written before
// anything is removed: from then on the backup says of itself, to Python Barman as well, that it cannot be restored. So
// half a backup is never taken for a whole one, does not count for the retention policy, and needs no WAL.
//
// A backup that is being restored is not deleted, nor is one that it depends on: a restore shares their locks, and
// whoever deletes wants them alone. By hand that is refused with the name of the process; retention tries again in the
// next run. WAL goes with the oldest backup only, so the one that is restored protects what it needs, except when it is
// kept as standalone: then retention wants its lock, too, before it removes WAL after it.
//
// A backup that is kept is not deleted, marked or not: somebody said so later than whoever marked it.
package maintenance
