package lab

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// TestNothingOutlivesAKilledTestProcess starts this test binary again as a victim that makes a cluster and an sshd, and kills it.
func TestNothingOutlivesAKilledTestProcess(t *testing.T) {
	if os.Getenv("LAB_VICTIM") != "" {
		beVictim(t)
		return
	}
	victim := exec.Command(os.Args[0], "-test.run=^TestNothingOutlivesAKilledTestProcess$", "-test.v")
	victim.Env = append(os.Environ(), "LAB_VICTIM=1", "BARMAN_TEST_KEEP=")
	victim.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = victim.Process.Kill() }()
	var pids []int
	var dirs []string
	for lines := bufio.NewScanner(out); len(pids) < 2 && lines.Scan(); {
		var pid int
		var dir string
		if n, _ := fmt.Sscanf(lines.Text(), "victim %d %s", &pid, &dir); n == 2 {
			pids, dirs = append(pids, pid), append(dirs, dir)
		}
	}
	if len(pids) != 2 {
		t.Fatal("the victim did not come up")
	}
	pids = append(pids, childrenOf(pids[0])...)
	if len(pids) < 4 {
		t.Fatalf("processes %v: the cluster has no children", pids)
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait() // killed, as we know
	deadline := time.Now().Add(30 * time.Second)
	for left := "?"; left != ""; time.Sleep(50 * time.Millisecond) {
		left = ""
		for _, pid := range pids {
			if _, state := parentAndState(pid); state != "" && state != "Z" {
				left += " process " + strconv.Itoa(pid)
			}
		}
		for _, dir := range dirs {
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				left += " " + dir
			}
		}
		if left != "" && time.Now().After(deadline) {
			t.Fatalf("left behind:%s", left)
		}
	}
}

func beVictim(t *testing.T) {
	c := StartCluster(t, ClusterOptions{})
	s := StartSSHD(t)
	fmt.Printf("victim %d %s\nvictim %d %s\n", c.server.Process.Pid, c.Dir, s.cmd.Process.Pid, s.dir)
	select {} // until we are killed
}
