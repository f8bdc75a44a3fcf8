// Package matrix proves every way to take a backup on every version of PostgreSQL that is supported.
//
//	                                              13                    15       17       18
//	rsync over ssh                                ✓                     ✓        ✓        ✓
//	exclusive backup                              ✓                     n/a: …   n/a: …   n/a: …
//
// A row is something that the manual's chapter on backups promises (rows_…_test.go); a cell is that row on one version. On each version
// one server works under pgbench and a ledger of its commits, from the first row to the last. A trial takes one backup and restores it to
// a restore point a few commits later; the restored server has to have the rows of the ledger up to there, and accounts that add up.
//
// Invariants:
//
//   - A cell is ✓ only when a backup with what the row is about was taken, restored, started and compared.
//   - A cell is never left out in silence: PostgreSQL cannot do it ("n/a" and why), or the environment has excluded the version
//     ("not asked for"), or the test fails. A version that is not installed is a failure.
//   - Some trials prove several rows at once, because their options work together: see trials_test.go. With $BARMAN_TEST_MATRIX_EACH
//     every row has a trial of its own.
//
// # The truth
//
// TestTruth is about targets. A chronicle, kept outside of the database, has every transaction of one session with its id, its time, its
// place in the WAL and the rows after it, over two timelines:
//
//	timeline 1 ──backup──backup──┬── … the server is lost
//	                             └─ restored to here ── timeline 2 ── …
//
// Backups are recovered to random targets of every kind on both timelines, with WAL that is copied or fetched, here or on another host;
// then the rows have to be those of the chronicle. The seed is fixed, so that the gate always asks the same; what depends on the speed of
// the machine differs all the same. $BARMAN_TRUTH_TARGETS=60 asks for more, $BARMAN_TEST_SEED=random (or a number) for others.
//
// $BARMAN_TEST_MATRIX_VERSIONS="15,17" restricts a run to these versions. The programs of the other versions come from the cache that
// test/lab/versions.sh fills.
package matrix
