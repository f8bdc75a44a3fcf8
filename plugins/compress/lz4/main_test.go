package main

import (
	"testing"

	"github.com/barman-go/barman/plugins/compress/internal/codectest"
)

func TestFormat(t *testing.T) {
	codectest.Run(t, newCoder(), codectest.Tool{Name: "lz4", Options: []string{"-1", "-9", "-12", "-BD -B4", "--content-size"}})
}

func FuzzDecompress(f *testing.F) { codectest.Fuzz(f, newCoder()) }
