package matrix

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/barman-go/barman/test/e2e/backuphost"
)

// refusalRows are backups that are not taken, and why.
func refusalRows() []row {
	return []row{
		{name: "invalid options for a method are refused", alone: refusals},
		{name: "compression that came with 15 is refused", cannot: until(14, "it can do it"), alone: newCompressionRefused},
		{name: "--incremental is refused where it cannot work", alone: incrementalRefused},
		{name: "a disk that is too small: refused", alone: tooSmall},
	}
}

// refusals tries options that a method or a version does not have: the server is disabled, with a reason, and no backup is made.
func refusals(t *testing.T, s *scene) {
	s.refused(t, []refusal{
		{map[string]any{"backup_method": "postgres", "reuse_backup": "link"}, []string{"reuse_backup"}},
		{map[string]any{"backup_method": "postgres", "network_compression": true}, []string{"network_compression"}},
		{map[string]any{"backup_method": "postgres", "tablespace_bandwidth_limit": "hot:100"}, []string{"tablespace_bandwidth_limit"}},
		{map[string]any{"backup_method": "local-rsync", "backup_compression": "gzip"}, []string{"backup_compression"}},
		{map[string]any{"backup_method": "local-rsync", "ssh_command": "ssh there"}, []string{"ssh_command"}},
	})
}

// newCompressionRefused asks an old version for what pg_basebackup has learnt since.
func newCompressionRefused(t *testing.T, s *scene) {
	var tried []refusal
	for _, more := range []map[string]any{
		{"backup_compression": "lz4"}, {"backup_compression": "zstd"}, {"backup_compression": "gzip", "backup_compression_location": "server"},
	} {
		tried = append(tried, refusal{compressed(more["backup_compression"].(string), more)(s), []string{"backup_compression", "15"}})
	}
	s.refused(t, tried)
}

// incrementalRefused asks for an incremental backup of blocks: of an old server, by a method that has none, of one that keeps no
// summaries of its WAL, and on a backup that was taken before it did.
func incrementalRefused(t *testing.T, s *scene) {
	refused := func(words ...string) {
		t.Helper()
		s.host.Refused(t, 1, append([]string{"failed to start backup: "}, words...), "backup", "--incremental", "latest", "main")
	}
	summarize := func(on string) {
		t.Helper()
		if err := s.primary.Set(t.Context(), map[string]string{"summarize_wal": on}); err != nil {
			t.Fatal(err)
		}
	}
	defer s.configure(t, nil)
	s.configure(t, []row{{options: streamed}})
	if s.major < 17 {
		refused("Postgres version 17 or greater is required")
		return
	}
	summarize("off")
	refused("'summarize_wal' option has to be enabled")
	s.host.Must(t, "backup", "main")
	summarize("on")
	refused("is not eligible as a parent", "WAL summaries were not enabled when that backup was taken")
	s.configure(t, nil)
	refused("available only for 'backup_method = postgres'")
}

// tooSmall lets the cluster grow beyond every disk, by a file without content.
func tooSmall(t *testing.T, s *scene) {
	s.configure(t, []row{{options: option("reuse_backup", "off")}})
	dir := filepath.Join(s.primary.Data, "base", "pgsql_tmp")
	s.host.MakeDir(t, dir)
	air := filepath.Join(dir, "pgsql_tmp1.1")
	s.host.WriteFile(t, air, "", 0o600)
	if err := os.Truncate(air, 8<<40); err != nil {
		t.Fatal(err)
	}
	s.host.Refused(t, 1, []string{"not enough space", "free space"}, "backup", "main")
	if err := os.Remove(air); err != nil {
		t.Fatal(err)
	}
	if err := s.outOfBackup(t.Context(), s.primary); err != nil {
		t.Error(err)
	}
	s.configure(t, nil)
}

// refusal are options with which no backup is taken, and words of the reason.
type refusal struct {
	options map[string]any
	words   []string
}

// refused tries them, and wants no new backup.
func (s *scene) refused(t *testing.T, tried []refusal) {
	t.Helper()
	before := s.newest(t)
	for _, r := range tried {
		options, _, _ := s.merged(t, []row{{options: func(*scene) map[string]any { return r.options }}})
		s.host.Configure(t, backuphost.Server("main", options))
		s.host.Refused(t, 1, r.words, "backup", "main")
	}
	s.configure(t, nil)
	if after := s.newest(t); before.ID != after.ID {
		t.Errorf("backup %s was taken", after.ID)
	}
}
