package catalog

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// smallFile is larger than backup.info files usually are.
const smallFile = 16 << 10

// readSmall is os.ReadFile with three system calls for a file that fits buf, where os.ReadFile needs six. A list of a
// thousand backups consists of little else. The result may share buf.
func readSmall(path string, buf []byte) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	n, err := unix.Read(fd, buf)
	err = errors.Join(err, unix.Close(fd))
	// A regular file that fills less than the buffer has been read to its end. Anything unusual is left to
	// os.ReadFile.
	if err != nil || n == len(buf) {
		return os.ReadFile(path)
	}
	return buf[:n], nil
}
