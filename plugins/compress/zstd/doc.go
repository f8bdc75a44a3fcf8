// Barman-compress-zstd is the compression plugin behind `compression = "zstd"`: Zstandard frames (RFC 8878) with a content
// checksum, one frame a file, that zstd reads, and the other way round.
//
//	28 b5 2f fd …blocks… xxh64        what an archived WAL file looks like
//
// Invariants: decoding reads frames until the end of the file, so a file that is cut, followed by anything that is not
// another frame, or empty is an error, never shorter output. One file uses one core; Barman archives several at a time.
package main
