package faultfs

import (
	"fmt"
	"syscall"
)

// Kind is what an operation does.
type Kind string

// Kinds of operations.
const (
	// Create makes the file Object, named Name in Dir; Mkdir a directory.
	Create Kind = "create"
	Mkdir  Kind = "mkdir"
	// Write puts Data at Offset of Object.
	Write Kind = "write"
	// Truncate gives Object the size Offset.
	Truncate Kind = "truncate"
	// Allocate reserves space for Object up to Offset, which is its size then if it was smaller.
	Allocate Kind = "fallocate"
	// SetAttr changes mode, owner or times of Object.
	SetAttr Kind = "setattr"
	// Link gives Object the name Name in Dir too.
	Link Kind = "link"
	// Rename moves Object from Name in Dir to NewName in NewDir, and replaces what has that name.
	Rename Kind = "rename"
	// Unlink and Rmdir take the name Name away from Object in Dir.
	Unlink Kind = "unlink"
	Rmdir  Kind = "rmdir"
	// Sync is fsync or fdatasync of Object, SyncDir the same of a directory.
	Sync    Kind = "fsync"
	SyncDir Kind = "fsync of a directory"
	// Mark is no operation: a test has put Note into the log.
	Mark Kind = "mark"
)

// Object is a file or directory, by number.
type Object uint64

// Op is an entry of the log.
type Op struct {
	Kind   Kind
	Object Object
	// Path is for people, and for tests that choose: relative to the mountpoint, the name before a rename.
	Path        string
	Dir, NewDir Object
	Name        string
	NewName     string
	Offset      int64
	Data        []byte
	Note        any
	// Err is 0, or why nothing happened.
	Err syscall.Errno
}

func (o Op) String() string {
	text := fmt.Sprintf("%s %s", o.Kind, o.Path)
	switch o.Kind {
	case Mark:
		text = fmt.Sprintf("-- %v", o.Note)
	case Write:
		text += fmt.Sprintf(" [%d, %d)", o.Offset, o.Offset+int64(len(o.Data)))
	case Truncate, Allocate:
		text += fmt.Sprintf(" to %d", o.Offset)
	case Rename:
		text += " to " + o.NewName
	}
	if o.Err != 0 {
		text += ": " + o.Err.Error()
	}
	return text
}

// Tree is what a file system holds: the contents of files and directories by object.
type Tree struct {
	Root  Object
	Files map[Object][]byte
	Dirs  map[Object]map[string]Object
}
