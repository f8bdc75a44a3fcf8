// Package catalog is the memory of the backups of one server: what was backed up, when, with which WAL, and which WAL
// files are archived. Everything in it is a file that Python Barman 3.17 reads and writes too, at the same time if
// need be.
//
//	HOME/main/                                      Layout: every path below is one of its functions
//	  identity.json                                 Catalog.Identity
//	  meta/20260111T100000-backup.info              BackupInfo: Catalog.Load, Save, List
//	  meta/20260111T100000-keep                     Catalog.KeepOf, SetKeep
//	  meta/20260111T100000-delete_this              Catalog.MarkDelete
//	  base/20260111T100000/data/…                   the copy itself; only its place is known here
//	  wals/main-xlog.db                             WALIndex: one line for every archived file
//	  wals/0000000100000000/000000010000000000000002
//	  wals/00000002.history
//
// A backup.info file, shortened:
//
//	backup_label='START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n…'
//	begin_time=2026-01-10 10:00:00.123456+00:00
//	begin_wal=000000010000000000000002
//	parent_backup_id=None
//	status=DONE
//	tablespaces=[('tbs1', 16387, '/srv/tbs1')]
//
// Invariants:
//
//   - No file ever has a key, a line or a name that Barman does not understand: one unknown key would make it refuse
//     every command on the catalog.
//   - What was read and not changed is written back byte for byte; keys of newer versions stay where they are.
//   - One damaged backup.info never hides the other backups.
//   - A file is replaced whole and durably, so that a reader or a crash sees the old one or the new one.
//   - A WAL file is taken off the index before it is removed; only files that the index lists are removed, one by one.
//
// What is decided about backups (may these WAL files go? is this backup complete?) is computed by functions over
// values, apart from the functions that read and write.
package catalog
