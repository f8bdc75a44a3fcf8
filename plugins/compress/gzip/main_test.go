package main

import (
	"testing"

	"github.com/barman-go/barman/plugins/compress/internal/codectest"
)

func TestFormat(t *testing.T) {
	codectest.Run(t, newCoder(), codectest.Tool{Name: "gzip", Options: []string{"-1", "-6", "-9"}})
}

func FuzzDecompress(f *testing.F) { codectest.Fuzz(f, newCoder()) }
