package archive_test

import (
	"bytes"
	"compress/gzip"
	"testing"
)

// gzipped is what a client sends that compresses.
func gzipped(t testing.TB, plain []byte, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, level)
	check(t, err)
	_, err = z.Write(plain)
	check(t, err)
	check(t, z.Close())
	return b.Bytes()
}
