// Barman-compress-gzip is the compression plugin behind `compression = "gzip"`: gzip files (RFC 1952), one member each,
// that gzip, pigz and zcat read, and the other way round.
//
//	1f 8b 08 …deflate…  CRC-32  size        what an archived WAL file looks like
//
// It is also `pigz` and `pygzip`, by links to it (the file aliases). In Python Barman these three are a Python module, the
// program pigz, and a module again; they differ in speed and write the same format. Here they are one encoder, several
// times as fast as zlib, that needs no program: who chose pigz chose it because compression was serial, and Barman
// encodes as many segments at a time as there are cores. The WAL index records the name that is configured.
//
// Invariants: decoding reads members until the end of the file, so a file that is cut, or followed by anything that is
// not another member, is an error, never shorter output.
package main
