package matrix

import (
	"strings"
	"testing"

	"github.com/barman-go/barman/core/catalog"
)

// modeRows are the ways to keep PostgreSQL in backup mode.
func modeRows() []row {
	return []row{
		{name: "concurrent backup", options: option("backup_options", "concurrent_backup"), taken: concurrent},
		{
			name: "exclusive backup", cannot: until(14, "gone with 15"), options: option("backup_options", "exclusive_backup"),
			taken: wantMode(catalog.ModeRsyncExclusive),
		},
		{
			name: "exclusive backup refused", cannot: since(15, "it can take them"),
			alone: func(t *testing.T, s *scene) {
				s.configure(t, []row{{options: option("backup_options", "exclusive_backup")}})
				s.host.Refused(t, 1, []string{"xclusive"}, "backup", "main")
				s.configure(t, nil)
			},
		},
	}
}

// concurrent wants the label that PostgreSQL returned to the session, and none in PGDATA.
func concurrent(t *testing.T, tr *trial) {
	if tr.info.Mode != catalog.ModeRsyncConcurrent || !strings.Contains(tr.info.BackupLabel, "LABEL: Barman backup main "+tr.info.ID) {
		t.Errorf("mode %s, label\n%s", tr.info.Mode, tr.info.BackupLabel)
	}
}
