// Package faultfs is a file system for tests, which passes everything on to a directory, records what changes, and fails when it is
// told to.
//
//	disk := faultfs.Mount(t, backing, mountpoint)
//	disk.Before(func(op faultfs.Op) syscall.Errno { … })   EIO, ENOSPC, or the moment to kill somebody
//	… programs work below mountpoint …
//	disk.Log()                                             what they did, in order, with the data
//
// Invariants:
//
//   - Operations that change something are carried out one at a time, so the log has the order in which they took effect. An fsync covers
//     all operations before it in the log.
//   - An operation that was refused changed nothing, and stands in the log with its error.
//   - fsync reaches the log only, not the disk below: these tests lose no power.
//   - Objects (files and directories) have numbers that are never used again, unlike inode numbers.
//
// It needs root, and /dev/fuse.
package faultfs
