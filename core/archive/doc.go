// Package archive takes WAL files in, files them, and hands them out again.
//
//	put-wal      tar on stdin ─▶ incoming/            Putter
//	archive-wal  incoming/, streaming/ ─▶ wals/       Archiver
//	get-wal      wals/ | incoming/ | streaming/ ─▶    Getter
//	             what is in a file, and its plain form Codecs
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
// and is never deleted. What cannot be judged, because it cannot be read or nothing can decode it, stays where it is and
// holds up nothing.
//
// # How archive-wal works
//
//	select ─▶ prepare (on all cores, in a window) ─▶ file (one goroutine, in name order)
//	          verify ▸ encode ▸ read back              fsync ▸ rename ▸ index ▸ remove source
//
// Files that are prepared when the filing of others ends are filed together and share their fsyncs, so that groups are
// as large as the disk is slow. The window bounds memory and temporary space, however long the queue is.
//
// With hooks there is no window: pre hooks, filing and post hooks of one file come before those of the next.
package archive
