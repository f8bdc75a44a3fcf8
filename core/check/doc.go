// Package check examines a server and its configuration: every row of `barman check`, as data.
//
//	checker := &check.Checker{Server: "main", SQL: …, Transfer: …, Layout: layout, Catalog: catalog, Index: index, …}
//	report := checker.Run(ctx, 30*time.Second)
//	report.Failed()      // for the exit code of `barman check`
//	report.Blocking()    // what keeps `barman backup` from starting
//
// Labels, their order and their hints are those of the Barman manual, because monitoring systems match them; a failed row for
// which Barman has no hint gets one that says what was found, and what to do.
//
// # Probes
//
// What can hang asks in a goroutine of its own, all at the same time:
//
//	SQL ───────┬─▶ privileges, wal_level, archive_mode, slot …
//	primary ───┤
//	streaming ─┤   rows, in Barman's order, once every probe
//	transfer ──┤   has answered or run out of time
//	files ─────┤
//	catalog ───┘
//
// Invariants:
//
//   - A probe that does not answer in time fails its own row, and the row `check timeout`; it never hides the rows of others.
//   - Nothing is changed but missing directories, which are made. In particular no WAL is switched or archived here.
//   - No hint holds a password.
package check
