package powerloss

import (
	"maps"
	"slices"
	"syscall"

	"github.com/barman-go/barman/test/faults/internal/faultfs"
)

// Disk is what a sequence of operations has made of a file system, with all that is known about what of it is durable.
type Disk struct {
	root  faultfs.Object
	files map[faultfs.Object]*file
	// dirs are the durable names.
	dirs map[faultfs.Object]map[string]faultfs.Object
	// pending are changes of names that no fsync has covered, in order.
	pending []change
	steps   int
}

// change is a name that was given or, with object 0, taken away.
type change struct {
	dir    faultfs.Object
	name   string
	object faultfs.Object
	step   int
	// with is the other directory of a rename.
	with faultfs.Object
}

// file is the content of a file: what is durable, and what was done to it since.
type file struct {
	durable []byte
	// version counts the values of durable.
	version int
	pending []faultfs.Op
}

// New is a disk on which everything is durable.
func New(base faultfs.Tree) *Disk {
	d := &Disk{root: base.Root, files: map[faultfs.Object]*file{}, dirs: map[faultfs.Object]map[string]faultfs.Object{}}
	for object, content := range base.Files {
		d.files[object] = &file{durable: content}
	}
	for object, names := range base.Dirs {
		d.dirs[object] = maps.Clone(names)
	}
	return d
}

// Apply adds the next operation of a log. It tells whether what a power loss leaves may have changed.
func (d *Disk) Apply(op faultfs.Op) bool {
	d.steps++
	if op.Err != 0 {
		// Of an operation that was interrupted nothing happened.
		return op.Kind == faultfs.Sync && op.Err == syscall.EIO && d.files[op.Object].giveUp()
	}
	switch op.Kind {
	case faultfs.Create:
		d.files[op.Object] = &file{}
		d.change(op.Dir, op.Name, op.Object, 0)
	case faultfs.Mkdir:
		d.dirs[op.Object] = map[string]faultfs.Object{}
		d.change(op.Dir, op.Name, op.Object, 0)
	case faultfs.Link:
		d.change(op.Dir, op.Name, op.Object, 0)
	case faultfs.Unlink, faultfs.Rmdir:
		d.change(op.Dir, op.Name, 0, 0)
	case faultfs.Rename:
		d.change(op.NewDir, op.NewName, op.Object, op.Dir)
		d.change(op.Dir, op.Name, 0, op.NewDir)
	case faultfs.Write, faultfs.Truncate, faultfs.Allocate:
		f := d.files[op.Object]
		f.pending = append(f.pending, op)
	case faultfs.Sync:
		d.files[op.Object].sync()
	case faultfs.SyncDir:
		d.syncDir(op.Object)
	default:
		return false
	}
	return true
}

func (d *Disk) change(dir faultfs.Object, name string, object, with faultfs.Object) {
	d.pending = append(d.pending, change{dir, name, object, d.steps, with})
}

func (d *Disk) syncDir(dir faultfs.Object) {
	d.pending = slices.DeleteFunc(d.pending, func(c change) bool {
		if c.dir == dir {
			c.applyTo(d.dirs[dir])
		}
		return c.dir == dir
	})
}

func (c change) applyTo(names map[string]faultfs.Object) {
	if c.object == 0 {
		delete(names, c.name)
	} else {
		names[c.name] = c.object
	}
}

func (f *file) sync() {
	if len(f.pending) > 0 {
		f.durable, f.pending = f.content(Kept), nil
		f.version++
	}
}

// giveUp is an fsync that failed: data is lost, sizes may come later.
func (f *file) giveUp() bool {
	f.pending = slices.DeleteFunc(f.pending, func(op faultfs.Op) bool { return op.Kind == faultfs.Write })
	f.version++
	return true
}
