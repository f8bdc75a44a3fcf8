// Package fsx changes files so that a crash at any moment leaves the old state, the new state, or a temporary file
// that the next run recognises and removes.
//
// The order for everything that must last:
//
//	write temp ─▶ fsync temp ─▶ rename ─▶ fsync directory ─▶ (record it elsewhere, fsync) ─▶ remove source ─▶ fsync its directory
//
//	WriteFile   small files, all steps                 Publish   a temporary file that somebody else wrote
//	Batch       many files that share their fsyncs     SyncTree  a whole directory tree after a copy
//	Move        a file to another directory            Remove    the last step
//
// Two rules hold everywhere. An error of fsync is final: the kernel may have dropped the dirty pages, so a second
// fsync that succeeds proves nothing, and nothing here tries one. And a full disk is told apart from other errors: it
// is a *NoSpaceError that names the place.
//
// Temporary files lie in the directory of their destination, because only there is rename atomic, and are called
//
//	.000000010000000000000002.4711-9f3a01c2.tmp
//	 final name               pid  random
//
// The leading dot hides them from Python Barman's listing of incoming/ (a glob of *), the suffix from its scan of
// wals/, and the process id lets Sweep see that nobody is writing them any more.
//
// Everything is for Linux. Functions may be called from several goroutines at the same time unless they say
// otherwise.
package fsx
