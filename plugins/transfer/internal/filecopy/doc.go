// Package filecopy is the engine behind the transfer plugins rsync and local-rsync: it turns a copy plan into runs of rsync.
//
//	plan ─ phase 0 ─ item pgdata ──┬─ list the source, decide file by file ─▶ lists on disk, in units of ~64 MiB
//	     │         ─ item ts "hot" ┘                                           │
//	     │                                            workers take units, big ones first, until none is left
//	     └ phase 1 ─ item pg_control                                           └▶ rsync --files-from=- …
//
// Small runs through ssh share a connection, see package sshshare. On one host this process copies the listed files itself,
// and writes only the blocks that differ; see docs/adr/018.
//
// With one worker, an item that has no earlier copy is a single recursive rsync without a listing. Files that are shared with an
// earlier backup by hard links are linked while the source is listed, and are in no list. Invariants:
//
//   - A file whose size and modification time equal those of the earlier copy, and which is not older than the safe
//     horizon, is compared by content (rsync --checksum, or block by block on one host), in a run of its own.
//   - A file that may share its inode with an earlier backup is never written in place: with hard links, rsync writes a
//     new file and renames it, also when a retry finds that the file has changed meanwhile.
//   - A source that vanishes while the copy runs is no error, a source that was never there is one.
//   - Names are bytes: they travel in lists separated by NUL, and rsync's escapes (\#012) are undone.
//   - Memory does not grow with the number of files; lists are files in the instance's work directory.
//   - Patterns are the plan's own; there is never a rule per file.
package filecopy
