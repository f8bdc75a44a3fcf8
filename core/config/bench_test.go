package config

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkLoad reads a host with many servers, as every command does.
func BenchmarkLoad(b *testing.B) {
	text := fmt.Sprintf("barman {\n barman_home = %q\n compression = \"gzip\"\n}\n", b.TempDir())
	for n := range 40 {
		text += fmt.Sprintf("server \"s%02d\" {\n conninfo = \"host=pg%d user=barman\"\n backup_method = \"local-rsync\"\n archiver = true\n"+
			" backup_options = \"concurrent_backup\"\n retention_policy = \"REDUNDANCY 3\"\n}\n", n, n)
	}
	path := filepath.Join(b.TempDir(), "barman.hcl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, found := Load(LoadOptions{Path: path}); len(found) > 0 {
			b.Fatal(found)
		}
	}
}
