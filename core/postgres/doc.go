// Package postgres is this program's only way to talk to a PostgreSQL server (versions 10 to 18) over SQL and over the
// replication protocol: facts about the server, the low-level backup functions, WAL switches, and replication slots.
//
//	info, err := postgres.ParseConninfo("host=pg1 user=barman dbname=postgres")
//	conn, err := postgres.Connect(ctx, info, "barman")
//	defer conn.Close()
//	facts, err := conn.Facts(ctx, postgres.FactsOptions{})        // one round trip
//
//	backup, err := conn.StartBackup(ctx, "Barman backup main 20260107T095500", true)
//	defer backup.Abort()                                          // no effect after Stop
//	ctx, done := backup.Keepalive(ctx, time.Minute)               // ends when the session is lost
//	defer done()
//	… copy backup.Start().… while ctx lives …
//	stop, err := backup.Stop(ctx)                                 // label, tablespace map, end of backup
//
// Invariants:
//
//   - A Conn is one session and never reconnects. PostgreSQL ties a concurrent backup to the session that started it, so a
//     silent reconnect would turn a lost backup into an apparent success.
//   - Calls on one Conn may come from several goroutines; they are run one after another.
//   - No error, and no String method, of this package holds a password. Redact does the same for any text.
//   - When a context ends, the running statement is cancelled on the server, and the error wraps the context's cause.
//   - Nothing is remembered between calls: each Facts call asks the server again.
//
// What differs between PostgreSQL versions is in one table, see dialects in dialect.go.
package postgres
