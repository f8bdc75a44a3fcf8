package main

import (
	"testing"

	"github.com/barman-go/barman/plugins/compress/internal/codectest"
)

func TestFormat(t *testing.T) {
	codectest.Run(t, new(coder), codectest.Tool{Name: "bzip2", Decode: "-d -c", Encode: []string{"-c -1", "-c -5", "-c -9"}})
}

func FuzzDecompress(f *testing.F) { codectest.Fuzz(f, new(coder)) }
