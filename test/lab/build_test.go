package lab

import (
	"path/filepath"
	"testing"
)

func TestBuildHasTheInstalledLayoutAndRunsAsPostgres(t *testing.T) {
	b := BuildBinaries(t)
	owner, err := PostgresUser()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := mustRun(b.Command(t.Context(), owner, ScratchDir(t), "barman", "--version")); err != nil || out == "" {
		t.Errorf("barman --version: %q, %v", out, err)
	}
	if b.Plugins != filepath.Join(b.Bin, "plugins") {
		t.Errorf("plugins in %s, not beside the commands", b.Plugins)
	}
	if BuildBinaries(t) != b {
		t.Error("built twice in one process")
	}
}
