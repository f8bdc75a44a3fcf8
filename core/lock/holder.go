package lock

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// holderOf finds out who holds the lock on f: from the kernel, or else from the number in the file, which is that of
// the previous holder for the moment between flock and write. Of several who share it, it is the one that the file
// names if that one is still among them.
func holderOf(f *os.File) Holder {
	named := numberIn(f)
	exclusive, shared := kernelHolders(f)
	switch {
	case exclusive != 0:
		return describe(f, exclusive)
	case slices.Contains(shared, named):
		return describe(f, named)
	case len(shared) > 0:
		return describe(f, shared[0])
	case named == 0:
		return Holder{}
	}
	return describe(f, named)
}

// numberIn reads the number in a lock file; 0 when there is none.
func numberIn(f *os.File) int {
	content := make([]byte, 32)
	n, _ := f.ReadAt(content, 0) // a short read is the rule
	pid, err := strconv.Atoi(string(bytes.TrimSpace(content[:n])))
	if err != nil || pid <= 0 {
		return 0
	}
	return pid
}

// kernelHolders looks in /proc/locks for flocks on the file: the process that has it alone, 0 for none, or those that
// share it. It finds none when the holder is in another PID namespace or on another host, or when the file system
// reports other device numbers there (btrfs, overlayfs).
func kernelHolders(f *os.File) (exclusive int, shared []int) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return 0, nil
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return 0, nil
	}
	defer locks.Close() //nolint:errcheck // nothing was written through it
	inode := fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	lines := bufio.NewScanner(locks)
	for lines.Scan() {
		switch pid, mode := parseLockLine(lines.Text(), inode); mode {
		case "WRITE":
			return pid, nil
		case "READ":
			shared = append(shared, pid)
		}
	}
	return 0, shared
}

// parseLockLine reads a line such as "1: FLOCK  ADVISORY  WRITE 4711 fe:00:131 0 EOF" (proc(5)); mode is WRITE or READ,
// or empty when the line is about something else. Lines of processes that wait have "->" as second field and do not
// match.
func parseLockLine(line, inode string) (pid int, mode string) {
	fields := strings.Fields(line)
	if len(fields) < 6 || fields[1] != "FLOCK" || fields[5] != inode {
		return 0, ""
	}
	pid, err := strconv.Atoi(fields[4])
	if err != nil || pid <= 0 {
		return 0, ""
	}
	return pid, fields[3]
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
	if numberIn(f) != pid {
		return h // the file was written by somebody else, so its time says nothing
	}
	if info, err := f.Stat(); err == nil {
		h.Since = info.ModTime()
	}
	return h
}
