package archive_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/archive"
	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/progress"
)

const (
	label1  = seg2 + ".00000028.backup"
	history = "00000002.history"
)

// TestArchiveWALOfBarmansExample is the example of how Barman reports a run with everything in it.
func TestArchiveWALOfBarmansExample(t *testing.T) {
	s := newSite(t)
	names := []string{
		seg1, seg2, label1, seg3, "000000010000000000000004", "000000010000000000000005.partial", history,
	}
	for _, name := range names {
		content := []byte("1\t0/5000000\tno recovery target specified\n")
		if strings.HasPrefix(name, "0000000100") && name != label1 {
			content = segment(t, name, mib, 1)
		}
		s.deliver(name, content)
	}
	s.deliver("foo.txt", []byte("foo"))
	s.deliver("x.tmp", []byte("x"))
	s.deliver("subdir/file", []byte("y"))
	s.deliver(".hidden", []byte("z"))
	a := s.archiver("gzip")
	sum := s.run(a, s.incoming())
	if want := (archive.Summary{Archived: 7, Junk: 2}); sum != want {
		t.Errorf("summary %+v, want %+v", sum, want)
	}
	want := []string{"I Processing xlog segments from file archival for main (batch size: 7)"}
	var index []string
	for _, name := range names {
		want = append(want, "I \t"+name)
		index = append(index, name+" gzip")
	}
	want = append(want,
		"I Some unknown objects have been found while processing xlog segments for main. Objects moved to errors directory:",
		"I \tfoo.txt", "I \tsubdir")
	if diff := cmp.Diff(want, s.out.take()); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(index, s.indexed()); diff != "" {
		t.Errorf("index (-want +got):\n%s", diff)
	}
	s.wantTree(s.layout.Incoming, ".hidden", "x.tmp")
	s.wantTree(s.layout.Errors, "foo.txt.20261122T084700Z.unknown", "subdir.20261122T084700Z.unknown/file")
	s.wantGet(a.Codecs, history, []byte("1\t0/5000000\tno recovery target specified\n"))
	for _, name := range []string{seg1, "000000010000000000000005.partial"} {
		s.wantGet(a.Codecs, name, segment(t, name, mib, 1))
	}
	info, err := os.Stat(s.archived(seg1))
	check(t, err)
	if !info.ModTime().Equal(start.Add(-time.Hour)) || info.Mode().Perm() != 0o640 {
		t.Errorf("time %v and mode %v of the archived file are not those of the delivered one", info.ModTime(), info.Mode())
	}
	line, err := os.ReadFile(s.layout.WALIndexPath())
	check(t, err)
	first := catalog.WALRecord{
		Name: seg1, Size: info.Size(), ModTime: float64(start.Add(-time.Hour).Unix()), Compression: "gzip",
	}.AppendTo(nil)
	if !bytes.HasPrefix(line, first) {
		t.Errorf("index begins with %q, want %q", line[:min(len(line), 80)], first)
	}
}

func TestArchiveWALSaysWhenThereIsNothing(t *testing.T) {
	s := newSite(t)
	a := s.archiver("gzip")
	s.run(a, s.streaming())
	a.Verbose = false
	s.run(a, s.incoming())
	want := []string{"I Processing xlog segments from streaming for main", "I \tno file found"}
	if diff := cmp.Diff(want, s.out.take()); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	check(t, os.RemoveAll(s.layout.Incoming))
	s.run(a, s.incoming())
}

// compressions are all that Barman knows; "none" is as good as nothing.
var compressions = []string{
	"none", "gzip", "zstd", "lz4", "custom", "bzip2", "pybzip2", "pigz", "pygzip", "xz", "snappy",
}

func TestArchiveWALWithEachCompressionAndReadAllAfterAChange(t *testing.T) {
	s := newSite(t)
	s.filters = map[string]any{"compression_filter": "gzip -c | cat", "decompression_filter": "gzip -dc"}
	content := func(i int) (string, []byte) {
		name := fmt.Sprintf("0000000100000000000000%02X", i+1)
		size := mib
		if compressions[i] == "gzip" {
			size = 16 * mib
		}
		return name, segment(t, name, size, uint64(i))
	}
	var want []string
	for i, compression := range compressions {
		name, plain := content(i)
		s.deliver(name, plain)
		s.run(s.archiver(compression), s.incoming())
		recorded := compression
		if compression == "none" {
			recorded = "None"
		}
		want = append(want, name+" "+recorded)
	}
	if diff := cmp.Diff(want, s.indexed()); diff != "" {
		t.Errorf("index (-want +got):\n%s", diff)
	}
	for _, now := range []string{"none", "custom"} {
		codecs := s.codecs(now)
		for i := range compressions {
			name, plain := content(i)
			s.wantGet(codecs, name, plain)
		}
	}
	s.wantNoTemps()
}

func TestRebuiltIndexNamesTheFamilyOfEachFormat(t *testing.T) {
	s := newSite(t)
	var want []string
	for i, x := range []struct{ configured, recognised string }{
		{"pigz", "gzip"}, {"pygzip", "gzip"}, {"pybzip2", "bzip2"}, {"xz", "xz"}, {"snappy", "snappy"},
	} {
		name := fmt.Sprintf("0000000100000000000000%02X", i+1)
		s.deliver(name, segment(t, name, mib, uint64(i)))
		s.run(s.archiver(x.configured), s.incoming())
		want = append(want, name+" "+x.recognised)
	}
	check(t, os.Remove(s.layout.WALIndexPath()))
	if _, err := s.index.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, s.indexed()); diff != "" {
		t.Errorf("index (-want +got):\n%s", diff)
	}
}

func TestCustomCompressionWithoutMagicIsReadBackFromTheArchive(t *testing.T) {
	s := newSite(t)
	// The output of this pair is nothing that anybody recognises.
	s.filters = map[string]any{"compression_filter": "tr '\\000-\\377' '\\200-\\377\\000-\\177'", "decompression_filter": "tr '\\200-\\377\\000-\\177' '\\000-\\377'"}
	content := segment(t, seg1, mib, 1)
	s.deliver(seg1, content)
	a := s.archiver("custom")
	s.run(a, s.incoming())
	stored, err := os.ReadFile(s.archived(seg1))
	check(t, err)
	if bytes.Equal(stored, content) {
		t.Fatal("the filter did nothing")
	}
	s.wantGet(a.Codecs, seg1, content)
}

func TestArchiveWALKeepsWhatTheSenderCompressed(t *testing.T) {
	s := newSite(t)
	plain := segment(t, seg1, mib, 1)
	sent := gzipped(t, plain, 6)
	s.deliver(seg1, sent)
	a := s.archiver("zstd")
	s.run(a, s.incoming())
	stored, err := os.ReadFile(s.archived(seg1))
	check(t, err)
	if !bytes.Equal(stored, sent) {
		t.Error("it was changed")
	}
	if diff := cmp.Diff([]string{seg1 + " gzip"}, s.indexed()); diff != "" {
		t.Errorf("index (-want +got):\n%s", diff)
	}
	s.wantGet(a.Codecs, seg1, plain)
	s.wantTree(s.layout.Incoming)
	s.wantNoTemps()
}

func TestArchiveWALRejectsWhatIsNotTheServersWAL(t *testing.T) {
	foreign := segment(t, seg1, mib, 1)
	binary.LittleEndian.PutUint64(foreign[24:], uint64(cluster)+1)
	upgraded := segment(t, seg1, mib, 1)
	magic, _ := wal.PageMagic(16)
	binary.LittleEndian.PutUint16(upgraded, magic)
	for name, test := range map[string]struct {
		content []byte
		text    string
	}{
		"another cluster":             {foreign, "WAL of another cluster"},
		"another cluster, compressed": {gzipped(t, foreign, 1), "WAL of another cluster"},
		"another version":             {upgraded, "another PostgreSQL version"},
		"cut":                         {segment(t, seg1, mib, 1)[:mib-8192], "wrong size"},
		"cut, then compressed":        {gzipped(t, segment(t, seg1, mib, 1)[:mib-8192], 1), "wrong size"},
		"compressed, then cut":        {gzipped(t, segment(t, seg1, mib, 1), 1)[:100_000], "cannot be decoded as gzip"},
		"renamed":                     {segment(t, seg3, mib, 1), "its first page is that of " + seg3},
		"empty":                       {nil, "not a WAL segment"},
		"text":                        {[]byte("I am no segment, although I am called like one, and I am long enough\n"), "not a WAL segment"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.deliver(seg1, test.content)
			s.deliver(seg2, segment(t, seg2, mib, 1))
			sum := s.run(s.archiver("lz4"), s.incoming())
			if want := (archive.Summary{Archived: 1, Rejected: 1}); sum != want {
				t.Errorf("summary %+v, want %+v", sum, want)
			}
			s.out.wantError(t, test.text)
			s.wantTree(s.layout.Errors, seg1+".20261122T084700Z.unknown")
			s.wantTree(s.layout.WALs, "0000000100000000/"+seg2)
			s.wantTree(s.layout.Incoming)
			kept, err := os.ReadFile(filepath.Join(s.layout.Errors, seg1+".20261122T084700Z.unknown"))
			check(t, err)
			if !bytes.Equal(kept, test.content) {
				t.Error("the rejected file was changed")
			}
		})
	}
}

func TestArchiveWALLeavesAYoungFileThatMayBeGrowing(t *testing.T) {
	whole := segment(t, seg1, mib, 1)
	for name, content := range map[string][]byte{
		"empty": nil, "half a header": whole[:20], "half a segment": whole[:mib/2], "half a compressed segment": gzipped(t, whole, 1)[:9999],
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.now = start.Add(-time.Hour + 10*time.Second)
			s.deliver(seg1, content)
			s.deliver(history, nil)
			s.deliver(seg2, segment(t, seg2, mib, 1))
			a := s.archiver("gzip")
			if sum := s.run(a, s.incoming()); sum != (archive.Summary{Archived: 1, Left: 2}) {
				t.Errorf("summary %+v, want one archived and two left", sum)
			}
			s.wantTree(s.layout.Incoming, seg1, history)
			s.wantTree(s.layout.Errors)
			s.deliver(seg1, whole)
			s.deliver(history, []byte("1\t0/5000000\tx\n"))
			s.run(a, s.incoming())
			s.wantTree(s.layout.Incoming)
			s.wantGet(a.Codecs, seg1, whole)
		})
	}
}

func TestArchiveWALIsNotHeldUpByAFileThatCannotBeRead(t *testing.T) {
	s := newSite(t)
	path := s.deliver(seg1, []byte("\xfd7zXZ\x00 for which no plugin is installed"))
	s.deliver(seg2, segment(t, seg2, mib, 1))
	a := s.archiver("gzip")
	open := a.Codecs.Open
	a.Codecs.Open = func(ctx context.Context, name string) (archive.Compressor, error) {
		if name == "xz" {
			return nil, errors.New("not installed")
		}
		return open(ctx, name)
	}
	sum := s.run(a, s.incoming())
	if want := (archive.Summary{Archived: 1, Left: 1}); sum != want {
		t.Errorf("summary %+v, want %+v", sum, want)
	}
	s.out.wantError(t, seg1+" cannot be archived and stays in "+filepath.Dir(path))
	s.wantTree(s.layout.Incoming, seg1)
}

func TestArchiveWALIsNotHeldUpByAnArchivedFileThatCannotBeRead(t *testing.T) {
	s := newSite(t)
	check(t, os.MkdirAll(filepath.Dir(s.archived(seg1)), 0o755))
	// Nothing is mapped at address 0 of a process: it can be opened, and not read.
	check(t, os.Symlink("/proc/self/mem", s.archived(seg1)))
	s.deliver(seg1, segment(t, seg1, mib, 1))
	s.deliver(seg2, segment(t, seg2, mib, 1))
	if sum := s.run(s.archiver(""), s.incoming()); sum != (archive.Summary{Archived: 1, Left: 1}) {
		t.Errorf("summary %+v, want one archived and one left", sum)
	}
	s.out.wantError(t, "the archived file of this name cannot be read")
	s.wantTree(s.layout.Incoming, seg1)
	s.wantTree(s.layout.Errors)
}

// A disk that cannot be read says nothing about what is on it.
func TestAFileIsNotDamagedBecauseItsDecoderCannotReadIt(t *testing.T) {
	s := newSite(t)
	s.filters = map[string]any{"decompression_filter": "cat"}
	err := s.codecs("").Decode(t.Context(), "/proc/self/mem", "custom", filepath.Join(t.TempDir(), "plain"))
	var d diag.Diagnostic
	if errors.As(err, new(*archive.DamagedError)) || !errors.As(err, &d) || d.Code != diag.CodeIO {
		t.Errorf("got %v", err)
	}
}

func TestArchiveWALInBatches(t *testing.T) {
	s := newSite(t)
	for _, name := range []string{seg1, seg2, seg3} {
		s.deliver(name, segment(t, name, mib, 1))
	}
	s.deliver("00000000-junk", nil)
	src := s.incoming()
	src.Batch = 2
	a := s.archiver("")
	if sum := s.run(a, src); sum != (archive.Summary{Archived: 2, Junk: 1}) {
		t.Errorf("summary %+v: junk must not take the place of WAL", sum)
	}
	if got := s.out.take()[0]; got != "I Processing xlog segments from file archival for main (batch size: 2)" {
		t.Errorf("header %q", got)
	}
	s.wantTree(s.layout.Incoming, seg3)
}

func TestStreamingArchiverLeavesTheReceiversPosition(t *testing.T) {
	older, newer := "000000010000000000000004.partial", "000000020000000000000004.partial"
	for name, test := range map[string]struct {
		files []string
		batch int
		left  []string
	}{
		"partial stays":               {[]string{seg1, seg2, seg3 + ".partial"}, 0, []string{seg3 + ".partial"}},
		"last segment stays":          {[]string{seg1, seg2}, 0, []string{seg2}},
		"also before a history":       {[]string{seg1, seg2, history}, 0, []string{seg2}},
		"only one":                    {[]string{seg1}, 0, []string{seg1}},
		"end of an old timeline goes": {[]string{older, history, newer}, 0, []string{newer}},
		"batches of one move on":      {[]string{seg1, seg2, seg3}, 1, []string{seg2, seg3}},
		"batch and partial":           {[]string{seg1, seg2, seg3 + ".partial"}, 1, []string{seg2, seg3 + ".partial"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			for _, name := range test.files {
				content := []byte("1\t0/4000000\tx\n")
				if name != history {
					content = segment(t, name, mib, 1)
				}
				s.receive(name, content)
			}
			src := s.streaming()
			src.Batch = test.batch
			sum := s.run(s.archiver("lz4"), src)
			s.wantTree(s.layout.Streaming, test.left...)
			if sum.Archived != len(test.files)-len(test.left) {
				t.Errorf("%d archived, want %d", sum.Archived, len(test.files)-len(test.left))
			}
		})
	}
}

func TestArchiveWALOfALongQueueInOrder(t *testing.T) {
	s := newSite(t)
	const n = 150 // more than a window
	var want []string
	for i := range n {
		name := fmt.Sprintf("0000000100000000000000%02X", i+1)
		s.deliver(name, segment(t, name, mib, 1))
		want = append(want, name+" lz4")
	}
	a := s.archiver("lz4")
	var last progress.Progress
	a.Progress = progress.Func(func(p progress.Progress) { last = p })
	s.run(a, s.incoming())
	if diff := cmp.Diff(want, s.indexed()); diff != "" {
		t.Errorf("index (-want +got):\n%s", diff)
	}
	if last.FilesDone != n || last.FilesTotal != n {
		t.Errorf("progress ended with %+v", last)
	}
	s.wantTree(s.layout.Incoming)
	s.wantNoTemps()
}
