// Package receive is the WAL receiver: a client of the streaming replication protocol that writes WAL into a server's streaming
// directory as PostgreSQL produces it, and tells PostgreSQL how far it is.
//
//	PostgreSQL ── WAL ──▶ buffer ─▶ 000000010000000000000007.partial ─ full ─▶ 000000010000000000000007 ─▶ archive-wal
//	     ▲                              pwritev   fdatasync             fdatasync, rename, fsync of the directory
//	     └──────── written, flushed ◀─────┴─────────┘
//
//	streaming/
//	    000000010000000000000006            complete, waits for archive-wal
//	    000000010000000000000007.partial    being received; as long as a segment from its first byte on, zeros behind the WAL
//	    00000002.history                    written before any WAL of its timeline
//	    .receive-wal.json                   the heartbeat: who receives, since when, how far
//
// # Invariants
//
// A position is reported as flushed only after the fdatasync of everything before it has succeeded, in a file whose name is
// durable. So a commit that waits for this client (synchronous_standby_names) is on this host when it is acknowledged, and a
// replication slot never lets the server remove WAL that a crash of this host could still take away.
//
// After an error of a write or an fdatasync nothing is reported any more, and Run ends. The next run asks for the segment again
// from its first byte, and writes it anew.
//
// Nothing is written before the first page of its segment has been examined: the system identifier, the version, the address
// and the size have to be those of the server that was connected to; and that has to be the cluster of the catalog.
//
// The files are those of pg_receivewal: either may continue in a directory that the other has left.
//
// # When the data is made durable
//
// When nothing more waits to be read: at once if commits wait for this client, and at a pace that takes at most a tenth of the
// disk's time otherwise. While data keeps coming, at the end of each segment. See docs/adr/008.
package receive
