// Barman-wal-restore is PostgreSQL's restore_command: it fetches one WAL file from `barman get-wal` on the backup host, and with
// --parallel the ones after it, in the background.
//
//	PostgreSQL ─▶ barman-wal-restore ─▶ spool hit? ──yes──▶ WAL_DEST ─▶ 0
//	                                     │no: ssh barman get-wal ─▶ verify ─▶ WAL_DEST ─▶ 0
//	                                     └─ starts, if none runs:
//	              prefetcher ─▶ ssh barman get-wal --tar ─▶ verify ─▶ spool          one connection for all of a recovery
//
// The spool holds at most --parallel files, for one server and one data directory:
//
//	/var/tmp/walrestore/backup_main-5f0c21d7b3a4/      0700, ours
//	    0000000100000000000000A3.7c9d14e2              a segment and the CRC-32C of its content
//	    .0000000100000000000000A4.4711-9f3a01c2.tmp    being fetched
//	    wanted                                         the segment that PostgreSQL got last
//	    fetching                                       what the prefetcher is about to put here
//	    lock                                           flock of the one prefetcher
//	    end, problem                                   why none is started for a while: the archive has no more, or it failed
//
// Invariants:
//
//   - WAL_DEST is a whole, verified file or does not exist: the content comes to a temporary file beside it and is renamed. A
//     segment's size, page magic and address fit its name.
//   - What comes from the spool is verified again. It is never of another server, never older than an hour, and each file is
//     handed out once.
//   - Nothing waits for the prefetcher but a request for the very file that it is fetching, and that only for a while. A spool
//     that cannot be used, or a prefetcher that fails, costs speed, never a file.
//   - The prefetcher ends by itself when the archive has no more, when PostgreSQL asks for nothing for half a minute, or when
//     it is killed, at any moment, without harm.
package main
