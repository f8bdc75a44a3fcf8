// Package record finds out from the content of WAL segments when transactions ended, where restore points are and
// where the valid WAL stops. A recovery plan uses it to tell whether a target can be reached.
//
// A segment is a row of pages; a record begins anywhere on one (aligned to 8 bytes), and goes on after the header of
// the next page, and in the next segment if need be:
//
//	page header │ …rest of a record │ COMMIT 10:00:00.1 │ HEAP… │ half of a reco▐ page header │ rd │ ABORT 10:00:00.2 │ 0000…
//
// A Reader is given segments one after the other. It checks the CRC of every record, as PostgreSQL does before it
// replays one.
//
// The package is pure: it reads no files and no clock. It knows the format of PostgreSQL 10 to 18 on 64-bit machines
// of either byte order (src/include/access/xlogrecord.h, xlog_internal.h, xact.h).
package record
