package faults

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/test/faults/internal/faultfs"
	"github.com/barman-go/barman/test/faults/internal/powerloss"
)

// walWitness knows which WAL files were acknowledged, and looks for them on disks that have lost their power.
type walWitness struct {
	truth map[string][]byte
	// promised are the files that were acknowledged; rotten those whose file in the archive was spoilt, not by barman.
	promised, rotten map[string]bool
	// received is the first segment that a receiver has, and position what it has told to be flushed; of the last segment only what comes
	// before that is promised.
	received wal.Segment
	position wal.LSN
	// compared and indexes remember contents that were looked at.
	compared map[comparison]int
	indexes  map[powerloss.ContentID]map[string]bool
}

type comparison struct {
	id   powerloss.ContentID
	name string
}

func newWALWitness(truth map[string][]byte) *walWitness {
	return &walWitness{
		truth: truth, promised: map[string]bool{}, rotten: map[string]bool{}, compared: map[comparison]int{}, indexes: map[powerloss.ContentID]map[string]bool{},
	}
}

// replay loses the power after each operation of a log, in every way that powerloss knows. The error tells the first way in which
// something is lost.
func (w *walWitness) replay(base faultfs.Tree, log []faultfs.Op) error {
	disk := powerloss.New(base)
	for i, op := range log {
		w.see(op)
		changed := disk.Apply(op)
		// Of writes in a row the last one will do: a torn file looks like one that is half written.
		if !changed && op.Kind != faultfs.Mark || i+1 < len(log) && sameWrite(op, log[i+1]) {
			continue
		}
		for state := range disk.States() {
			if err := w.check(state); err != nil {
				return fmt.Errorf("when the power goes after step %d, and of what was not synced there are %s: %w\n%s",
					i+1, state.Description, err, listing(log[:i+1]))
			}
		}
	}
	return nil
}

// sameWrite tells whether two operations write to the same file.
func sameWrite(a, b faultfs.Op) bool {
	return a.Kind == faultfs.Write && b.Kind == faultfs.Write && a.Object == b.Object && a.Err == b.Err
}

// listing is the end of a log for people. Of writes to one file in a row only the first is shown.
func listing(log []faultfs.Op) string {
	var lines []string
	for i, op := range log {
		if i > 0 && sameWrite(log[i-1], op) {
			continue
		}
		lines = append(lines, fmt.Sprintf("%5d %s", i+1, op))
	}
	return strings.Join(lines[max(0, len(lines)-60):], "\n")
}

// see learns from an operation what was acknowledged. Whoever delivers by copying a file is answered when archive-wal removes it.
func (w *walWitness) see(op faultfs.Op) {
	switch note := op.Note.(type) {
	case acknowledged:
		w.promised[string(note)] = true
	case flushed:
		w.flushed(wal.LSN(note))
	case forgotten:
		delete(w.promised, string(note))
		w.rotten[string(note)] = true
	}
	dir, name := path.Split(op.Path)
	if _, known := w.truth[name]; known && op.Kind == faultfs.Unlink && op.Err == 0 && (dir == "main/incoming/" || dir == "main/streaming/") {
		w.promised[name] = true
	}
}

// flushed promises all WAL before a position.
func (w *walWitness) flushed(lsn wal.LSN) {
	w.position = max(w.position, lsn)
	for segment := w.received; segment.EndLSN(segmentSize) <= w.position; segment = segment.Next(segmentSize) {
		w.promised[segment.String()] = true
	}
}

// check looks for what was promised: each file is whole in the archive, and in the index; or it waits, whole, to be archived. And no name
// in the archive stands for a file that is not whole, for a restore would take it, nor for one to which nothing leads: it has a line in the
// index, or its source, by which the next run finds it.
func (w *walWitness) check(s *powerloss.State) error {
	archived, waiting, named, sources := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	var index map[string]bool
	last, lastSize := wal.SegmentForLSN(1, w.position, segmentSize).String(), int(w.position.Offset(segmentSize))
	for file, content := range s.Files() {
		name, partial := strings.CutSuffix(path.Base(file), ".partial")
		truth, known := w.truth[name]
		switch {
		case file == "main/wals/main-xlog.db":
			index = w.index(content)
			continue
		case !known || strings.HasPrefix(file, "main/errors/"):
			continue
		}
		matching := w.matching(name, content)
		if name == last && matching >= lastSize {
			lastSize = 0 // found
		}
		whole := matching == len(truth)
		if partial {
			// No line leads to a partial segment.
		} else if strings.HasPrefix(file, "main/wals/") {
			named[name] = true
		} else {
			sources[name] = true
		}
		switch {
		case !strings.HasPrefix(file, "main/wals/"):
			waiting[name] = waiting[name] || whole
		case partial:
		case whole:
			archived[name] = true
		case w.promised[name] && !w.rotten[name]:
			return fmt.Errorf("%s is not what was archived", file)
		}
		if w.position != 0 && !partial && !whole {
			return fmt.Errorf("%s has the name of a complete segment, and is none", file)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.promised)) {
		switch {
		case waiting[name], archived[name] && index[name]:
		case archived[name]:
			return fmt.Errorf("%s is in the archive only, and not in the index", name)
		default:
			return fmt.Errorf("%s is lost", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if !index[name] && !sources[name] {
			return fmt.Errorf("%s is in the archive, and nothing leads to it", name)
		}
	}
	if lastSize > 0 {
		return fmt.Errorf("%s does not reach to %s, which was flushed", last, w.position)
	}
	return nil
}

// matching is the number of bytes with which a content, decoded, begins as a file does; −1 when it is longer.
func (w *walWitness) matching(name string, c powerloss.Content) int {
	key := comparison{c.ID, name}
	n, done := w.compared[key]
	if done {
		return n
	}
	content, truth := plain(c.Bytes()), w.truth[name]
	for n = 0; n < min(len(content), len(truth)) && content[n] == truth[n]; {
		n++
	}
	if len(content) > len(truth) {
		n = -1
	}
	w.compared[key] = n
	return n
}

func plain(content []byte) []byte {
	if !bytes.HasPrefix(content, []byte("\x1f\x8b")) {
		return content
	}
	r, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil
	}
	decoded, err := io.ReadAll(r)
	if err != nil {
		return nil
	}
	return decoded
}

// index are the names that can be read in a WAL index.
func (w *walWitness) index(c powerloss.Content) map[string]bool {
	names, done := w.indexes[c.ID]
	if !done {
		names = map[string]bool{}
		for line, err := range catalog.ReadWALLines(c.Bytes(), "index").All() {
			if err == nil {
				names[line.Name] = true
			}
		}
		w.indexes[c.ID] = names
	}
	return names
}
