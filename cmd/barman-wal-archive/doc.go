// Barman-wal-archive is PostgreSQL's archive_command: it sends one WAL file to `barman put-wal` on the backup host.
//
//	WAL_PATH ─▶ (compress) ─▶ tar: the file, then its checksum ─▶ ssh ─▶ barman put-wal SERVER
//
// Invariants:
//
//   - 0 is returned only when put-wal has returned 0, which means that the file is on stable storage there and matches the
//     checksum that was taken here.
//   - The file is read once; one that changes its size in the meantime is never sent to its end, so that put-wal refuses it.
//   - It needs nothing but ssh: no configuration, no plugins, no shared libraries.
package main
