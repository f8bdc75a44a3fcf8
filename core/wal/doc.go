// Package wal knows what PostgreSQL's write-ahead log files are called, where each lies in the log, which timeline a
// recovery reads them from, and what the first page of one says about where it comes from.
//
// The package is pure: it reads no files and no clock. What it parses arrives as strings, bytes or an io.Reader.
//
// # Addresses and names
//
// The log is one line of bytes, addressed by an [LSN] of 64 bits. PostgreSQL cuts it into segments of equal size (a
// power of two from 1 MiB to 1 GiB, chosen by initdb) and calls a file after its timeline and its place:
//
//	LSN 16/B374D848, timeline 3, 16 MiB segments
//
//	00000003 00000016 000000B3
//	timeline log      segment in the log
//	(TLI)    LSN>>32  (LSN mod 2^32) / segment size
//
// With 16 MiB segments a log has 256 of them (00…FF), with 1 MiB 4096, with 1 GiB four. The name alone does not tell
// the size, so arithmetic on a [Segment] takes a [SegmentSize]. Versions before 9.3, which skipped the last segment
// of each log, are not supported.
//
// Files beside the segments carry the same prefix:
//
//	000000010000000000000002                     segment
//	000000010000000000000002.partial             segment that was not filled when its timeline ended
//	000000010000000000000002.00000028.backup     label of a base backup that began at offset 0x28 of it
//	00000002.history                             ancestors of timeline 2
//
// # Timelines
//
// A history file lists where each ancestor was left. Following timeline 3 from a backup taken on timeline 1:
//
//	timeline 1  ──────────┐ 0/5000000
//	timeline 2            └────────┐ 0/7A00000
//	timeline 3                     └──────────▶
//
//	Path: {1, start…0/5000000} {2, 0/5000000…0/7A00000} {3, 0/7A00000…}
//
// A segment in which a timeline begins exists on both timelines; PostgreSQL copies what came before the switch, and
// prefers the newer file. [Path.SegmentAt] does the same.
package wal
