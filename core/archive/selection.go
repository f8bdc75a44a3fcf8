package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
)

// Source is a directory from which WAL is archived.
type Source struct {
	// Name is for messages: "file archival" or "streaming".
	Name string
	Dir  string
	// Batch is the number of files archived in one run; 0 means all.
	Batch int
	// Streaming directories hold the file that is being received; it, or the last one, stays.
	Streaming bool
}

// Names of the sources, as they stand in messages.
const (
	FileArchival = "file archival"
	Streaming    = "streaming"
)

// candidate is a file that waits to be archived.
type candidate struct {
	name wal.FileName
	path string
}

// selection is what a run finds in a source.
type selection struct {
	files []candidate
	// junk are the names of entries that are no WAL files.
	junk []string
	// total counts all entries except temporary ones.
	total int
}

// selectFiles lists a source in name order. Hidden and temporary names are invisible; junk does not count towards the
// batch, so that it cannot keep WAL from being archived.
func (s Source) selectFiles() (selection, error) {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return selection{}, nil
	}
	if err != nil {
		return selection{}, fmt.Errorf("list WAL files: %w", err)
	}
	var sel selection
	var partials []candidate
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || strings.HasSuffix(e.Name(), fsx.TempSuffix) {
			continue
		}
		sel.total++
		name, err := wal.ParseFileName(e.Name())
		if err != nil || !e.Type().IsRegular() {
			sel.junk = append(sel.junk, e.Name())
			continue
		}
		c := candidate{name, filepath.Join(s.Dir, e.Name())}
		if s.Streaming && name.Kind() == wal.KindPartial {
			partials = append(partials, c)
			continue
		}
		sel.files = append(sel.files, c)
	}
	if s.Streaming {
		sel.holdBack(partials)
	}
	if s.Batch > 0 && len(sel.files) > s.Batch {
		sel.files = sel.files[:s.Batch]
	}
	return sel, nil
}

// holdBack leaves the receiver its position: the newest partial file, or the newest file when there is none. Older
// partial files are the ends of timelines that were left; they are archived as they are.
func (sel *selection) holdBack(partials []candidate) {
	switch {
	case len(partials) > 0:
		sel.files = append(sel.files, partials[:len(partials)-1]...)
	case len(sel.files) > 0:
		sel.files = sel.files[:len(sel.files)-1]
	}
}
