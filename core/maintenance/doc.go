// Package maintenance keeps the catalog of a server in order: it completes backups when their WAL has come, marks those
// whose process died, enforces the retention policy, and deletes backups with the WAL that nothing needs any more.
//
//	cron, for every server ─▶ archive ▸ reap ▸ check-backup ▸ retention
//
// # Deleting
//
// A delete can be interrupted anywhere and is completed by the next cron:
//
//	pre hooks ▸ mark delete_this ▸ content ▸ WAL index ▸ WAL files ▸ backup.info ▸ unmark ▸ post hooks
//
// The mark comes after the pre hooks, so that a hook that stops a delete stops it for good, and before anything is
// removed, so that half a backup is never taken for a whole one.
package maintenance
