package matrix

import (
	"testing"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/test/e2e/backuphost"
)

// streamed is the method postgres.
func streamed(*scene) map[string]any {
	return map[string]any{"backup_method": "postgres"}
}

// postgresRows are what pg_basebackup does.
func postgresRows() []row {
	return []row{
		{name: "postgres, plain", options: streamed, taken: wantMode(catalog.ModePostgres)},
		{
			name: "bandwidth_limit, postgres", taken: notFasterThanAll(limit),
			options: func(*scene) map[string]any {
				return map[string]any{"backup_method": "postgres", "bandwidth_limit": limit}
			},
		},
		{name: "invalid options for a method are refused", alone: refusals},
	}
}

// notFasterThanAll is notFasterThan for a copy that tells one time for everything.
func notFasterThanAll(kBps int64) func(*testing.T, *trial) {
	return func(t *testing.T, tr *trial) {
		if least := float64(tr.info.Size.N) / float64(kBps*1024) / 2; tr.info.CopyStats.CopyTime < least {
			t.Errorf("%d bytes took %.2f s, at %d kB/s at least %.2f", tr.info.Size.N, tr.info.CopyStats.CopyTime, kBps, least)
		}
	}
}

// refusals tries options that a method or a version does not have: the server is disabled, with a reason, and no backup is made.
func refusals(t *testing.T, s *scene) {
	refused := []struct {
		options map[string]any
		words   []string
	}{
		{map[string]any{"backup_method": "postgres", "reuse_backup": "link"}, []string{"reuse_backup"}},
		{map[string]any{"backup_method": "postgres", "network_compression": true}, []string{"network_compression"}},
		{map[string]any{"backup_method": "postgres", "tablespace_bandwidth_limit": "hot:100"}, []string{"tablespace_bandwidth_limit"}},
		{map[string]any{"backup_method": "local-rsync", "backup_compression": "gzip"}, []string{"backup_compression"}},
		{map[string]any{"backup_method": "local-rsync", "ssh_command": "ssh there"}, []string{"ssh_command"}},
	}
	before := s.newest(t)
	for _, r := range refused {
		options, _, _ := s.merged(t, []row{{options: func(*scene) map[string]any { return r.options }}})
		s.host.Configure(t, backuphost.Server("main", options))
		s.host.Refused(t, 1, r.words, "backup", "main")
	}
	s.configure(t, nil)
	if after := s.newest(t); before.ID != after.ID {
		t.Errorf("backup %s was taken", after.ID)
	}
}
