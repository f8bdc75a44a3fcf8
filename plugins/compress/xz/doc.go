// Barman-compress-xz is the compression plugin behind `compression = "xz"`: xz files, one stream each, that xz and xzcat
// read, and the other way round.
//
//	fd '7' 'z' 'X' 'Z' 00 …blocks of LZMA2, each with its CRC-64… index  'Y' 'Z'        what an archived WAL file looks like
//
// The levels are xz's own in the one respect that a decoder notices, the size of the dictionary. The search is that of the
// lower levels: files have about the size of xz -1 … -3. The filters of xz for executable code are not read; no Barman
// writes them.
//
// Invariants: decoding reads streams, and the padding that the format allows, until the end of the file, so a file that is
// cut or followed by anything else is an error, never shorter output.
package main
