package filecopy

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
)

const (
	// unitCost is the work at which a unit is closed: small enough that workers end together, large enough that a run
	// of rsync, which may be an ssh login, is worth it.
	unitCost = 64 << 20
	// fileCost is what a file costs besides its bytes, in bytes.
	fileCost = 64 << 10
)

// unit is a piece of a list: some names that are copied together.
type unit struct {
	offset, length int64
	files, bytes   int64
}

func (u unit) cost() int64 { return u.bytes + u.files*fileCost }

// spool is a list of names in a file, cut into units. It is written once and then read by several runs.
type spool struct {
	file  *os.File
	w     *bufio.Writer
	size  int64
	open  unit
	units []unit
}

func newSpool(path string) (*spool, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("file list: %w", err)
	}
	return &spool{file: f, w: bufio.NewWriterSize(f, 64<<10)}, nil
}

// add appends a name. A file that is a unit's worth stays alone.
func (s *spool) add(name string, size int64) error {
	if size >= unitCost {
		s.cut()
	}
	if _, err := s.w.WriteString(name); err != nil {
		return fmt.Errorf("file list: %w", err)
	}
	if err := s.w.WriteByte(0); err != nil {
		return fmt.Errorf("file list: %w", err)
	}
	s.size += int64(len(name)) + 1
	s.open.length += int64(len(name)) + 1
	s.open.files++
	s.open.bytes += size
	if s.open.cost() >= unitCost {
		s.cut()
	}
	return nil
}

func (s *spool) cut() {
	if s.open.files > 0 {
		s.units = append(s.units, s.open)
	}
	s.open = unit{offset: s.size}
}

// finish ends the writing.
func (s *spool) finish() error {
	s.cut()
	if err := s.w.Flush(); err != nil {
		return fmt.Errorf("file list: %w", err)
	}
	return nil
}

func (s *spool) close() error { return s.file.Close() }

// reader returns the names of some units.
func (s *spool) reader(units []unit) io.Reader {
	parts := make([]io.Reader, len(units))
	for i, u := range units {
		parts[i] = io.NewSectionReader(s.file, u.offset, u.length)
	}
	return io.MultiReader(parts...)
}

func total(units []unit) (sum unit) {
	for _, u := range units {
		sum.files += u.files
		sum.bytes += u.bytes
	}
	return sum
}

// largestFirst sorts units so that the small ones fill the gaps at the end.
func largestFirst(units []unit) {
	slices.SortStableFunc(units, func(a, b unit) int {
		switch ca, cb := a.cost(), b.cost(); {
		case ca > cb:
			return -1
		case ca < cb:
			return 1
		}
		return 0
	})
}
