package passive

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/sdk/transfer"
)

// TestTablespaceWithALimitIsCopiedApart: it is left out of the whole, and shares files with the same tablespace of the backup before.
func TestTablespaceWithALimitIsCopiedApart(t *testing.T) {
	layout := catalog.DefaultLayout(t.TempDir(), "main")
	s := &BackupSync{
		Catalog: &catalog.Catalog{Layout: layout}, Reuse: "link", TablespaceLimits: map[string]int{"hot": 4000, "none": 1},
	}
	before, b := backup("20260110T100000", catalog.StatusDone), backup("20260111T100000", catalog.StatusSyncing)
	before.Mode, b.Mode = catalog.ModeRsyncConcurrent, catalog.ModeRsyncConcurrent
	b.Tablespaces = []catalog.Tablespace{{Name: "hot", OID: 16400}, {Name: "cold", OID: 16401}}
	dir := layout.BackupPath(b.ID)
	links := []string{"/backup.info", "/.backup.lock", "/data/pg_tblspc/16400", "/data/pg_tblspc/16401"}
	whole := transfer.Item{
		Label: b.ID, Kind: transfer.Directory, Source: "/there", Destination: dir, DeleteExtra: true, Reuse: transfer.ReuseLink,
		ReuseDirectory: layout.BackupPath(before.ID), ExcludeAndProtect: append(links[:4:4], "/16400"),
	}
	hot := transfer.Item{
		Label: "hot", Kind: transfer.Directory, Source: "/there/16400", Destination: dir + "/16400", DeleteExtra: true, Reuse: transfer.ReuseLink,
		ReuseDirectory: whole.ReuseDirectory + "/16400", BandwidthLimit: 4000,
	}
	ignore := cmpopts.IgnoreFields(transfer.Item{}, "SafeHorizon")
	got := s.items(b, catalog.NewBackups("main", before, b), "/there", dir)
	if diff := cmp.Diff([]transfer.Item{whole, hot}, got, ignore); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// The archives of tablespaces lie in one directory.
	b.Compression, b.Mode = "gzip", catalog.ModePostgres
	whole.Reuse, whole.ReuseDirectory, whole.ExcludeAndProtect = transfer.ReuseOff, "", links
	if diff := cmp.Diff([]transfer.Item{whole}, s.items(b, catalog.NewBackups("main", before, b), "/there", dir), ignore); diff != "" {
		t.Errorf("archives (-want +got):\n%s", diff)
	}
}
