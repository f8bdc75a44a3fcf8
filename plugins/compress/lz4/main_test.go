package main

import (
	"testing"

	"github.com/barman-go/barman/plugins/compress/internal/codectest"
)

func TestFormat(t *testing.T) {
	codectest.Run(t, newCoder(), codectest.Tool{Name: "lz4", Decode: "-d -c", Encode: []string{"-c -1", "-c -9", "-c -12", "-c -BD -B4", "-c --content-size"}})
}

func FuzzDecompress(f *testing.F) { codectest.Fuzz(f, newCoder()) }
