package archive_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/sdk/progress"
)

// errSeen ends a run whose beginning was all that mattered.
var errSeen = errors.New("seen enough")

// beginning is what a run of a queue looks like when its first files are in the archive.
type beginning struct {
	first progress.Progress
	// waiting are the files in incoming/ then, prepared the temporary files in wals/.
	waiting, prepared int
	// heap is what is in use, in bytes.
	heap uint64
}

// begin queues n history files, which are small and may all have the same content, and stops the run after its first group.
func begin(t *testing.T, n int) beginning {
	t.Helper()
	s := newSite(t)
	var source string
	for i := range n {
		// A file system bounds the names of one file, ext4 at 65,000.
		if i%10_000 == 0 {
			source = s.deliver(fmt.Sprintf("%08X.history", i+2), []byte("1\t0/3000148\tno recovery target specified\n"))
			continue
		}
		check(t, os.Link(source, filepath.Join(s.layout.Incoming, fmt.Sprintf("%08X.history", i+2))))
	}
	a := s.archiver("")
	ctx, cancel := context.WithCancelCause(t.Context())
	var b beginning
	a.Progress = progress.Func(func(p progress.Progress) {
		if b.first.FilesTotal != 0 {
			return
		}
		b.first = p
		b.waiting = len(names(t, s.layout.Incoming))
		for _, name := range names(t, s.layout.WALs) {
			if _, _, isTemp := fsx.ParseTempName(name); isTemp {
				b.prepared++
			}
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.heap = m.HeapAlloc
		cancel(errSeen)
	})
	if _, err := a.Run(ctx, s.incoming()); !errors.Is(err, errSeen) {
		t.Fatalf("the run of %d files ended with %v", n, err)
	}
	s.wantNoTemps()
	return b
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	d, err := os.Open(dir)
	check(t, err)
	defer func() { _ = d.Close() }()
	all, err := d.Readdirnames(-1)
	check(t, err)
	return all
}

func TestLongQueueStartsAtOnceAndCostsOnlyItsNames(t *testing.T) {
	const (
		long = 100_000
		// ahead is more than a window, the group that is filed, and the workers, and far less than the queue.
		ahead = 200
		// perName is more than a name in memory takes, and far less than the 8 kB of a page, of which a segment has 2,048.
		perName = 256
	)
	short := begin(t, 1000)
	b := begin(t, long)
	if b.first.FilesTotal != long || b.first.FilesDone < 1 || b.first.FilesDone > ahead {
		t.Errorf("the first progress is %+v", b.first)
	}
	if b.waiting < long-ahead || b.prepared > ahead {
		t.Errorf("when the first were filed, %d waited and %d were prepared", b.waiting, b.prepared)
	}
	if more := int64(b.heap) - int64(short.heap); more > long*perName {
		t.Errorf("%d files take %d kB more than 1000", long, more>>10)
	} else {
		t.Logf("%d files take %d kB more than 1000", long, more>>10)
	}
}
