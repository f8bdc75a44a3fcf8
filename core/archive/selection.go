package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
)

// Source is a directory from which WAL is archived.
type Source struct {
	// Name is for messages: FileArchival or Streaming.
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

// selection is what a run finds in a source. It holds names only, for queues may be long.
type selection struct {
	// files are in name order.
	files []wal.FileName
	// junk are the names of entries that are no WAL files.
	junk []string
	// total counts all entries that are not hidden, as Barman does for its message about the batch size.
	total int
}

// selectFiles lists a source. Hidden and temporary names are left alone; junk does not count towards the batch, so that
// it cannot keep WAL from being archived.
func (s Source) selectFiles() (selection, error) {
	entries, err := os.ReadDir(s.Dir) // sorted by name
	if errors.Is(err, fs.ErrNotExist) {
		return selection{}, nil
	}
	if err != nil {
		return selection{}, fmt.Errorf("list WAL files: %w", err)
	}
	var sel selection
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		sel.total++
		if strings.HasSuffix(e.Name(), fsx.TempSuffix) {
			continue
		}
		name, err := wal.ParseFileName(e.Name())
		if err != nil || !e.Type().IsRegular() {
			sel.junk = append(sel.junk, e.Name())
			continue
		}
		sel.files = append(sel.files, name)
	}
	if s.Streaming {
		sel.holdBack()
	}
	if s.Batch > 0 && len(sel.files) > s.Batch {
		sel.files = slices.Clone(sel.files[:s.Batch]) // the rest of a long queue need not be kept
	}
	return sel, nil
}

// holdBack leaves the receiver its position: the newest partial segment, or the newest segment when none is partial.
// Older partial segments are the ends of timelines that were left; they are archived as they are.
//
// (Barman holds back the last file of whatever kind. A history file sorts after the segments of the timeline before, and
// tells a receiver nothing about its position.)
func (sel *selection) holdBack() {
	last := -1
	for _, kind := range []wal.Kind{wal.KindPartial, wal.KindSegment} {
		for i, name := range sel.files {
			if name.Kind() == kind {
				last = i
			}
		}
		if last >= 0 {
			sel.files = append(sel.files[:last:last], sel.files[last+1:]...)
			return
		}
	}
}
