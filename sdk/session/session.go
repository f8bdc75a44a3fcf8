package session

import (
	"bytes"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxSweeps bounds the rounds of Kill. A process can fork while it is being looked for; its child is found in the next
// round, and a killed process forks no more.
const maxSweeps = 20

// Members returns the process ids in a session, zombies excluded. It reads /proc.
func Members(sid int) []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil
	}
	var pids []int
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		// One system call for each process of the machine, and a file for those that are meant.
		if s, err := unix.Getsid(pid); err == nil && s == sid && alive(pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Kill sends SIGKILL to every process of a session except the one with id spare (0 spares none), until there is none
// left or it has tried often enough. The caller must make sure that the id still belongs to that session: by being in
// it, or by not having reaped its leader.
func Kill(sid, spare int) {
	for range maxSweeps {
		killed := false
		for _, pid := range Members(sid) {
			if pid != spare && syscall.Kill(pid, syscall.SIGKILL) == nil {
				killed = true
			}
		}
		if !killed {
			return
		}
	}
}

// alive tells zombies from others by /proc/PID/stat: "pid (comm) state …"; comm may hold spaces and parentheses.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, state, found := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	return found && len(state) > 0 && state[0] != 'Z' && state[0] != 'X'
}
