// Command barman backs up many PostgreSQL servers from one host, archives their WAL, keeps a catalog with retention, and
// restores any server to any point in time.
//
// This package holds arguments, exit codes, signals and rendering; every decision about data is made in core. There is
// one file per command group:
//
//	main.go      start-up and the root command     app.go       what commands share: configuration, plugins, servers
//	args.go      option prefixes                   each.go      the bodies that many commands share
//	server.go    the parts of core for a server    servers.go   list-servers; show…, status, check have files of their own
//	backup.go    backup                            catalog.go   list-backups, show-backup, list-files, delete, keep …
//	recover.go   recover                           wal.go       archive-wal, put-wal, get-wal, switch-wal …
//	cron.go      cron                              plugin.go    plugin list, info, verify
//	config.go    config validate, show, import     hooks.go     what hooks are told
//	manifest.go  verify-backup, generate-manifest
package main
