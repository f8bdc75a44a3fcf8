package faultfs

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Disk is a mounted file system. Its methods may be called at any time, but not from the function given to Before.
type Disk struct {
	server *fuse.Server
	base   Tree

	mu  sync.Mutex
	log []Op
	// objects are the numbers of the inodes below.
	objects map[uint64]Object
	last    Object
	before  func(Op) syscall.Errno
}

// Mount shows the directory backing at mountpoint, to all users, until Unmount or until the test has ended. It skips the test where that
// cannot be done.
func Mount(t testing.TB, backing, mountpoint string) *Disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a file system of its own")
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skipf("no file system of its own without FUSE: %v", err)
	}
	d := &Disk{objects: map[uint64]Object{}}
	var err error
	if d.base, err = d.snapshot(backing); err != nil {
		t.Fatal(err)
	}
	loopback, err := fs.NewLoopbackRoot(backing)
	if err != nil {
		t.Fatal(err)
	}
	root := &node{LoopbackNode: loopback.(*fs.LoopbackNode), disk: d}
	root.RootData.RootNode = root
	// Without timeouts nothing is cached, and every operation is seen.
	d.server, err = fs.Mount(mountpoint, root, &fs.Options{MountOptions: fuse.MountOptions{
		AllowOther: true, DirectMountStrict: true, FsName: "faultfs", Options: []string{"default_permissions"}, MaxWrite: 1 << 20,
		DisableXAttrs: true,
	}})
	if err != nil {
		t.Skipf("FUSE does not work here: %v", err)
	}
	UnmountAfterDeath(t, mountpoint)
	t.Cleanup(func() { d.Unmount(t) })
	return d
}

// Unmount ends the file system; the directory below stays. A second call does nothing.
func (d *Disk) Unmount(t testing.TB) {
	t.Helper()
	if d.server == nil {
		return
	}
	if err := d.server.Unmount(); err != nil {
		t.Errorf("unmount: %v", err)
	}
	d.server = nil
}

// UnmountAfterDeath leaves no dead mountpoint behind when this process is killed: a child waits for its end.
func UnmountAfterDeath(t testing.TB, mountpoint string) {
	t.Helper()
	// The mountpoint comes by the pipe: tests look for programs that have it in their arguments.
	cmd := exec.Command("/bin/sh", "-c", `read -r dir; read -r line; test "$line" = done || umount -l "$dir"`)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err == nil {
		_, err = io.WriteString(pipe, mountpoint+"\n")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = io.WriteString(pipe, "done\n")
		_ = pipe.Close()
		_ = cmd.Wait()
	})
}

// Before installs a function that sees every operation before it is carried out; one to which it returns an error is not. Operations wait
// for each other, so it may take its time. nil removes it.
func (d *Disk) Before(f func(Op) syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.before = f
}

// Mark puts a note into the log.
func (d *Disk) Mark(note any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = append(d.log, Op{Kind: Mark, Note: note})
}

// Base is what there was when the file system was mounted.
func (d *Disk) Base() Tree { return d.base }

// Log is what has happened since.
func (d *Disk) Log() []Op {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.log)
}

// do carries out an operation and records it. finish completes the record when the operation has succeeded.
func (d *Disk) do(op Op, run func() syscall.Errno, finish func(*Op)) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.before != nil {
		op.Err = d.before(op)
	}
	if op.Err == 0 {
		op.Err = run()
	}
	if op.Err == 0 && finish != nil {
		finish(&op)
	}
	d.log = append(d.log, op)
	return op.Err
}

// object is the number of an inode below. The lock is held.
func (d *Disk) object(inode uint64) Object {
	if _, known := d.objects[inode]; !known {
		d.fresh(inode)
	}
	return d.objects[inode]
}

// fresh gives an inode that was just made a number; the inode number may have been another file's. The lock is held.
func (d *Disk) fresh(inode uint64) Object {
	d.last++
	d.objects[inode] = d.last
	return d.last
}

// snapshot reads a directory tree.
func (d *Disk) snapshot(dir string) (Tree, error) {
	tree := Tree{Files: map[Object][]byte{}, Dirs: map[Object]map[string]Object{}}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		me, err := d.number(path)
		if err != nil {
			return err
		}
		if e.IsDir() {
			tree.Dirs[me] = map[string]Object{}
		} else if tree.Files[me], err = os.ReadFile(path); err != nil {
			return err
		}
		if path == dir {
			tree.Root = me
			return nil
		}
		parent, err := d.number(filepath.Dir(path))
		if err == nil {
			tree.Dirs[parent][e.Name()] = me
		}
		return err
	})
	return tree, err
}

func (d *Disk) number(path string) (Object, error) {
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		return 0, err
	}
	return d.object(st.Ino), nil
}
