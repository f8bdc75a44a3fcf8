package main

import (
	"testing"

	"github.com/barman-go/barman/plugins/compress/internal/codectest"
)

func TestFormat(t *testing.T) {
	codectest.Run(t, newCoder(), codectest.Tool{Name: "zstd", Decode: "-d -c", Encode: []string{"-c -1", "-c -3", "-c -19", "-c --ultra --long=27 -3", "-c --no-check"}})
}

func FuzzDecompress(f *testing.F) { codectest.Fuzz(f, newCoder()) }
