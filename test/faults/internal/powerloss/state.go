package powerloss

import (
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/barman-go/barman/test/faults/internal/faultfs"
)

// Contents says what became of contents that were not synced.
type Contents string

// What may become of them.
const (
	Lost   Contents = "lost"
	Zeroed Contents = "zeroed"
	Torn   Contents = "torn"
	Kept   Contents = "kept"
)

// block is the unit in which contents are torn.
const block = 4096

// State is one of the states in which a disk may be found.
type State struct {
	// Description tells it from others.
	Description string
	disk        *Disk
	contents    Contents
	// dirs are the names that there are.
	dirs map[faultfs.Object]map[string]faultfs.Object
}

// Content is that of a file. Equal IDs mean equal contents, on one Disk.
type Content struct {
	ID    ContentID
	Bytes func() []byte
}

// ContentID identifies a content.
type ContentID struct {
	object           faultfs.Object
	version, pending int
	contents         Contents
}

// States are the states that are worth a look.
func (d *Disk) States() iter.Seq[*State] {
	return func(yield func(*State) bool) {
		contents := []Contents{Lost}
		if slices.ContainsFunc(slices.Collect(maps.Values(d.files)), func(f *file) bool { return len(f.pending) > 0 }) {
			contents = []Contents{Lost, Zeroed, Torn, Kept}
		}
		for names, dirs := range d.names() {
			for _, c := range contents {
				if !yield(&State{Description: names + ", contents " + string(c), disk: d, contents: c, dirs: dirs}) {
					return
				}
			}
		}
	}
}

// names yields the combinations of names that may be found.
func (d *Disk) names() iter.Seq2[string, map[faultfs.Object]map[string]faultfs.Object] {
	return func(yield func(string, map[faultfs.Object]map[string]faultfs.Object) bool) {
		var dirty []faultfs.Object
		for _, c := range d.pending {
			if !slices.Contains(dirty, c.dir) {
				dirty = append(dirty, c.dir)
			}
		}
		for set := range 1 << len(dirty) {
			kept := map[faultfs.Object]bool{}
			for i, dir := range dirty {
				kept[dir] = set&(1<<i) != 0
			}
			if !yield(fmt.Sprintf("names of %d of %d directories kept (set %b)", len(slices.DeleteFunc(slices.Clone(dirty),
				func(dir faultfs.Object) bool { return !kept[dir] })), len(dirty), set), d.with(func(c change) bool { return kept[c.dir] })) {
				return
			}
		}
		// As a journal does it. All and none were there already.
		for i := 1; i < len(d.pending); i++ {
			if step := d.pending[i].step; step != d.pending[i-1].step &&
				!yield(fmt.Sprintf("names of before step %d kept", step), d.with(func(c change) bool { return c.step < step })) {
				return
			}
		}
	}
}

// with is the durable names and those of the pending changes that were kept.
func (d *Disk) with(kept func(change) bool) map[faultfs.Object]map[string]faultfs.Object {
	dirs := maps.Clone(d.dirs)
	cloned := map[faultfs.Object]bool{}
	for i, c := range d.pending {
		if !kept(c) || c.object == 0 && c.with != 0 && d.newNameLost(i, kept) {
			continue
		}
		if !cloned[c.dir] {
			cloned[c.dir] = true
			dirs[c.dir] = maps.Clone(dirs[c.dir])
		}
		c.applyTo(dirs[c.dir])
	}
	return dirs
}

// newNameLost tells whether the removal at i belongs to a rename whose new name is pending and was not kept.
func (d *Disk) newNameLost(i int, kept func(change) bool) bool {
	return slices.ContainsFunc(d.pending, func(c change) bool { return c.step == d.pending[i].step && c.object != 0 && !kept(c) })
}

// Files yields paths, relative to the root, and contents. The order is that of the paths within each directory.
func (s *State) Files() iter.Seq2[string, Content] {
	return func(yield func(string, Content) bool) { s.walk("", s.disk.root, yield) }
}

func (s *State) walk(path string, dir faultfs.Object, yield func(string, Content) bool) bool {
	for _, name := range slices.Sorted(maps.Keys(s.dirs[dir])) {
		object := s.dirs[dir][name]
		var more bool
		if _, isDir := s.dirs[object]; isDir {
			more = s.walk(filepath.Join(path, name), object, yield)
		} else {
			more = yield(filepath.Join(path, name), s.disk.files[object].as(object, s.contents))
		}
		if !more {
			return false
		}
	}
	return true
}

func (f *file) as(object faultfs.Object, c Contents) Content {
	if len(f.pending) == 0 {
		c = Lost // there is nothing to lose
	}
	return Content{
		ID:    ContentID{object, f.version, len(f.pending), c},
		Bytes: func() []byte { return f.content(c) },
	}
}

// content is the durable content with what became of the rest.
func (f *file) content(c Contents) []byte {
	if c == Lost {
		return f.durable
	}
	b := slices.Clone(f.durable)
	for i, op := range f.pending {
		size := int(op.Offset) + len(op.Data)
		if grow := size - len(b); grow > 0 {
			b = append(b, make([]byte, grow)...)
		}
		switch op.Kind {
		case faultfs.Truncate:
			b = b[:size]
		case faultfs.Write:
			for at := 0; at < len(op.Data); at += block {
				// What is lost is as it was before: old content, or zeros where there was none.
				if c == Kept || c == Torn && survives(i, at) {
					copy(b[int(op.Offset)+at:], op.Data[at:min(at+block, len(op.Data))])
				}
			}
		}
	}
	return b
}

// survives decides on a block, always in the same way.
func survives(write, at int) bool { return rand.NewPCG(uint64(write), uint64(at)).Uint64()&1 == 0 }

// Write makes the state a directory on a real disk.
func (s *State) Write(dir string) error {
	var make func(string, faultfs.Object) error
	make = func(path string, me faultfs.Object) error {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		for name, object := range s.dirs[me] {
			child := filepath.Join(path, name)
			var err error
			if _, isDir := s.dirs[object]; isDir {
				err = make(child, object)
			} else {
				err = os.WriteFile(child, s.disk.files[object].content(s.contents), 0o644)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return make(dir, s.disk.root)
}
