package receive

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
)

const (
	// fileMode is that of pg_receivewal.
	fileMode = 0o600
	// maxVectors is IOV_MAX of Linux.
	maxVectors = 1024
)

// segmentFile is the file of the segment that is being received.
type segmentFile struct {
	dir     string
	expect  wal.Expect
	segment wal.Segment
	file    *os.File
	// begin and end are the addresses of the segment. WAL before written is in the file, and before flushed durable.
	begin, end, written, flushed wal.LSN
	// head is the beginning of the first page until there is enough of it to examine; it is not written before.
	head    []byte
	checked bool
	vectors [][]byte
	// earlier is the end of what the file held when it was opened; parted is called when what comes differs from that.
	earlier wal.LSN
	parted  func() error
}

// openSegment creates or continues the file of the segment at an address. truncated tells that there was one of an odd size, left by
// a process that died while it created it: nothing had been written to it.
func openSegment(dir string, at position, expect wal.Expect) (s *segmentFile, truncated bool, err error) {
	segment := at.segment(expect.SegmentSize)
	s = &segmentFile{
		dir: dir, expect: expect, segment: segment,
		begin: at.lsn, end: segment.EndLSN(expect.SegmentSize), written: at.lsn, flushed: at.lsn, earlier: at.lsn,
	}
	s.file, err = os.OpenFile(s.partialPath(), os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, false, fsx.Wrap("open", s.partialPath(), err)
	}
	truncated, err = s.makeRoom()
	if err != nil {
		return nil, truncated, errors.Join(err, s.file.Close())
	}
	return s, truncated, nil
}

// makeRoom gives the file its full size. pg_receivewal takes a file of any other size for damaged.
func (s *segmentFile) makeRoom() (truncated bool, err error) {
	info, err := s.file.Stat()
	if err != nil {
		return false, err
	}
	size := int64(s.expect.SegmentSize)
	if info.Size() == size {
		s.earlier, err = s.earlierEnd()
		return false, err
	}
	if truncated = info.Size() != 0; truncated {
		if err := s.file.Truncate(0); err != nil {
			return truncated, fsx.Wrap("truncate", s.file.Name(), err)
		}
	}
	if err := fsx.Allocate(s.file, size); err != nil {
		// An empty file of this name holds the position as well, and no space.
		return truncated, errors.Join(err, s.file.Truncate(0))
	}
	// Size and name become durable before any WAL in the file counts.
	if err := fsx.Sync(s.file); err != nil {
		return truncated, err
	}
	return truncated, fsx.SyncDir(s.dir)
}

func (s *segmentFile) finalPath() string { return filepath.Join(s.dir, s.segment.String()) }

func (s *segmentFile) partialPath() string {
	return filepath.Join(s.dir, wal.PartialName(s.segment))
}

// write appends WAL up to the end of the segment. It returns what is left for the next one, in the same array.
func (s *segmentFile) write(parts [][]byte) (rest [][]byte, err error) {
	room := int(s.end-s.written) - len(s.head)
	if s.checked {
		room = int(s.end - s.written)
	}
	s.vectors = s.vectors[:0]
	for i, part := range parts {
		if len(part) > room {
			rest = parts[i:]
			rest[0] = part[room:]
			part = part[:room]
		}
		if len(part) > 0 {
			s.vectors = append(s.vectors, part)
			room -= len(part)
		}
		if rest != nil {
			break
		}
	}
	vectors := s.vectors
	if !s.checked {
		if vectors, err = s.examine(vectors); err != nil || vectors == nil {
			return rest, err
		}
	}
	if s.written < s.earlier {
		if err := s.compare(vectors); err != nil {
			return rest, err
		}
	}
	return rest, s.put(vectors)
}

// examine looks at the first page before anything is written. It returns nil while there is too little of it.
func (s *segmentFile) examine(vectors [][]byte) ([][]byte, error) {
	have := len(s.head)
	for _, part := range vectors {
		have += len(part)
	}
	if have < wal.PageHeaderSize {
		for _, part := range vectors {
			s.head = append(s.head, part...)
		}
		return nil, nil
	}
	if len(s.head) > 0 {
		vectors = append([][]byte{s.head}, vectors...)
	}
	page := make([]byte, 0, wal.PageHeaderSize)
	for _, part := range vectors {
		page = append(page, part[:min(len(part), wal.PageHeaderSize-len(page))]...)
	}
	name, err := wal.ParseFileName(s.segment.String())
	if err != nil {
		return nil, err
	}
	if _, err := wal.Verify(page, int64(s.expect.SegmentSize), name, s.expect); err != nil {
		return nil, fmt.Errorf("the server sends WAL that is not its own: %w", err)
	}
	s.head, s.checked = nil, true
	return vectors, nil
}

// put writes all of the vectors at the current address.
func (s *segmentFile) put(vectors [][]byte) error {
	for len(vectors) > 0 {
		n, err := unix.Pwritev(int(s.file.Fd()), vectors[:min(len(vectors), maxVectors)], int64(s.written-s.begin))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && n == 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return fsx.Wrap("write", s.file.Name(), err)
		}
		s.written += wal.LSN(n)
		for n > 0 {
			if n < len(vectors[0]) {
				vectors[0] = vectors[0][n:]
				break
			}
			n -= len(vectors[0])
			vectors = vectors[1:]
		}
	}
	return nil
}

// dirty tells that there is WAL in the file that is not durable.
func (s *segmentFile) dirty() bool { return s.written != s.flushed }

func (s *segmentFile) full() bool { return s.written == s.end }

// sync makes what was written durable.
func (s *segmentFile) sync() error {
	if !s.dirty() {
		return nil
	}
	// Size and blocks are durable since the file was opened, so its data is all that is missing.
	if err := fsx.SyncData(s.file); err != nil {
		return err
	}
	s.flushed = s.written
	return nil
}

// complete gives a full segment its final name and closes it. The content is durable before the name says that it is complete.
func (s *segmentFile) complete() error {
	if err := s.sync(); err != nil {
		return err
	}
	if err := fsx.Rename(s.partialPath(), s.finalPath()); err != nil {
		return err
	}
	return s.file.Close()
}

// leave closes the file of a timeline that has ended. It keeps the name of a partial segment; without WAL in it nothing is kept.
func (s *segmentFile) leave() error {
	if s.written == s.begin {
		if err := s.file.Close(); err != nil {
			return err
		}
		if err := os.Remove(s.partialPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return fsx.SyncDir(s.dir)
	}
	return errors.Join(s.sync(), s.file.Close())
}
