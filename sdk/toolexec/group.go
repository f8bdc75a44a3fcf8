package toolexec

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// groupAlive tells whether a process of the group, other than zombies, exists. The leader is a zombie when it is called,
// so asking the kernel with signal 0 would always say yes; /proc tells them apart.
func groupAlive(pgid int) bool {
	proc, err := os.Open("/proc")
	if err != nil {
		return false
	}
	defer proc.Close() //nolint:errcheck // only read
	for {
		names, err := proc.Readdirnames(256)
		for _, name := range names {
			pid, nerr := strconv.Atoi(name)
			if nerr != nil || pid == pgid {
				continue
			}
			// getpgid is much cheaper than reading the file of every process.
			if group, gerr := unix.Getpgid(pid); gerr == nil && group == pgid && !zombie(pid) {
				return true
			}
		}
		if err != nil {
			return false
		}
	}
}

// leadsSilentSession tells whether this process leads its session and that has no controlling terminal, which is how a
// host starts a plugin.
func leadsSilentSession() bool {
	if sid, err := unix.Getsid(0); err != nil || sid != os.Getpid() {
		return false
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NOCTTY, 0)
	if err == nil {
		_ = tty.Close()
	}
	return err != nil
}

// zombie reads the state from /proc/PID/stat: "PID (command) STATE …", where the command may hold anything.
func zombie(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 || i+2 >= len(stat) {
		return false
	}
	return stat[i+2] == 'Z' || stat[i+2] == 'X'
}
