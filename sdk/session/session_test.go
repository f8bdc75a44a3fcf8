package session

import (
	"bufio"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestKillEndsTheWholeSessionButOne(t *testing.T) {
	// A leader, a child in its group, and a child in a group of its own, with a name that looks like the end of one.
	cmd := exec.Command("bash", "-mc", `sleep 1000 & bash -c 'exec -a "a) Z 1 (b" sleep 1000' & echo $!; jobs -p | head -1; wait`)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	leader := cmd.Process.Pid
	lines := bufio.NewScanner(out)
	var children []int
	for len(children) < 2 && lines.Scan() {
		pid, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
		if err != nil {
			t.Fatal(err)
		}
		children = append(children, pid)
	}
	for _, pid := range append(children, leader) {
		if !slices.Contains(Members(leader), pid) {
			t.Errorf("%d is not found in session %d", pid, leader)
		}
	}
	Kill(leader, leader)
	// The leader reaps its children and ends by itself.
	if err := cmd.Wait(); err != nil {
		t.Logf("the leader ended with %v", err)
	}
	if left := Members(leader); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
