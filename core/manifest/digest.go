package manifest

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/barman-go/barman/sdk/progress"
)

// pieceSize is how much of a file is read at a time.
const pieceSize = 256 << 10

// meter adds up what all workers have read.
type meter struct {
	mu  sync.Mutex
	rep progress.Reporter
	sum progress.Progress
}

func newMeter(rep progress.Reporter, total int64) *meter {
	if rep == nil {
		rep = progress.Discard
	}
	return &meter{rep: rep, sum: progress.Progress{BytesTotal: total}}
}

func (m *meter) add(bytes, files int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sum.BytesDone += bytes
	m.sum.FilesDone += files
	m.rep.Progress(m.sum)
}

// digester reads files for one worker.
type digester struct {
	ctx   context.Context
	meter *meter
	piece []byte
	// hashes are made once for each algorithm.
	hashes map[string]hash.Hash
}

func newDigester(ctx context.Context, m *meter) *digester {
	return &digester{ctx: ctx, meter: m, piece: make([]byte, pieceSize), hashes: map[string]hash.Hash{}}
}

// open opens a regular file. It returns errNotRegular for anything else, without waiting for the other end of a pipe.
func open(path string) (*os.File, fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s: %w", path, errNotRegular)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	if info, err = f.Stat(); err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

var errNotRegular = errors.New("is not a file or directory")

// sum returns the checksum of a file's content, and how many bytes it has.
func (d *digester) sum(f *os.File, algorithm string) (sum []byte, size int64, err error) {
	h := d.hashes[algorithm]
	if h == nil {
		h = algorithms[algorithm]()
		d.hashes[algorithm] = h
	}
	h.Reset()
	for {
		if d.ctx.Err() != nil {
			return nil, size, context.Cause(d.ctx)
		}
		n, err := f.Read(d.piece)
		h.Write(d.piece[:n])
		size += int64(n)
		d.meter.add(int64(n), 0)
		if errors.Is(err, io.EOF) {
			d.meter.add(0, 1)
			return h.Sum(nil), size, nil
		}
		if err != nil {
			return nil, size, err
		}
	}
}
