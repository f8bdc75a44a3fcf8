package passive

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/wal"
)

func backup(id string, status catalog.Status, change ...func(*catalog.BackupInfo)) *catalog.BackupInfo {
	b := catalog.NewBackupInfo(id, "main", catalog.ModeRsyncConcurrent)
	b.Status, b.SystemID = status, "7000"
	b.BeginWAL, b.EndWAL = wal.Segment{Timeline: 1, Seg: 2}, wal.Segment{Timeline: 1, Seg: 3}
	for _, f := range change {
		f(b)
	}
	return b
}

// TestWhatIsDoneAboutABackup has every status here against a backup that the primary has, has not, and has under the same id with other
// content.
func TestWhatIsDoneAboutABackup(t *testing.T) {
	const id = "20260110T100000"
	there := backup(id, catalog.StatusDone)
	other := backup(id, catalog.StatusDone, func(b *catalog.BackupInfo) { b.SystemID = "8000" })
	for _, test := range []struct {
		here                     catalog.Status
		gone, same, changed, old Action
	}{
		{"", Absent, Copy, Copy, Obsolete},
		{catalog.StatusEmpty, LocalOnly, Conflict, Conflict, Conflict},
		{catalog.StatusStarted, LocalOnly, Conflict, Conflict, Conflict},
		{catalog.StatusSyncing, Purge, Copy, Copy, Obsolete},
		{catalog.StatusFailed, Purge, Copy, Copy, Obsolete},
		{catalog.StatusWaitingForWALs, LocalOnly, Synced, Conflict, Synced},
		{catalog.StatusDone, LocalOnly, Synced, Conflict, Synced},
	} {
		var here *catalog.BackupInfo
		if test.here != "" {
			here = backup(id, test.here)
		}
		got := []Action{Decide(nil, here, false), Decide(there, here, false), Decide(other, here, false), Decide(there, here, true)}
		if diff := cmp.Diff([]Action{test.gone, test.same, test.changed, test.old}, got); diff != "" {
			t.Errorf("status %q here (-want +got):\n%s", test.here, diff)
		}
	}
}

func TestWhichBackupsAreCopiedNow(t *testing.T) {
	id := func(n int) string { return fmt.Sprintf("202601%02dT100000", n) }
	shared := func(b *catalog.BackupInfo) { b.Size, b.DeduplicatedSize = catalog.Int(100), catalog.Int(10) }
	incremental := func(b *catalog.BackupInfo) { b.Mode, b.ParentID = catalog.ModePostgres, id(4) }
	doc := &Document{Backups: []RemoteBackup{
		{ID: id(1), Info: backup(id(1), catalog.StatusDone)},
		{ID: id(2), Info: backup(id(2), catalog.StatusDone, shared)},
		{ID: id(3), Info: backup(id(3), catalog.StatusDone)},
		{ID: id(4), Info: backup(id(4), catalog.StatusDone)},
		{ID: id(5), Info: backup(id(5), catalog.StatusDone, incremental)},
		{ID: id(6), Err: fmt.Errorf("damaged")},
	}}
	for _, test := range []struct {
		name         string
		here         []*catalog.BackupInfo
		obsolete     string
		now, waiting []string
	}{
		{name: "nothing is here", now: []string{id(1), id(3), id(4)}, waiting: []string{id(2), id(5)}},
		{name: "the first is here", here: []*catalog.BackupInfo{backup(id(1), catalog.StatusDone)}, now: []string{id(2), id(3), id(4)}, waiting: []string{id(5)}},
		{name: "the first is obsolete", obsolete: id(1), now: []string{id(2), id(3), id(4)}, waiting: []string{id(5)}},
		{name: "the parent waits for WAL", here: []*catalog.BackupInfo{backup(id(4), catalog.StatusWaitingForWALs)}, now: []string{id(1), id(3), id(5)}, waiting: []string{id(2)}},
		{name: "an interrupted one", here: []*catalog.BackupInfo{backup(id(1), catalog.StatusSyncing)}, now: []string{id(1), id(3), id(4)}, waiting: []string{id(2), id(5)}},
	} {
		now, waiting := ToCopy(doc, catalog.NewBackups("main", test.here...), func(id string) bool { return id == test.obsolete })
		if diff := cmp.Diff([][]string{test.now, test.waiting}, [][]string{now, waiting}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
