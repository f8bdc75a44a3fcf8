package session

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
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
		if s, alive := sessionOf(pid); alive && s == sid {
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

// sessionOf reads /proc/PID/stat: "pid (comm) state ppid pgrp session …"; comm may hold spaces and parentheses.
func sessionOf(pid int) (sid int, alive bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, false
	}
	fields := bytes.Fields(stat[end+1:])
	if len(fields) < 4 || fields[0][0] == 'Z' || fields[0][0] == 'X' {
		return 0, false
	}
	sid, err = strconv.Atoi(string(fields[3]))
	return sid, err == nil
}
