package lock

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// holderOf finds out who holds the lock on f: from the kernel, or else from the number in the file, which is that of
// the previous holder for the moment between flock and write.
func holderOf(f *os.File) Holder {
	if pid, ok := kernelHolder(f); ok {
		return describe(f, pid)
	}
	content := make([]byte, 32)
	n, _ := f.ReadAt(content, 0) // a short read is the rule
	pid, err := strconv.Atoi(string(bytes.TrimSpace(content[:n])))
	if err != nil || pid <= 0 {
		return Holder{}
	}
	return describe(f, pid)
}

// kernelHolder looks in /proc/locks for an exclusive flock on the file. It finds none when the holder is in another
// PID namespace or on another host, or when the file system reports other device numbers there (btrfs, overlayfs).
func kernelHolder(f *os.File) (pid int, ok bool) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return 0, false
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return 0, false
	}
	defer locks.Close() //nolint:errcheck // nothing was written through it
	inode := fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	lines := bufio.NewScanner(locks)
	for lines.Scan() {
		if pid, ok := parseLockLine(lines.Text(), inode); ok {
			return pid, true
		}
	}
	return 0, false
}

// parseLockLine reads a line such as "1: FLOCK  ADVISORY  WRITE 4711 fe:00:131 0 EOF" (proc(5)). Lines of processes
// that wait have "->" as second field and do not match.
func parseLockLine(line, inode string) (pid int, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 6 || fields[1] != "FLOCK" || fields[3] != "WRITE" || fields[5] != inode {
		return 0, false
	}
	pid, err := strconv.Atoi(fields[4])
	return pid, err == nil && pid > 0
}

// describe adds what /proc knows about the process. The time is that of the last write to the lock file: holders
// write their number right after they have got the lock.
func describe(f *os.File, pid int) Holder {
	h := Holder{PID: pid}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return h // it has ended meanwhile, or /proc is hidden
	}
	h.Command = strings.ReplaceAll(strings.TrimRight(string(line), "\x00"), "\x00", " ")
	content := make([]byte, 32)
	n, _ := f.ReadAt(content, 0) // a short read is the rule
	if string(bytes.TrimSpace(content[:n])) != strconv.Itoa(pid) {
		return h // the file was written by somebody else, so its time says nothing
	}
	if info, err := f.Stat(); err == nil {
		h.Since = info.ModTime()
	}
	return h
}
