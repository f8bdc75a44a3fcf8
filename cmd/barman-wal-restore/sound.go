package main

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/barman-go/barman/core/wal"
)

// sound is what verify says about a file.
type sound struct {
	// size is the segment size of the cluster; 0 for a file that is no segment.
	size wal.SegmentSize
	// sum is the CRC-32C of the content.
	sum uint32
}

// castagnoli is the polynomial of CRC-32C, which processors have an instruction for.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errEmpty means that there is nothing in a file; no WAL file is empty.
var errEmpty = errors.New("it is empty")

// verify checks that a decoded file is what its name says, as far as its first page and size tell, and takes its checksum. A
// segment that is not complete, where partial allows that, gets the zeros that PostgreSQL wants behind its end.
func verify(path string, name wal.FileName, partial bool) (sound, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return sound{}, err
	}
	defer f.Close() //nolint:errcheck // Truncate needs no flushing
	info, err := f.Stat()
	if err != nil {
		return sound{}, err
	}
	head := make([]byte, min(wal.PageHeaderSize, info.Size()))
	if _, err := io.ReadFull(f, head); err != nil {
		return sound{}, err
	}
	size := info.Size()
	if size == 0 {
		return sound{}, fmt.Errorf("%s: %w", name, errEmpty)
	}
	if header, err := wal.DecodePageHeader(head); err == nil && partial && size < int64(header.SegmentSize) && name.IsWAL() {
		size = int64(header.SegmentSize)
		if err := f.Truncate(size); err != nil {
			return sound{}, err
		}
	}
	header, err := wal.Verify(head, size, name, wal.Expect{})
	if err != nil {
		return sound{}, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return sound{}, err
	}
	sum := crc32.New(castagnoli)
	if _, err := io.CopyBuffer(sum, struct{ io.Reader }{f}, make([]byte, copyBuffer)); err != nil {
		return sound{}, err
	}
	return sound{size: header.SegmentSize, sum: sum.Sum32()}, nil
}
