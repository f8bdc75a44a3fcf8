package catalog

import (
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives a new file the owner of the one that it replaces. It matters when root runs a command in a catalog
// that belongs to another user, whose next command could not write the file otherwise. Only root can do it; for
// everybody else the owner is right already, or cannot be.
func keepOwner(f *os.File, old fs.FileInfo) error {
	stat, ok := old.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return f.Chown(int(stat.Uid), int(stat.Gid))
}
