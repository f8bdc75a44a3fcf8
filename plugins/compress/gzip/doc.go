// Barman-compress-gzip is the compression plugin behind `compression = "gzip"`: gzip files (RFC 1952), one member each,
// that gzip, pigz and zcat read, and the other way round.
//
//	1f 8b 08 …deflate…  CRC-32  size        what an archived WAL file looks like
//
// Invariants: decoding reads members until the end of the file, so a file that is cut, followed by anything that is not
// another member, or empty is an error, never shorter output.
package main
