package bench

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/barman-go/barman/test/lab"
)

// The cluster of many files: as many as half a million tables have, in directories of the size that a large database has.
const (
	millionDirectories  = 20
	millionPerDirectory = 50_000
	// millionMemory is what no process may exceed.
	millionMemory = 300e6
)

// benchMillion backs up 1,000,000 files, in memory, and looks at every process that takes part.
func benchMillion(t *testing.T, b *bed, doc *document) {
	inMemory := *b
	inMemory.dir = memoryDir(t, b.owner)
	s := inMemory.newBackedUp(t, "million")
	s.as(t, "sh", "-c", fmt.Sprintf("cd %s/base && for d in $(seq %d); do mkdir 9000$d && (cd 9000$d && seq -f %%.0f 100000 %d | xargs touch -d '1 hour ago') || exit 1; done",
		s.cluster.Data, millionDirectories, 100_000+millionPerDirectory-1))
	doc.section("1,000,000 files", "A cluster of empty files in memory, two workers: the most memory that any process of a kind had (VmHWM).")
	var rows [][]string
	worst := 0.0
	for _, method := range []string{"local-rsync", "rsync"} {
		ours := s.barmans(t, method, false)[0]
		// Its preparation takes the first backup, into an empty catalog.
		for _, kind := range []struct {
			name string
			run  func()
		}{{"full", func() { ours.prepare(t) }}, {"incremental", func() { runOnce(t, ours) }}} {
			start := time.Now()
			peaks := watchMemory(kind.run)
			wall := time.Since(start)
			for _, name := range slices.Sorted(maps.Keys(peaks)) {
				worst = max(worst, peaks[name])
				rows = append(rows, []string{method, kind.name, name, fmt.Sprintf("%.0f MB", peaks[name]/1e6), seconds(wall.Seconds())})
			}
		}
		const all = millionDirectories * millionPerDirectory
		ofOurs := func(name string) bool { return len(name) == 6 && name[0] == '1' }
		if files, _ := treeSize(t, filepath.Join(s.dir, "ours-"+method, "main", "base"), ofOurs); files != 2*all {
			t.Fatalf("two backups by %s have %d files", method, files)
		}
		s.removeHomes(t)
	}
	doc.table([]string{"method", "kind", "process", "memory", "wall, all"}, rows)
	doc.bar("1,000,000 files: no process above 300 MB", worst > 0 && worst < millionMemory, fmt.Sprintf("%.0f MB", worst/1e6))
}

// memoryDir is a directory in memory.
func memoryDir(t *testing.T, owner lab.User) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "lab")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chown(dir, owner.UID, owner.GID); err != nil {
		t.Fatal(err)
	}
	return dir
}

// watchMemory returns the most memory, in bytes, that one process of each program had while run ran. It looks ten times a second at what
// descends from this process, the far end of ssh included.
func watchMemory(run func()) map[string]float64 {
	peaks := map[string]float64{}
	ended, looked := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(looked)
		for {
			for name, peak := range familyMemory(os.Getpid()) {
				peaks[name] = max(peaks[name], peak)
			}
			select {
			case <-ended:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	run()
	close(ended)
	<-looked
	return peaks
}

// familyMemory is what the descendants of a process have had at most, by program, as far as they copy.
func familyMemory(root int) map[string]float64 {
	parents, names, peaks := map[int]int{}, map[int]string{}, map[int]float64{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		line, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		status, err := os.ReadFile(filepath.Join("/proc", e.Name(), "status"))
		if err != nil {
			continue // it has ended
		}
		argv := strings.Split(string(line), "\x00")
		names[pid] = filepath.Base(argv[0])
		if names[pid] == "rsync" && slices.Contains(argv, "--server") {
			names[pid] = "rsync --server"
		}
		parents[pid], peaks[pid] = int(statusField(status, "PPid:")), statusField(status, "VmHWM:")*1024
	}
	most := map[string]float64{}
	for pid, name := range names {
		ancestor := pid
		for ancestor != root && ancestor > 1 {
			ancestor = parents[ancestor]
		}
		if ancestor == root && (name == "barman" || strings.HasPrefix(name, "barman-transfer-") || strings.HasPrefix(name, "rsync")) {
			most[name] = max(most[name], peaks[pid])
		}
	}
	return most
}

// statusField is a number in /proc/PID/status.
func statusField(status []byte, name string) float64 {
	_, rest, _ := bytes.Cut(status, []byte("\n"+name))
	var n float64
	_, _ = fmt.Sscan(string(rest), &n) // 0 when it is not there, as for a process that is ending
	return n
}
