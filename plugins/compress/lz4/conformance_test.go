package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/barman-go/barman/sdk/plugintest"
)

func TestConformance(t *testing.T) {
	binary := filepath.Join(t.TempDir(), definition().Executable())
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	plugintest.Run(t, binary)
}
