// Package toolexec runs external tools (rsync, ssh, pg_basebackup, compression filters) so that nothing is left behind.
//
// Every tool runs in its own process group and dies with its parent; when the context ends the whole group gets SIGTERM
// and, after a grace period, SIGKILL, before the call returns. Tools are looked up in the path prefix and then in PATH,
// never through a shell, and their messages are in English (LC_ALL=C) because output is parsed. A failure reports the
// program, how it ended and the last lines of its standard error; arguments that hold secrets are not among them.
package toolexec
