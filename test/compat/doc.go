// Package compat shares catalogs with Python Barman: the same barman_home, the same locks, turn by turn and side by side.
//
//	alternate_test.go   a catalog that is written here, restored and continued there, and taken back; and the other way round
//	together_test.go    both at work on one server at the same time: locks exclude each other, the WAL index keeps every line
//	output_test.go      what both print about one catalog, in text and in JSON, is the same
//	retention_test.go   both retain the same backups of two hundred catalogs
//	receivers_test.go   receive-wal of both on one streaming directory, in turn
//
// The Python Barmans (3.13 of Debian 13, and 3.20, which is newer than the version that this program follows) and the other PostgreSQL
// versions come from the cache that test/lab/versions.sh fills; without it these tests skip.
//
// Invariants of the stories:
//
//   - Both programs run as the user of the clusters and read configurations that say the same, one in HCL and one in INI.
//   - Rows decide whether a restore is right: a server is started on what was restored, and compared with the ledger of its commits.
//   - Output is compared whole. What may differ is named, with the reason, in output_test.go.
package compat
