// Package toolexec runs external tools (rsync, ssh, pg_basebackup, compression filters) so that nothing is left behind.
//
// Every tool leads its own process group, has no terminal, and dies with its parent; it leads a session of its own, too,
// except in a plugin, whose session is ended by the host should the plugin die. When the context ends the whole group
// gets SIGTERM and, after a grace period, SIGKILL, before the call returns. Tools are looked up in the path prefix and
// then in PATH, never through a shell, and their messages are in English (LC_ALL=C) because output is parsed. A failure
// reports the program, how it ended and the last lines of its standard error; arguments that hold secrets are not among
// them.
//
//	Run ──▶ tool (leader, PDEATHSIG=SIGKILL) ──▶ ssh, forked receivers, …     one group
//	 │        ▲ leader exits, or context ends: SIGTERM to the group
//	 └────────┴ grace over: SIGKILL to the group; then the leader is reaped and the group is empty
//
// Having no terminal, a tool cannot stop and wait for a password that nobody will type: ssh fails at once instead.
//
//	var list bytes.Buffer
//	_, err := toolexec.Run(ctx, toolexec.Command{
//		Name: "rsync", Args: []string{"--list-only", "/srv/pg/"}, PathPrefix: env.PathPrefix, Stdout: &list,
//	})
package toolexec
