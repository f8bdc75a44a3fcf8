// Barman-compress-lz4 is the compression plugin behind `compression = "lz4"`: LZ4 frames with a content checksum, one
// frame a file, that lz4 reads, and the other way round.
//
//	04 22 4d 18 …blocks… 00000000 xxh32        what an archived WAL file looks like
//
// Invariants: decoding reads frames until the end of the file, so a file that is cut, followed by anything that is not
// another frame, or empty is an error, never shorter output. One file uses one core; Barman archives several at a time.
package main
