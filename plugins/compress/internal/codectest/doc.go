// Package codectest is the behaviour that every bundled compressor with a checksummed format shares, as one test suite:
// files go both ways between the plugin and the format's command line tool, and a damaged file is never decoded without
// an error. A compressor's test is one call:
//
//	codectest.Run(t, newCoder(), codectest.Tool{Name: "zstd", Decode: "-d -c", Encode: []string{"-c -3", "-c -19"}})
package codectest
