package main

import (
	"testing"

	"github.com/barman-go/barman/plugins/compress/internal/codectest"
)

func TestFormat(t *testing.T) {
	codectest.Run(t, newCoder(), codectest.Tool{Name: "gzip", Decode: "-d -c", Encode: []string{"-c -1", "-c -6", "-c -9"}})
}

func FuzzDecompress(f *testing.F) { codectest.Fuzz(f, newCoder()) }
