package receive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
)

// A segment is received again from its first byte when a receiver goes on. What its file holds by then may have been acknowledged to
// a server that is gone; a server restored without it, on the same timeline, sends other WAL for the same place. So what comes is
// compared with what is there, and where they part the earlier file is kept, in the errors directory.

// earlierEnd is the address after the last byte of WAL in a file that was there before.
func (s *segmentFile) earlierEnd() (wal.LSN, error) {
	const piece = 128 << 10
	buf := make([]byte, piece)
	for end := int64(s.expect.SegmentSize); end > 0; end -= piece {
		n, err := s.file.ReadAt(buf, end-piece)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if text := bytes.TrimRight(buf[:n], "\x00"); len(text) > 0 {
			return s.begin + wal.LSN(end-piece) + wal.LSN(len(text)), nil
		}
	}
	return s.begin, nil
}

// compare calls parted once, when what is about to be written differs from what is there. The file is still what it was then: up to
// here it was overwritten by the same bytes.
func (s *segmentFile) compare(vectors [][]byte) error {
	at := s.written
	for _, part := range vectors {
		if at >= s.earlier {
			break
		}
		part = part[:min(len(part), int(s.earlier-at))]
		there := make([]byte, len(part))
		if _, err := s.file.ReadAt(there, int64(at-s.begin)); err != nil {
			return err
		}
		if !bytes.Equal(part, there) {
			s.earlier = s.begin
			return s.parted()
		}
		at += wal.LSN(len(part))
	}
	return nil
}

// keepEarlier copies the file of a segment to the errors directory, durably, before other WAL is written over it.
func (t *stream) keepEarlier() error {
	path := t.file.partialPath()
	if err := fsx.MkdirAll(t.Errors, 0o755); err != nil {
		return err
	}
	base := fmt.Sprintf("%s.%s", filepath.Base(path), t.Now().UTC().Format("20060102T150405Z"))
	for n := 0; ; n++ {
		kept := filepath.Join(t.Errors, base+".duplicate")
		if n > 0 {
			kept = filepath.Join(t.Errors, fmt.Sprintf("%s-%d.duplicate", base, n))
		}
		temp := fsx.TempPath(kept)
		if err := fsx.CopyFile(path, temp, fsx.CopyOptions{Sync: true}); err != nil {
			return err
		}
		switch err := fsx.PublishNew(temp, kept); {
		case errors.Is(err, fs.ErrExist):
			if err := os.Remove(temp); err != nil {
				return err
			}
			continue
		case err != nil:
			return errors.Join(err, os.Remove(temp))
		}
		t.Out.Warning("%s: the server's WAL is not what was received before: they part near %s. The earlier file is kept as %s; "+
			"it may hold commits of a server that is lost", t.Server, t.file.written, kept)
		return nil
	}
}
