// Package backuphost is a machine that Barman is installed on, for end-to-end tests: freshly built binaries, a configuration, a
// barman_home, and the archive_command that sends WAL to it, all in one scratch directory.
//
//	host := backuphost.New(t)
//	primary := lab.StartCluster(t, lab.ClusterOptions{ArchiveCommand: host.ArchiveCommand("main")})
//	host.Configure(t, backuphost.Server("main", map[string]any{"conninfo": primary.Conninfo("", ""), …}))
//	host.Must(t, "backup", "--wait", "main")
//
// Invariants:
//
//   - barman runs as the user of the clusters, as it would on a real host that is reached with `su postgres`, never as root.
//   - Everything that archive_command has acknowledged is also kept in a directory of its own, beyond Barman's reach: the truth that
//     tests compare the archive with.
package backuphost
