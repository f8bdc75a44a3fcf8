//go:build man

package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
)

// TestEveryNameHasAManualPage: a command is found by its other names, too.
func TestEveryNameHasAManualPage(t *testing.T) {
	dir := t.TempDir()
	var stderr bytes.Buffer
	if code := run(context.Background(), []string{"man", dir}, nil, &bytes.Buffer{}, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	for _, c := range newRootCommand(&app{}).Commands() {
		if !c.IsAvailableCommand() {
			continue
		}
		for _, name := range append([]string{c.Name()}, c.Aliases...) {
			if _, err := os.Stat(filepath.Join(dir, "barman-"+name+".1")); err != nil {
				t.Error(err)
			}
		}
	}
	got, err := os.ReadFile(filepath.Join(dir, "barman-restore.1"))
	if want := ".so man1/barman-recover.1\n"; err != nil || string(got) != want {
		t.Errorf("barman-restore.1 is %q (%v), want %q", got, err, want)
	}
}
