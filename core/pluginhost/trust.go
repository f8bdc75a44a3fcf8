package pluginhost

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Trust is that of sshd's StrictModes: a file is trusted when nobody but root and the current user can have put it there
// or can change it. That holds for the file, for every directory above it, and for every symbolic link on the way. A
// sticky directory of root, such as /tmp, may stand among the directories: others can add to it but not replace what
// is ours.

// maxLinks is the number of symbolic links followed, like the kernel's.
const maxLinks = 40

var errTooManyLinks = errors.New("too many symbolic links")

// openTrusted resolves an absolute path and opens the file for reading. The descriptor, not the path, is what was
// checked. An error that is fs.ErrNotExist means that there is no such file; any other says why it is not trusted.
func openTrusted(path string) (real string, file *os.File, err error) {
	real, info, err := walkTrusted(path)
	if err != nil {
		return "", nil, err
	}
	f, err := os.OpenFile(real, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", nil, reason(err)
	}
	opened, err := f.Stat()
	if err == nil && !os.SameFile(info, opened) {
		err = errors.New("it was replaced while it was being checked")
	}
	if err == nil {
		err = checkOwner(real, opened)
	}
	if err != nil {
		_ = f.Close()
		return "", nil, err
	}
	return real, f, nil
}

// walkTrusted follows a path from the root, checking each step, to a regular file.
func walkTrusted(path string) (string, fs.FileInfo, error) {
	if !filepath.IsAbs(path) {
		return "", nil, errors.New("the path is not absolute")
	}
	at := "/"
	info, err := os.Lstat(at)
	if err != nil {
		return "", nil, reason(err)
	}
	if err := checkOwner(at, info); err != nil {
		return "", nil, err
	}
	todo := strings.Split(filepath.Clean(path)[1:], "/")
	for links := 0; len(todo) > 0; {
		step := todo[0]
		todo = todo[1:]
		if step == "" || step == "." {
			continue
		}
		next := filepath.Join(at, step)
		info, err = os.Lstat(next)
		if err != nil {
			return "", nil, reason(err)
		}
		if err := checkOwner(next, info); err != nil {
			return "", nil, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", nil, errTooManyLinks
		}
		target, err := os.Readlink(next)
		if err != nil {
			return "", nil, reason(err)
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	if !info.Mode().IsRegular() {
		return "", nil, errors.New("it is not a regular file")
	}
	if info.Mode()&0o111 == 0 {
		return "", nil, fmt.Errorf("it is not executable (mode %04o); chmod +x %s", info.Mode().Perm(), at)
	}
	return at, info, nil
}

// checkOwner checks one step of a path.
func checkOwner(path string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: the owner is unknown", path)
	}
	if st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is owned by uid %d, neither root nor the current user (uid %d)", path, st.Uid, os.Geteuid())
	}
	if info.Mode()&fs.ModeSymlink != 0 || info.Mode().Perm()&0o022 == 0 {
		return nil
	}
	if info.IsDir() && info.Mode()&fs.ModeSticky != 0 && st.Uid == 0 {
		return nil
	}
	return fmt.Errorf("%s is writable by others (mode %04o); chmod go-w %s", path, info.Mode().Perm(), path)
}

// reason leaves out the path and the system call of an error; the message around it names the file.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// digest returns the SHA-256 of an open file in hexadecimal, and leaves the offset at the start.
func digest(f *os.File) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, 1<<62)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
