// Package passive keeps a copy of the backups and the WAL of another Barman: geographical redundancy. The other one, the primary node,
// may be Python Barman or this program, and does not know that it is copied: it answers sync-info and lets its files be read.
//
//	passive node                                    primary node
//	Primary.Fetch     ──ssh── barman sync-info S ──▶ Describer.Write
//	   │ primary.info: the answer, checked
//	   ├▶ BackupSync.Run ──transfer plugin──────────▶ base/ID/
//	   │     base/ID/, meta/ID-backup.info: SYNCING → WAITING_FOR_WALS → DONE, or FAILED
//	   ├▶ WALSync.Run    ──transfer plugin──────────▶ wals/
//	   │     .sync-wals/ → wals/HASH/NAME → S-xlog.db → sync-wals.info
//	   └▶ Mirror.Run     ──transfer plugin──────────▶ streaming/
//	         streaming/NAME.partial: the segment that is being written, seconds behind
//
// Invariants:
//
//   - Whatever comes from the primary is checked before it is used: backup ids, WAL names, oids and directories become parts of paths,
//     lines of the index, words of a remote command.
//   - A backup is DONE here only when all its files are here, counted and durable, and so is the WAL that it needs.
//   - A WAL file is in the index here only when it is here, whole and durable. It is in the index once.
//   - A segment that the primary calls partial is called partial here, and lies in streaming/, never in the archive.
//   - Nothing that is missing on the primary is removed here for that reason. Only this node's own retention removes.
//   - Whatever ends a run, the next one goes on where it ended: what has arrived is not sent again.
//
// What is decided (is this backup to be copied? is this file wanted?) is computed by functions over values.
package passive
