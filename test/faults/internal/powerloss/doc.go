// Package powerloss tells what may be on a disk after the power has gone.
//
//	disk := powerloss.New(base)
//	for op in the log { disk.Apply(op); for state in disk.States() { look at state } }
//
// It assumes only what POSIX promises, and of what was not synced the worst that file systems are known for:
//
//   - fsync of a file keeps its content, and not its name. fsync of a directory keeps the names in it, and not the contents of files.
//   - Of names that were not synced, each directory may have kept all or none, independently of the others; or all directories what
//     happened before some moment, as with a journal. Only a rename is not torn apart: the file has one of its names at least, unless the
//     directory with the old name was synced alone.
//   - Of contents that were not synced, nothing may be there; or the size with zeros (delayed allocation); or some blocks and not others; or
//     all of it.
//   - After an fsync that failed, what was written before is lost for good, also when a later fsync succeeds: the kernel marks such pages
//     clean. Names are different, for a journal keeps them until they are written.
package powerloss
