package archive

import (
	"errors"
	"hash"
	"io"
	"os"

	"github.com/barman-go/barman/core/fsx"
)

// A file goes through copyHashed in blocks. Few and small ones, for memory that is touched for the first time costs more than a
// call of the kernel.
const (
	blockSize = 64 << 10
	blocks    = 4
	// writebackStep is how much is written between two requests to begin with the disk.
	writebackStep = 2 << 20
)

// copyHashed writes what r gives to a file and hashes it, the two on different processors. The kernel begins to write to the disk before the
// end, so that the fsync that follows has little to wait for.
func copyHashed(to *os.File, r io.Reader, h hash.Hash) error {
	free, full := make(chan []byte, blocks), make(chan []byte, blocks)
	for range blocks {
		free <- make([]byte, blockSize)
	}
	hashed := make(chan struct{})
	go func() {
		defer close(hashed)
		for block := range full {
			_, _ = h.Write(block) // never fails
			free <- block[:cap(block)]
		}
	}()
	err := copyBlocks(to, r, free, full)
	close(full)
	<-hashed
	return err
}

// copyBlocks takes free blocks, fills them, writes them, and passes them on.
func copyBlocks(to *os.File, r io.Reader, free <-chan []byte, full chan<- []byte) error {
	var written, begun int64
	for {
		block := <-free
		n, err := r.Read(block)
		if n > 0 {
			if _, err := to.Write(block[:n]); err != nil {
				return err
			}
			written += int64(n)
			if written-begun >= writebackStep {
				fsx.BeginWriteback(to, begun, written-begun)
				begun = written
			}
		}
		full <- block[:n]
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
