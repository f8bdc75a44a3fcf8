package recovery

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/lock"
)

// leased is a catalog with an incremental backup and the one that it depends on.
func leased(t *testing.T) (r *Restorer, out *messages, full, incremental *catalog.BackupInfo) {
	t.Helper()
	layout := catalog.DefaultLayout(t.TempDir(), serverName)
	out = &messages{}
	r = &Restorer{Server: serverName, Catalog: catalog.New(layout), LockDir: t.TempDir(), Out: out, Log: hclog.NewNullLogger()}
	full = testBackup(1, 170000)
	full.ID, full.Status = "20260101T000000", catalog.StatusDone
	incremental = testBackup(1, 170000)
	incremental.ID, incremental.Status, incremental.ParentID = "20260102T000000", catalog.StatusDone, full.ID
	for _, b := range []*catalog.BackupInfo{full, incremental} {
		if err := r.Catalog.Save(b); err != nil {
			t.Fatal(err)
		}
	}
	return r, out, full, incremental
}

// take takes the lease on a backup as it is in the catalog.
func take(ctx context.Context, r *Restorer, b *catalog.BackupInfo) (*lease, *catalog.BackupInfo, error) {
	list, err := r.Catalog.List()
	if err != nil {
		return nil, nil, err
	}
	l := &lease{}
	found, err := l.take(ctx, r, b, list)
	return l, found, err
}

// free tells whether somebody could delete the backup now.
func free(t *testing.T, r *Restorer, id string) bool {
	t.Helper()
	l, err := lock.Acquire(t.Context(), r.LockDir, lock.ForBackup(lock.BackupID, serverName, id), false)
	if err == nil {
		err = l.Release()
	}
	if err != nil && !errors.Is(err, lock.ErrBusy) {
		t.Fatal(err)
	}
	return err == nil
}

func TestLeaseIsOnTheBackupAndOnWhatItDependsOn(t *testing.T) {
	r, out, full, incremental := leased(t)
	first, found, err := take(t.Context(), r, incremental)
	if err != nil || found.ID != incremental.ID {
		t.Fatalf("%+v, %v", found, err)
	}
	second, _, err := take(t.Context(), r, full)
	if err != nil {
		t.Fatalf("a second restore: %v", err)
	}
	for _, id := range []string{full.ID, incremental.ID} {
		if free(t, r, id) {
			t.Errorf("%s can be deleted while it is restored", id)
		}
	}
	if err := first.end(); err != nil {
		t.Fatal(err)
	}
	if free(t, r, full.ID) || !free(t, r, incremental.ID) {
		t.Error("the end of one restore is not the end of the other")
	}
	if err := second.end(); err != nil || !free(t, r, full.ID) {
		t.Errorf("a backup that nobody restores any more stays leased, %v", err)
	}
	if len(out.warnings) > 0 {
		t.Errorf("warnings %q", out.warnings)
	}
}

func TestLeaseOnABackupThatIsGoneOrBeingDeletedIsRefused(t *testing.T) {
	r, _, full, _ := leased(t)
	deleting, err := lock.Acquire(t.Context(), r.LockDir, lock.ForBackup(lock.BackupID, serverName, full.ID), false)
	if err != nil {
		t.Fatal(err)
	}
	var refused *PlanError
	if _, _, err := take(t.Context(), r, full); !errors.As(err, &refused) || !strings.Contains(err.Error(), "cannot be read now") ||
		!strings.Contains(err.Error(), os.Args[0]) {
		t.Errorf("while it is being deleted: %v", err)
	}
	list, err := r.Catalog.List()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Catalog.DeleteInfo(full.ID), deleting.Remove()); err != nil {
		t.Fatal(err)
	}
	l := &lease{}
	if _, err := l.take(t.Context(), r, full, list); !errors.As(err, &refused) || !strings.Contains(err.Error(), "has just been deleted") {
		t.Errorf("after it was chosen and deleted: %v", err)
	}
	if err := l.end(); err != nil {
		t.Error(err)
	}
}

func TestALockDirectoryThatCannotBeUsedDoesNotStopARestore(t *testing.T) {
	r, out, full, _ := leased(t)
	r.LockDir = filepath.Join(r.LockDir, "missing")
	_, found, err := take(t.Context(), r, full)
	if err != nil || found.ID != full.ID {
		t.Errorf("%+v, %v", found, err)
	}
	if len(out.warnings) != 1 || !strings.Contains(out.warnings[0], "Nothing keeps backup "+full.ID) {
		t.Errorf("warnings %q", out.warnings)
	}
}
