// Package report writes what commands say: messages while they work, and results when they are done.
//
// Two writers share one interface. The console writer prints lines as they come: information on standard output,
// "WARNING: …", "ERROR: …" and "EXCEPTION: …" on standard error. The JSON writer collects everything and prints one
// object at the end:
//
//	{"_INFO": ["Starting backup using …"], "main": {…}}
//
// A command builds a Result, a plain value that knows both its console layout and its JSON form. The exit code follows
// from what was said: any error makes it 1. Layouts, key names and texts are those of the Barman 3.17 manual; scripts
// parse them.
//
// A Writer may be used by several goroutines.
package report
