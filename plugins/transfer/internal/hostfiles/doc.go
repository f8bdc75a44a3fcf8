// Package hostfiles reads, changes and looks at a few small files, on this host or on another one reached through a remote
// command such as `ssh postgres@pg1`.
//
// A batch is one login. What runs on the other host is always `/bin/sh -s`, so the user's login shell has nothing to
// parse; the program arrives on its standard input: fixed POSIX functions, then one call per item with its data in
// single quotes. The program is one compound command, so a connection that breaks half-way executes nothing at all.
//
//	{ begin; write_file 0 '/pg/recovery.signal' 0600 0 ''; make_link 1 '/pg/pg_tblspc/16400' '/ts/hot'; end; } </dev/null
//
// Answers follow a line with a random word, so that what a login script prints is not taken for one.
//
// Changes are durable one by one: a new file is synced before it gets its name, and then its directory is synced.
package hostfiles
