package fsx

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// mountTmpfs mounts a small file system in memory.
func mountTmpfs(t *testing.T, options string) string {
	t.Helper()
	return mount(t, "tmpfs", "tmpfs", options)
}

func mount(t *testing.T, source, kind, options string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small file system")
	}
	dir := t.TempDir()
	if err := unix.Mount(source, dir, kind, 0, options); err != nil {
		t.Skipf("cannot mount %s: %v", kind, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// mountImage makes a file system in a file and mounts it through a loop device.
func mountImage(t *testing.T, sizeMB int64, kind string, mkfs ...string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small file system")
	}
	if _, err := exec.LookPath(mkfs[0]); err != nil {
		t.Skipf("%s is not installed", mkfs[0])
	}
	image := write(t, filepath.Join(t.TempDir(), "image"), "")
	if err := os.Truncate(image, sizeMB<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(mkfs[0], append(mkfs[1:], image)...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", mkfs[0], err, out)
	}
	out, err := exec.Command("losetup", "--find", "--show", image).CombinedOutput()
	if err != nil {
		t.Skipf("no loop device: %v\n%s", err, out)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("losetup: %v\n%s", err, out)
		}
	})
	return mount(t, device, kind, "")
}

func TestFullFileSystemIsTyped(t *testing.T) {
	for name, mount := range map[string]func(*testing.T) string{
		"tmpfs": func(t *testing.T) string { return mountTmpfs(t, "size=256k") },
		"ext4": func(t *testing.T) string {
			return mountImage(t, 4, "ext4", "mkfs.ext4", "-q", "-F", "-O", "^has_journal")
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := mount(t)
			path := filepath.Join(dir, "f")
			if err := WriteFile(path, []byte("kept"), 0o600); err != nil {
				t.Fatal(err)
			}
			before := list(t, dir)
			big := bytes.Repeat([]byte("x"), 8<<20)
			err := WriteFile(path, big, 0o600)
			full, ok := errors.AsType[*NoSpaceError](err)
			if !ok || !errors.Is(err, ErrNoSpace) || !errors.Is(err, unix.ENOSPC) || filepath.Dir(full.Path) != dir {
				t.Errorf("WriteFile: %v", err)
			}
			source := write(t, filepath.Join(t.TempDir(), "source"), string(big))
			if err := CopyFile(source, filepath.Join(dir, "copy"), CopyOptions{Sync: true}); !errors.Is(err, ErrNoSpace) {
				t.Errorf("CopyFile: %v", err)
			}
			if err := Move(source, filepath.Join(dir, "moved")); !errors.Is(err, ErrNoSpace) {
				t.Errorf("Move: %v", err)
			}
			if got := read(t, path); got != "kept" {
				t.Error("the old content is gone")
			}
			if len(read(t, source)) != len(big) {
				t.Error("the source of a failed move is damaged")
			}
			wantNames(t, dir, before...)
		})
	}
}

func TestMoveAcrossFileSystems(t *testing.T) {
	other := mountTmpfs(t, "size=1m")
	home := t.TempDir()
	if same, err := SameFileSystem(home, other); err != nil || same {
		t.Fatalf("SameFileSystem = %v, %v", same, err)
	}
	source, dest := write(t, filepath.Join(home, "f"), "content"), filepath.Join(other, "g")
	write(t, dest, "replaced")
	if err := Publish(source, dest); !errors.Is(err, unix.EXDEV) {
		t.Errorf("Publish: %v, want EXDEV", err)
	}
	if err := MoveNew(source, dest); !errors.Is(err, fs.ErrExist) || read(t, dest) != "replaced" || read(t, source) != "content" {
		t.Errorf("MoveNew to a name that is taken: %v", err)
	}
	wantNames(t, other, "g")
	if err := Move(source, dest); err != nil {
		t.Fatal(err)
	}
	if got := read(t, dest); got != "content" {
		t.Errorf("content %q", got)
	}
	wantNames(t, home)
	wantNames(t, other, "g")
}

func TestCopyFileSharesBlocksWhereItCan(t *testing.T) {
	dir := mountImage(t, 320, "xfs", "mkfs.xfs", "-q", "-m", "reflink=1")
	source := write(t, filepath.Join(dir, "source"), string(bytes.Repeat([]byte("x"), 64<<20)))
	if err := SyncTree(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	before, err := FreeBytes(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := CopyFile(source, filepath.Join(dir, "copy"), CopyOptions{Sync: true}); err != nil {
		t.Fatal(err)
	}
	after, err := FreeBytes(dir)
	if err != nil {
		t.Fatal(err)
	}
	if before-after > 8<<20 {
		t.Errorf("the copy took %d bytes", before-after)
	}
	if equal, err := EqualFiles(source, filepath.Join(dir, "copy")); err != nil || !equal {
		t.Errorf("EqualFiles = %v, %v", equal, err)
	}
}
