// Package archive takes WAL files in, files them, and hands them out again.
//
//	put-wal      tar on stdin ─▶ incoming/            Putter
//	archive-wal  incoming/, streaming/ ─▶ wals/       Archiver
//	get-wal      wals/ | incoming/ | streaming/ ─▶    Getter
//
// # Invariants
//
// When put-wal has succeeded, the segment is on stable storage under its final name and matched its checksum.
//
// archive-wal removes a source only after its successor in wals/ is durable, under its final name, and recorded in the
// WAL index, which is durable too. A crash at any moment leaves the source, or both; the next run finds an identical
// file in wals/, repairs the index and removes the source.
//
// A segment is verified before it is filed (size, page magic, system identifier, address against name), and an encoded
// one is decoded again and compared with its source before it replaces it. What fails goes to errors/, never to wals/,
// and is never deleted.
//
// Encoding runs on all cores; fsyncs are shared by a group of segments; memory does not grow with the queue.
package archive
