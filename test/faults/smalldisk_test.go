package faults

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/faults/internal/faultfs"
)

// smallDisk is a file system that can be full: memory, mounted at barman_home.
type smallDisk struct{ dir, ballast string }

// mountSmallDisk gives the host one, large enough for some small backups; nil when that cannot be done, because we are not root.
func mountSmallDisk(t *testing.T, host *backuphost.Host) *smallDisk {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	if err := syscall.Mount("tmpfs", host.Home, "tmpfs", syscall.MS_NOSUID, "size=600m,mode=0755"); err != nil {
		t.Fatalf("mount a small disk: %v", err)
	}
	faultfs.UnmountAfterDeath(t, host.Home)
	t.Cleanup(func() {
		if err := syscall.Unmount(host.Home, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount the small disk: %v", err)
		}
	})
	if err := os.Chown(host.Home, host.User.UID, host.User.GID); err != nil {
		t.Fatal(err)
	}
	return &smallDisk{host.Home, filepath.Join(host.Home, "ballast")}
}

// fill takes all space that is left.
func (d *smallDisk) fill(t *testing.T) {
	t.Helper()
	f, err := os.OpenFile(d.ballast, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var st syscall.Statfs_t
	if err := syscall.Statfs(d.dir, &st); err != nil {
		t.Fatal(err)
	}
	// Others write at the same time; ask for less when it is too much.
	for size := int64(st.Bavail) * st.Bsize; size > 0; size -= 1 << 18 {
		if err = syscall.Fallocate(int(f.Fd()), 0, 0, size); !errors.Is(err, syscall.ENOSPC) {
			break
		}
	}
	if err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("fill the small disk: %v", err)
	}
}

// leave takes all space but for some bytes.
func (d *smallDisk) leave(t *testing.T, bytes int64) {
	t.Helper()
	d.fill(t)
	info, err := os.Stat(d.ballast)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.ballast, max(0, info.Size()-bytes)); err != nil {
		t.Fatal(err)
	}
}

// empty gives the space back.
func (d *smallDisk) empty(t *testing.T) {
	t.Helper()
	if err := os.Remove(d.ballast); err != nil {
		t.Fatal(err)
	}
}
