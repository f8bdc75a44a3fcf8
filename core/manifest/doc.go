// Package manifest writes and checks backup manifests: lists of the files of a backup with their sizes and checksums.
//
// The format is PostgreSQL's (manual, chapter "Backup Manifest Format"), so that pg_verifybackup reads what is written here;
// the bytes are those of Barman's generate-manifest. PostgreSQL's own manifests, which pg_basebackup writes, are read too:
//
//	{"PostgreSQL-Backup-Manifest-Version": 1,
//	"Files": [
//	{"Checksum": "5f70…", "Checksum-Algorithm": "SHA256", "Last-Modified": "2026-01-07 09:55:00", "Path": "PG_VERSION", "Size": 3},
//	…],
//	"Manifest-Checksum": "9f86…"}
//
// A manifest lies in the data directory that it is about, and lists paths below it. The files of tablespaces, which a copy file
// by file keeps beside the data directory, would be missing files to pg_verifybackup. They stand in a manifest of their own, as
// pg_tblspc/OID/…, beside the data directory:
//
//	base/ID/data/backup_manifest          base/ID/data/…
//	base/ID/backup_manifest.tablespaces   base/ID/16385/…  as pg_tblspc/16385/…
//
// Invariants:
//
//   - A manifest appears complete and durable, or not at all, and never replaces another one.
//   - Nothing of a manifest is believed before the checksum over it was found right, and no path in it leads out of the backup.
//   - What a manifest lists is verified whole: existence, kind, size, content. What it does not list is reported, except for
//     what PostgreSQL itself leaves out.
//   - Files are read once, several at a time, in pieces: memory grows by 16 bytes for each file listed, and not with their size.
package manifest
