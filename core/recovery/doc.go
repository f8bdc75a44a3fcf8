// Package recovery brings a backup back: on this host or another one, to the end of the archive or to a point in
// time.
//
//	Options ─▶ Plan ─▶ Run
//	           │       hooks ▸ base ▸ tablespace links ▸ WAL ▸ recovery settings ▸ dangerous settings ▸ fsync ▸ pg_control ▸ hooks
//	           │               └ files are copied, tar archives unpacked: here, in a work area, or by tar on the other host
//	           └ which backup, which timelines, which WAL files, is the target reachable, does the destination fit, are the tools there
//
// A Plan is a value. It is computed from facts that were gathered before (Archived, Found), so that every decision
// can be tested without a disk, and nothing is written while it has a Problem:
//
//	backup 20260111T100000 (newest that ended before the target)
//	timeline 1 ──▶ 0/5000000 ──▶ timeline 2
//	000000010000000000000002 … 000000010000000000000004, 000000020000000000000005 … 000000020000000000000009
//	problem: WAL file 000000020000000000000007 is missing: …
//
// # Invariants
//
// Nothing at the destination changes before the plan has been accepted and the pre hooks have run.
//
// A destination that is not complete cannot be started: global/pg_control, without which PostgreSQL refuses to start, gets
// its name last, after everything has been made durable. Until then the file .barman-restore-incomplete tells what was being
// restored, and the same command takes up the work again.
//
// Everything is read from the catalog and the archive; neither is ever changed. From before the plan is made until the last
// byte is read, the backup, those that it depends on, and the WAL since it began cannot be deleted: see package lock.
//
// Local and remote restores are one code path: whatever is done at the destination is done by the transfer plugin. Only tar
// archives are unpacked by this package, see docs/adr/012, or by tar on the other host.
//
// What an archive says never leads out of the directories of the restore, and one that is cut or damaged is never taken for
// whole.
package recovery
