package faults

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a running process, as /proc shows it.
type process struct {
	pid, parent, session int
	// name is the program's file name, args the whole command line.
	name, args string
}

// processes are all that run and are not zombies.
func processes() []process {
	dirs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well-formed
	var all []process
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil {
			continue // it has ended
		}
		// "pid (command) state ppid pgrp session …"; the command may hold anything.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) < 4 || fields[0] == "Z" || fields[0] == "X" {
			continue
		}
		cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || len(cmdline) == 0 {
			continue
		}
		first, _, _ := bytes.Cut(cmdline, []byte{0})
		p := process{pid: pid, name: filepath.Base(string(first)), args: string(bytes.ReplaceAll(cmdline, []byte{0}, []byte(" ")))}
		p.parent, _ = strconv.Atoi(fields[1])
		p.session, _ = strconv.Atoi(fields[3])
		all = append(all, p)
	}
	return all
}

// family are the process and everything that descends from it or has a session that one of them leads.
func family(root int) []process {
	all := processes()
	members := map[int]bool{root: true}
	for grown := true; grown; {
		grown = false
		for _, p := range all {
			if !members[p.pid] && (members[p.parent] || members[p.session]) {
				members[p.pid] = true
				grown = true
			}
		}
	}
	return slices.DeleteFunc(all, func(p process) bool { return !members[p.pid] })
}

// ours are the processes that work for barman: its programs and plugins, and tools that have one of the directories in their command
// line. What PostgreSQL and the load do by themselves, archive_command included, is not.
func ours(dirs ...string) []process {
	return slices.DeleteFunc(processes(), func(p process) bool {
		switch {
		case p.pid == os.Getpid(), p.name == "postgres", p.name == "psql", p.name == "sshd", strings.Contains(p.args, "put-wal"),
			strings.Contains(p.args, "/archive-main "):
			return true
		}
		return !slices.ContainsFunc(dirs, func(dir string) bool { return strings.Contains(p.args, dir) })
	})
}

// witness remembers the processes of a barman while it lives, to recognise those that outlive it: a filter such as "gzip -c" has nothing
// in its command line that tells whose it is.
type witness struct {
	// known are process ids; each of them may lead a session that others join later.
	known map[int]bool
}

func (w *witness) look(root int) []process {
	seen := family(root)
	for _, p := range seen {
		w.known[p.pid] = true
	}
	return seen
}

// survivors waits at most the given time for everything of ours to end, and returns what does not.
func (w *witness) survivors(patience time.Duration, dirs ...string) []process {
	deadline := time.Now().Add(patience)
	for {
		left := ours(dirs...)
		for _, p := range processes() {
			if w.known[p.pid] || w.known[p.session] {
				left = append(left, p)
			}
		}
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func kill9(pid int) bool { return syscall.Kill(pid, syscall.SIGKILL) == nil }
