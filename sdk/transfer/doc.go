// Package transfer is what an author of a transfer plugin implements, and the typed client of such a plugin.
//
// A transfer plugin moves the bulk of a backup, in one of two modes:
//
//	FileCopier    copies trees that core names, while core holds the PostgreSQL backup session (rsync, local-rsync);
//	              the same calls serve recovery and the passive node.
//	BackupTaker   takes a self-contained base backup by itself (pg_basebackup, a storage snapshot).
//
// Paths are absolute. A plugin creates what is missing below a destination that core chose and touches nothing else.
// When the context ends, every tool that the plugin started must be stopped before the call returns.
package transfer
