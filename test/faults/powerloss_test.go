package faults

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/test/faults/internal/faultfs"
	"github.com/barman-go/barman/test/faults/internal/powerloss"
	"github.com/barman-go/barman/test/lab"
)

// TestPowerLossLosesNothingAcknowledged records what put-wal, archive-wal and rebuild-xlogdb do to the disk in a day's work, and loses the
// power after each step in every way that powerloss knows: each file that was acknowledged has to be there. Some of these disks are then
// used, to see that barman itself finds everything too.
func TestPowerLossLosesNothingAcknowledged(t *testing.T) {
	for _, compression := range []string{"none", "gzip"} {
		t.Run(compression, func(t *testing.T) {
			s, random := newSite(t, compression), lab.NewRandom(t)
			s.work(t)
			log := s.disk.Log()
			if err := newWALWitness(s.truth).replay(s.disk.Base(), log); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d steps", len(log))
			for range 4 {
				s.useAfterPowerLoss(t, random, s.disk.Base(), log)
			}
		})
	}
}

// work is what happens in a day, and a little more.
func (s *site) work(t *testing.T) {
	t.Helper()
	layout := s.Layout("main")
	s.mustPut(t, seg1, label)
	s.mustPut(t, seg1) // PostgreSQL repeats what it could not record
	s.deliver(t, layout.Incoming, seg2)
	s.Must(t, "archive-wal", "main")
	s.mustPut(t, seg1, history)
	s.deliver(t, layout.Streaming, seg3, seg4)
	s.deliver(t, layout.Incoming, seg3)
	s.Must(t, "archive-wal", "main") // seg4 is the receiver's position

	// A file in the archive rots, and comes once more.
	s.disk.Mark(forgotten(seg2))
	if err := os.Truncate(filepath.Join(layout.WALs, seg2[:16], seg2), 100); err != nil {
		t.Fatal(err)
	}
	s.mustPut(t, seg2, seg5)
	s.Must(t, "archive-wal", "main")
	s.Must(t, "rebuild-xlogdb", "main")
	s.Must(t, "archive-wal", "main")
}

// TestPowerLossAfterAKill kills put-wal and archive-wal at a step, lets the next runs complete their work, and loses the power after each
// step: what the dead run had not made durable is the next one's business.
func TestPowerLossAfterAKill(t *testing.T) {
	s, random := newSite(t, "none"), lab.NewRandom(t)
	for _, command := range []string{"put-wal", "archive-wal"} {
		disk := s.preparedDisk
		if command == "put-wal" {
			disk = s.freshDisk
		}
		disk(t)
		before := len(s.disk.Log())
		if r := s.run(t, command); r.Exit != 0 {
			t.Fatalf("%s undisturbed: %+v", command, r)
		}
		for _, step := range sample(random, len(s.disk.Log())-before, 2*samples) {
			disk(t)
			s.dieAt(t, step, command)
			s.mustPut(t, seg4)
			s.Must(t, "archive-wal", "main")
			if err := newWALWitness(s.truth).replay(s.disk.Base(), s.disk.Log()); err != nil {
				t.Errorf("%s was killed before its step %d: %v", command, step, err)
			}
			s.checkNothingWaits(t, fmt.Sprintf("%s was killed before its step %d", command, step))
			checkIndex(t, s.Layout("main"))
			checkNoTemps(t, s.Home)
		}
	}
}

// dieAt runs a command and kills it before one of its steps.
func (s *site) dieAt(t *testing.T, step int, command string) {
	t.Helper()
	cmd := s.Command(t.Context(), command, "main")
	cmd.Stdin = strings.NewReader(tarOf(t, seg4, s.truth[seg4]))
	n, started := 0, make(chan struct{})
	s.disk.Before(func(faultfs.Op) syscall.Errno {
		<-started
		if n++; n < step {
			return 0
		}
		_ = cmd.Process.Kill()
		return syscall.EINTR // the dead do nothing any more
	})
	err := cmd.Start()
	close(started)
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed, or through in fewer steps than the last time
	s.disk.Before(nil)
}

// useAfterPowerLoss makes a disk of one of the states after one of the steps, runs archive-wal on it, and wants everything back.
func (s *site) useAfterPowerLoss(t *testing.T, random *rand.Rand, base faultfs.Tree, log []faultfs.Op) {
	t.Helper()
	step := 1 + random.IntN(len(log))
	w, disk := newWALWitness(s.truth), powerloss.New(base)
	for _, op := range log[:step] {
		w.see(op)
		disk.Apply(op)
	}
	states := slices.Collect(disk.States())
	state := states[random.IntN(len(states))]
	home := s.Home
	s.Home = filepath.Join(s.Dir, "after")
	if err := errors.Join(os.RemoveAll(s.Home), state.Write(s.Home)); err != nil {
		t.Fatal(err)
	}
	s.ownTree(t, s.Home)
	s.configure(t)
	defer func() { s.Home = home; s.configure(t) }()
	t.Logf("the power goes after step %d, %s", step, state.Description)
	if r := s.Barman(t, "archive-wal", "main"); r.Exit != 0 {
		// A copy that nobody has answered for yet may have lost its content, and so may one that was removed and is back: it is put aside,
		// once.
		if r.Exit != 1 || !strings.Contains(r.Stderr, "moved to "+s.Layout("main").Errors) {
			t.Errorf("exit code %d\n%s%s", r.Exit, r.Stdout, r.Stderr)
		}
		s.Must(t, "archive-wal", "main")
	}
	s.checkArchive(t, w.promised)
}

// checkArchive wants the promised files back from get-wal, an index that agrees with the files, and no temporary file. A file that was not
// promised may be in the archive and not in the index, or half there until the next one comes into its directory: its source has lost its
// name, which whoever copied it there had not synced.
func (s *site) checkArchive(t *testing.T, promised map[string]bool) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(promised)) {
		if r := s.Barman(t, "get-wal", "main", name); r.Exit != 0 || !bytes.Equal([]byte(r.Stdout), s.truth[name]) {
			t.Errorf("get-wal %s: exit code %d, %d bytes, want %d\n%s", name, r.Exit, len(r.Stdout), len(s.truth[name]), r.Stderr)
		}
	}
	compareIndex(t, s.Layout("main"), func(name string) bool { return promised[name] })
	for path := range regularFiles(t, s.Home) {
		final, _, temp := fsx.ParseTempName(filepath.Base(path))
		if _, wal := s.truth[final]; temp && (promised[final] || !wal) {
			t.Errorf("%s is left", path)
		}
	}
}

// checkIndex compares the lines of the index with the files of the archive.
func checkIndex(t *testing.T, layout catalog.Layout) {
	t.Helper()
	compareIndex(t, layout, func(string) bool { return true })
}

// compareIndex wants a line for each file that must have one, no second line for any, and no line without a file.
func compareIndex(t *testing.T, layout catalog.Layout, must func(name string) bool) {
	t.Helper()
	text, err := os.ReadFile(layout.WALIndexPath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	lines := map[string]int{}
	for line, err := range catalog.ReadWALLines(text, layout.WALIndexPath()).All() {
		if err != nil {
			t.Error(err)
			continue
		}
		lines[line.File.ArchivePath()]++
	}
	for path := range regularFiles(t, layout.WALs) {
		rel, err := filepath.Rel(layout.WALs, path)
		if err != nil {
			t.Fatal(err)
		}
		switch n := lines[rel]; {
		case path == layout.WALIndexPath(), n == 1, n == 0 && !must(filepath.Base(rel)):
		default:
			t.Errorf("%s stands %d times in the index", rel, n)
		}
		delete(lines, rel)
	}
	for name := range lines {
		t.Errorf("the index lists %s, which is not in the archive", name)
	}
}

// checkNoTemps looks for temporary files.
func checkNoTemps(t *testing.T, dir string) {
	t.Helper()
	for path := range regularFiles(t, dir) {
		if strings.HasSuffix(path, fsx.TempSuffix) {
			t.Errorf("%s is left", path)
		}
	}
}

func regularFiles(t *testing.T, dir string) iter.Seq[string] {
	t.Helper()
	return func(yield func(string) bool) {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() && !yield(path) {
				return fs.SkipAll
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil // nothing was put there yet, or it moves on
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// sample chooses up to n of the numbers from 1 to total.
func sample(random *rand.Rand, total, n int) []int {
	all := random.Perm(total)
	all = all[:min(n, total)]
	for i := range all {
		all[i]++
	}
	slices.Sort(all)
	return all
}

// TestBadOrderIsFound takes the steps of archive-wal in orders in which barman must not take them, to see that the tests above would notice.
func TestBadOrderIsFound(t *testing.T) {
	s := newSite(t, "none")
	for order, want := range map[string]string{
		"write, sync, rename, sync dir, index, sync index, remove, sync source": "",
		"write, rename, sync dir, index, sync index, remove":                    "is not what was archived",
		"write, rename, sync, sync dir, index, sync index, remove":              "is not what was archived",
		"write, sync, rename, index, sync index, remove":                        "is lost",
		"write, sync, rename, index, sync index, remove, sync dir":              "is lost",
		"write, sync, rename, sync dir, index, remove":                          "not in the index",
		"write, sync, rename, sync dir, remove, index, sync index":              "not in the index",
		"remove, sync source, write, sync, rename, sync dir, index, sync index": "is lost",
	} {
		t.Run(order, func(t *testing.T) {
			s.freshDisk(t)
			steps := s.stepsOfArchiving(t)
			for step := range strings.SplitSeq("prepare, "+order, ", ") {
				if err := steps[step](); err != nil {
					t.Fatalf("%s: %v", step, err)
				}
			}
			err := newWALWitness(s.truth).replay(s.disk.Base(), s.disk.Log())
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("the witness says %v, want %q", err, want)
			}
		})
	}
}

// TestAFlushThatWasNoneIsFound is the same for what a receiver says.
func TestAFlushThatWasNoneIsFound(t *testing.T) {
	s := newSite(t, "none")
	first, err := wal.ParseSegment(seg1)
	if err != nil {
		t.Fatal(err)
	}
	dir := s.Layout("main").Streaming
	partial := filepath.Join(dir, seg1+".partial")
	if err := errors.Join(fsx.MkdirAll(dir, 0o755), os.WriteFile(partial, s.truth[seg1][:1000], 0o644), fsx.SyncDir(dir)); err != nil {
		t.Fatal(err)
	}
	mark := func(size int) error {
		s.disk.Mark(flushed(first.StartLSN(segmentSize) + wal.LSN(size)))
		w := newWALWitness(s.truth)
		w.received = first
		return w.replay(s.disk.Base(), s.disk.Log())
	}
	if err := fsx.SyncFile(partial); err != nil {
		t.Fatal(err)
	}
	if err := mark(1000); err != nil {
		t.Error(err)
	}
	if err := mark(1001); err == nil || !strings.Contains(err.Error(), "does not reach to") {
		t.Errorf("the witness says %v", err)
	}
}

func (s *site) stepsOfArchiving(t *testing.T) map[string]func() error {
	t.Helper()
	layout := s.Layout("main")
	dir := filepath.Join(layout.WALs, seg1[:16])
	temp, final, source, index := filepath.Join(dir, ".temp"), filepath.Join(dir, seg1), filepath.Join(layout.Incoming, seg1), layout.WALIndexPath()
	record := catalog.WALRecord{Name: seg1, Size: segmentSize, ModTime: 1.5}
	sync := func(path string) func() error { return func() error { return fsx.SyncFile(path) } }
	return map[string]func() error{
		"prepare": func() error {
			return errors.Join(fsx.MkdirAll(dir, 0o755), fsx.MkdirAll(layout.Incoming, 0o755), fsx.WriteFile(source, s.truth[seg1], 0o644),
				fsx.WriteFile(index, nil, 0o644), func() error { s.disk.Mark(acknowledged(seg1)); return nil }())
		},
		"write":       func() error { return os.WriteFile(temp, s.truth[seg1], 0o644) },
		"sync":        func() error { return errors.Join(trySync(temp), trySync(final)) },
		"rename":      func() error { return os.Rename(temp, final) },
		"sync dir":    sync(dir),
		"index":       func() error { return os.WriteFile(index, record.AppendTo(nil), 0o644) },
		"sync index":  sync(index),
		"remove":      func() error { return os.Remove(source) },
		"sync source": sync(layout.Incoming),
	}
}

// trySync is fsync of a file that has one of two names.
func trySync(path string) error {
	if err := fsx.SyncFile(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
