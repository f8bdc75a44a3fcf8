// Barman-compress-bzip2 is the compression plugin behind `compression = "bzip2"`: bzip2 files, one stream each, that bzip2
// and bzcat read, and the other way round. It is also `pybzip2`, by a link to it (the file aliases); the WAL index records
// the name that is configured.
//
//	'B' 'Z' 'h' '1'…'9' …blocks, each with its CRC-32… CRC-32        what an archived WAL file looks like
//
// The level is bzip2's: the size of a block in 100 kB. Files are a little larger than those of the program bzip2, because
// the encoder searches less for the best code tables. The decoder is the Go project's own.
//
// Invariants: decoding reads streams until the end of the file, so a file that is cut, or followed by anything that is
// not another stream, is an error, never shorter output.
package main
