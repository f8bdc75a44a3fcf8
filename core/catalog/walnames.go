package catalog

import (
	"context"

	"github.com/barman-go/barman/core/wal"
)

// WALNames is a set of names of WAL files. It stays small however many segments it holds, because an archive is nearly one range.
type WALNames struct {
	segments segmentSet
	others   map[string]bool
}

// Add tells whether the name was not in the set yet.
func (s *WALNames) Add(name wal.FileName) bool {
	if s.others == nil {
		s.segments, s.others = make(segmentSet), make(map[string]bool)
	}
	if segment, _ := name.Segment(); name.IsWAL() {
		return s.segments.add(segment)
	}
	if s.others[name.Canonical()] {
		return false
	}
	s.others[name.Canonical()] = true
	return true
}

// Names are the names that the index lists. Lines that cannot be understood are left out.
func (x *WALIndex) Names(ctx context.Context) (*WALNames, error) {
	var names *WALNames
	err := x.Since(ctx, WALMark{}, func(_ WALMark, _ bool, each func(func(WALLines)) error) error {
		names = &WALNames{}
		return each(func(block WALLines) {
			for line, err := range block.All() {
				if err == nil {
					names.Add(line.File)
				}
			}
		})
	})
	return names, err
}
