// Barman-compress-snappy is the compression plugin behind `compression = "snappy"`: Snappy in its framing format, that
// python-snappy and snzip read, and the other way round. The format has no levels.
//
//	ff 06 00 00 "sNaPpY" …chunks of at most 64 KiB, each with its CRC-32C…        what Snappy's tools write
//	ff 06 00 00 "sNaPpY" [begin] …chunks… [end]                                   what an archived WAL file looks like
//
// The format has no end: a file that was cut between two chunks looks whole. So our files say at their begin that they will
// say that they end, in chunks of a kind that every decoder skips. A file without these marks comes from somebody else and
// is read like any other decoder reads it.
//
// Invariants: decoding reads streams until the end of the file. A file of ours that was cut anywhere, and any file that is
// followed by anything that is not another stream or chunk, is an error, never shorter output.
package main
