// Package basebackup is the transfer plugin postgres: it takes a self-contained base backup with pg_basebackup.
//
//	choose the tool ─▶ pg_basebackup --pgdata=base/ID/data … ─▶ backup_label, end of WAL from backup_manifest
//	                   └ failed: empty what it made, sleep, again
//
// WAL is never part of the backup; Barman's own archive supplies it. Invariants:
//
//   - The tool's major version is at least the server's, as the PostgreSQL manual demands of pg_basebackup.
//   - The password travels in the tool's environment, never in its arguments.
//   - Only an empty or missing destination is written to, and only what an attempt wrote there is removed for the next.
package basebackup
