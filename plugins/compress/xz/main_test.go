package main

import (
	"testing"

	"github.com/barman-go/barman/plugins/compress/internal/codectest"
)

func TestFormat(t *testing.T) {
	codectest.Run(t, coder{}, codectest.Tool{Name: "xz", Decode: "-d -c", Encode: []string{"-c -1", "-c -3", "-c --check=sha256 -1", "-c -T2 --block-size=1MiB -1"}})
}

func FuzzDecompress(f *testing.F) { codectest.Fuzz(f, coder{}) }
