package faultfs

import (
	"bytes"
	"context"
	"path"
	"path/filepath"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// node is a file or directory that passes operations on, and records those that change something.
type node struct {
	*fs.LoopbackNode
	disk *Disk
}

// WrapChild makes nodes of all that go-fuse finds.
func (n *node) WrapChild(_ context.Context, ops fs.InodeEmbedder) fs.InodeEmbedder {
	return &node{LoopbackNode: ops.(*fs.LoopbackNode), disk: n.disk}
}

// self is the object; the disk's lock is held.
func (n *node) self() Object {
	if n.IsRoot() {
		return n.disk.base.Root
	}
	return n.disk.object(n.StableAttr().Ino) // go-fuse shows the inode number of the file below
}

// about begins an operation on the node, entry one on a name in it. They take the lock for a moment: between them and the operation only
// others can come, which numbers survive.
func (n *node) about(kind Kind) Op {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	return Op{Kind: kind, Object: n.self(), Path: n.Path(n.Root())}
}

func (n *node) entry(kind Kind, name string) Op {
	op := n.about(kind)
	op.Dir, op.Name, op.Path, op.Object = op.Object, name, path.Join(op.Path, name), 0
	if child := n.GetChild(name); child != nil {
		n.disk.mu.Lock()
		defer n.disk.mu.Unlock()
		op.Object = child.Operations().(*node).self()
	}
	return op
}

// named completes the record of a new name.
func (n *node) named(out *fuse.EntryOut, isNew bool) func(*Op) {
	return func(op *Op) {
		if isNew {
			op.Object = n.disk.fresh(out.Ino)
		} else {
			op.Object = n.disk.object(out.Ino)
		}
	}
}

// Create makes and opens a file.
func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (
	inode *fs.Inode, file fs.FileHandle, fuseFlags uint32, errno syscall.Errno,
) {
	errno = n.disk.do(n.entry(Create, name), func() (e syscall.Errno) {
		inode, file, fuseFlags, e = n.LoopbackNode.Create(ctx, name, flags, mode, out)
		file = seen(file)
		return e
	}, n.named(out, true))
	return inode, file, fuseFlags, errno
}

// Mkdir makes a directory.
func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (inode *fs.Inode, errno syscall.Errno) {
	errno = n.disk.do(n.entry(Mkdir, name), func() (e syscall.Errno) {
		inode, e = n.LoopbackNode.Mkdir(ctx, name, mode, out)
		if e == 0 && mode&syscall.S_ISVTX != 0 {
			// go-fuse forgets this bit.
			e = fs.ToErrno(syscall.Chmod(filepath.Join(n.RootData.Path, n.Path(n.Root()), name), mode&0o7777))
			out.Mode |= syscall.S_ISVTX
		}
		return e
	}, n.named(out, true))
	return inode, errno
}

// Link gives a file one more name.
func (n *node) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (inode *fs.Inode, errno syscall.Errno) {
	errno = n.disk.do(n.entry(Link, name), func() (e syscall.Errno) {
		inode, e = n.LoopbackNode.Link(ctx, target, name, out)
		return e
	}, n.named(out, false))
	return inode, errno
}

// Symlink and Mknod are not recorded, and nobody needs them.
func (n *node) Symlink(context.Context, string, string, *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return nil, syscall.EPERM
}

// Mknod is refused too.
func (n *node) Mknod(context.Context, string, uint32, uint32, *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return nil, syscall.EPERM
}

// Unlink takes a name away from a file.
func (n *node) Unlink(ctx context.Context, name string) syscall.Errno {
	return n.disk.do(n.entry(Unlink, name), func() syscall.Errno { return n.LoopbackNode.Unlink(ctx, name) }, nil)
}

// Rmdir removes a directory.
func (n *node) Rmdir(ctx context.Context, name string) syscall.Errno {
	return n.disk.do(n.entry(Rmdir, name), func() syscall.Errno { return n.LoopbackNode.Rmdir(ctx, name) }, nil)
}

// Rename gives a file or directory another name. An exchange of two is refused.
func (n *node) Rename(ctx context.Context, name string, to fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	const exchange = 2 // RENAME_EXCHANGE
	if flags&exchange != 0 {
		return syscall.EINVAL
	}
	op := n.entry(Rename, name)
	op.NewDir, op.NewName = to.(*node).about(Rename).Object, newName
	return n.disk.do(op, func() syscall.Errno { return n.LoopbackNode.Rename(ctx, name, to, newName, flags) }, nil)
}

// Open opens a file, and perhaps empties it.
func (n *node) Open(ctx context.Context, flags uint32) (file fs.FileHandle, fuseFlags uint32, errno syscall.Errno) {
	open := func() (e syscall.Errno) {
		file, fuseFlags, e = n.LoopbackNode.Open(ctx, flags)
		return e
	}
	if flags&syscall.O_TRUNC == 0 {
		errno = open()
	} else {
		errno = n.disk.do(n.about(Truncate), open, nil)
	}
	return seen(file), fuseFlags, errno
}

// seen makes the kernel send reads and writes of an open file here, and not to the file below.
func seen(file fs.FileHandle) fs.FileHandle {
	if below, ok := file.(*fs.LoopbackFile); ok {
		return &openFile{below}
	}
	return nil
}

type openFile struct{ *fs.LoopbackFile }

// PassthroughFd says that there is none.
func (*openFile) PassthroughFd() (int, bool) { return 0, false }

// Write writes data.
func (n *node) Write(ctx context.Context, file fs.FileHandle, data []byte, offset int64) (written uint32, errno syscall.Errno) {
	op := n.about(Write)
	op.Offset, op.Data = offset, bytes.Clone(data)
	errno = n.disk.do(op, func() (e syscall.Errno) {
		written, e = file.(fs.FileWriter).Write(ctx, data, offset)
		return e
	}, func(op *Op) { op.Data = op.Data[:written] })
	return written, errno
}

// Writev is a Write whose data came in pieces.
func (n *node) Writev(ctx context.Context, file fs.FileHandle, data [][]byte, offset int64) (uint32, syscall.Errno) {
	return n.Write(ctx, file, bytes.Join(data, nil), offset)
}

// Allocate sets space aside.
func (n *node) Allocate(ctx context.Context, file fs.FileHandle, offset, size uint64, mode uint32) syscall.Errno {
	if mode != 0 {
		return syscall.EOPNOTSUPP // punching holes and the like
	}
	op := n.about(Allocate)
	op.Offset = int64(offset + size)
	return n.disk.do(op, func() syscall.Errno { return file.(fs.FileAllocater).Allocate(ctx, offset, size, mode) }, nil)
}

// CopyFileRange makes the kernel read and write instead.
func (n *node) CopyFileRange(context.Context, fs.FileHandle, uint64, *fs.Inode, fs.FileHandle, uint64, uint64, uint64) (
	uint32, syscall.Errno,
) {
	return 0, syscall.ENOSYS
}

// Setattr changes mode, owner, times or size.
func (n *node) Setattr(ctx context.Context, file fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	op := n.about(SetAttr)
	if size, ok := in.GetSize(); ok {
		op.Kind, op.Offset = Truncate, int64(size)
	}
	return n.disk.do(op, func() syscall.Errno { return n.LoopbackNode.Setattr(ctx, file, in, out) }, nil)
}

// Fsync is fsync and fdatasync of a file.
func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno { return n.sync(Sync) }

func (n *node) sync(kind Kind) syscall.Errno {
	return n.disk.do(n.about(kind), func() syscall.Errno { return 0 }, nil)
}

// OpendirHandle opens a directory, for reading and for fsync.
func (n *node) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	below, fuseFlags, errno := n.LoopbackNode.OpendirHandle(ctx, flags)
	if errno != 0 {
		return nil, 0, errno
	}
	return &directory{below.(stream), n}, fuseFlags, 0
}

// stream is what an open directory of a loopback can do, besides fsync.
type stream interface {
	fs.FileReaddirenter
	fs.FileReleasedirer
	fs.FileSeekdirer
}

type directory struct {
	stream
	node *node
}

// Fsyncdir is fsync of an open directory.
func (d *directory) Fsyncdir(context.Context, uint32) syscall.Errno { return d.node.sync(SyncDir) }
