package filecopy

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/barman-go/barman/sdk/plugin"
	"github.com/barman-go/barman/sdk/progress"
	"github.com/barman-go/barman/sdk/transfer"
)

// TestMemoryDoesNotGrowWithTheNumberOfFiles takes an incremental backup of 100,000 unchanged files, and of a hundred that have changed.
func TestMemoryDoesNotGrowWithTheNumberOfFiles(t *testing.T) {
	const directories, perDirectory = 20, 5000
	base := t.TempDir()
	src, previous, dst := base+"/src", base+"/previous", base+"/dst"
	makeMany(t, src, previous, directories, perDirectory)
	for i := range 100 {
		write(t, src, tree{fmt.Sprintf("base/%d/changed%d", i%directories, i): "new"})
	}
	var peak atomic.Uint64
	runtime.GC()
	before := heap()
	rep := progress.Func(func(p progress.Progress) {
		if p.FilesDone%997 == 0 {
			peak.Store(max(peak.Load(), heap()))
		}
	})
	result, err := NewLocal(plugin.Env{WorkDir: t.TempDir()}).Copy(t.Context(), transfer.Plan{
		Direction: transfer.Local, Workers: 1, Items: []transfer.Item{{
			Label: "pgdata", Kind: transfer.Directory, Source: src, Destination: dst, DeleteExtra: true, SafeHorizon: time.Now(),
			Reuse: transfer.ReuseLink, ReuseDirectory: previous,
		}},
	}, rep)
	if err != nil {
		t.Fatal(err)
	}
	const all = directories * perDirectory
	if result.Files != all+100 || result.FilesCopied != 100 {
		t.Errorf("%d files, %d of them copied", result.Files, result.FilesCopied)
	}
	// A name takes 40 bytes and more when it is kept; all names, 4 MB and more.
	const limit = 16 << 20
	if peak.Load() == 0 || peak.Load() > before+limit {
		t.Errorf("memory has grown from %d to %d bytes", before, peak.Load())
	}
	last := fmt.Sprintf("/base/%d/%d", directories-1, perDirectory-1)
	if inode(t, dst+last) != inode(t, previous+last) {
		t.Error("a file that has not changed is not shared")
	}
}

// heap is how much memory holds objects, dead ones included.
func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// makeMany makes two trees with the same files. Names cost less than files, so the files of a directory are one.
func makeMany(t *testing.T, src, previous string, directories, perDirectory int) {
	t.Helper()
	when := time.Now().Add(-time.Hour)
	for _, root := range []string{src, previous} {
		for d := range directories {
			dir := filepath.Join(root, "base", fmt.Sprint(d))
			write(t, dir, tree{"0": "row"})
			setTime(t, when, dir+"/0")
			for i := 1; i < perDirectory; i++ {
				if err := os.Link(dir+"/0", fmt.Sprintf("%s/%d", dir, i)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
