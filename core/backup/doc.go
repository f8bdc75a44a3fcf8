// Package backup takes one base backup: from the first entry in the catalog to a copy that is complete and durable.
//
//	EMPTY ──pre hooks──▶ STARTED ──copy──▶ WAITING_FOR_WALS ──end WAL archived──▶ DONE
//	   └───────────────────┴── any failure, cancellation ──▶ FAILED (post hooks still run)
//
// Run reads like that line. What moves the data is a transfer plugin, in one of two ways:
//
//	copied.go   FILE_COPY: this package holds PostgreSQL in backup mode by a strategy (concurrent or exclusive), the plugin
//	            copies tablespaces, PGDATA and, last, global/pg_control
//	taken.go    SELF_CONTAINED: the plugin takes the whole backup, this package notes where it begins and ends
//
// # Invariants
//
// A backup is WAITING_FOR_WALS only when every file of it is on stable storage. A failed backup ends the session, so that
// PostgreSQL leaves backup mode, and never lets WAL be removed. Whatever ends the work (an error, SIGINT, a lost
// connection), the catalog says FAILED with the reason before Run returns; after SIGKILL the entry stays EMPTY or
// STARTED, which no command takes for a backup, and which the next backup and cron mark FAILED. A concurrent backup ends
// with its session. An exclusive one stays open on the server when this process is killed, and the next backup ends it: its
// label names an entry of the catalog.
package backup
