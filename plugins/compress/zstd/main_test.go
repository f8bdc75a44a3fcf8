package main

import (
	"testing"

	"github.com/barman-go/barman/plugins/compress/internal/codectest"
)

func TestFormat(t *testing.T) {
	codectest.Run(t, newCoder(), codectest.Tool{Name: "zstd", Options: []string{"-1", "-3", "-19", "--ultra --long=27 -3", "--no-check"}})
}

func FuzzDecompress(f *testing.F) { codectest.Fuzz(f, newCoder()) }
