// Barman-compress-custom is the compression plugin behind `compression = "custom"`: any pair of shell filters, such as
//
//	compression_filter   = "xz -c"
//	decompression_filter = "xz -dc"
//	magic                = "0xfd377a585a00"
//
// A filter reads its standard input and writes its standard output; it is run by /bin/sh and so may be a pipeline. Its
// text comes from the configuration file and nothing is ever added to it, neither a file name nor anything else.
//
// Invariant: a filter that does not end with 0 is an error, with what it printed on standard error.
package main
