// Package lab gives tests and demonstrations real things to work with: scratch PostgreSQL clusters of any installed version,
// standbys, pgbench load, a ledger of acknowledged commits, an sshd, and freshly built barman binaries.
//
//	func TestRecoverToTime(t *testing.T) {
//		primary := lab.StartCluster(t, lab.ClusterOptions{Settings: map[string]string{"archive_timeout": "5"}})
//		ledger := primary.StartLedger(t, lab.LedgerOptions{Writers: 2})
//		…                                                    // back up, archive
//		ledger.Stop()
//		want := ledger.AtTime(target)
//		restored := lab.OpenCluster(t, "/path/of/restored/data", lab.ClusterOptions{})
//		if err := want.Compare(restored.LedgerRows(t)); err != nil { t.Fatal(err) }
//	}
//
// Names that take a testing.TB end the test on failure and clean up after it; the New… functions beside them take a context
// and return errors, for programs that are not tests.
//
// Invariants:
//
//   - PostgreSQL refuses to run as root. As root everything of PostgreSQL runs as the system user postgres (see User), and
//     scratch directories can be entered and are owned by that user. Otherwise everything runs as the current user.
//   - Nothing outlives the test process, even when it is killed: servers die with their parent, and scratch directories are
//     removed by a helper process that notices the end of this one.
//   - Nothing is shared between clusters; ports are free loopback ports, and socket directories are short.
//   - Nothing needs a network. What is not installed skips the test with a message that says how to get it.
package lab
