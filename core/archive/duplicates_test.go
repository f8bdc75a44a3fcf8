package archive_test

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/archive"
)

func TestArchiveWALDropsAnIdenticalDuplicate(t *testing.T) {
	content := segment(t, seg1, mib, 1)
	for name, again := range map[string][]byte{"plain": content, "compressed by the sender": gzipped(t, content, 9)} {
		for _, first := range []string{"", "gzip"} {
			t.Run(name+", archived "+first, func(t *testing.T) {
				s := newSite(t)
				s.deliver(seg1, content)
				s.run(s.archiver(first), s.incoming())
				before := s.indexed()
				s.deliver(seg1, again)
				a := s.archiver("zstd")
				if sum := s.run(a, s.incoming()); sum != (archive.Summary{Identical: 1}) {
					t.Errorf("summary %+v, want one identical", sum)
				}
				s.wantTree(s.layout.Incoming)
				s.wantTree(s.layout.Errors)
				if diff := cmp.Diff(before, s.indexed()); diff != "" {
					t.Errorf("the index changed:\n%s", diff)
				}
				s.wantGet(a.Codecs, seg1, content)
				s.wantNoTemps()
			})
		}
	}
}

func TestArchiveWALMovesADifferentDuplicateAside(t *testing.T) {
	s := newSite(t)
	content, other := segment(t, seg1, mib, 1), segment(t, seg1, mib, 2)
	s.deliver(seg1, content)
	a := s.archiver("gzip")
	s.run(a, s.incoming())
	s.out.take()
	s.deliver(seg1, other)
	s.deliver(seg2, segment(t, seg2, mib, 1))
	if sum := s.run(a, s.incoming()); sum != (archive.Summary{Archived: 1, Rejected: 1}) {
		t.Errorf("summary %+v, want one archived and one rejected", sum)
	}
	kept := filepath.Join(s.layout.Errors, seg1+".20261122T084700Z.duplicate")
	want := []string{
		"I Processing xlog segments from file archival for main",
		"I \t" + seg1,
		"I \tError: " + seg1 + " is already present in server main. File moved to errors directory.",
		"E " + seg1 + " is already present in server main with other content. The file was not archived and was moved to " + kept,
		"I \t" + seg2,
	}
	if diff := cmp.Diff(want, s.out.take()); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	got, err := os.ReadFile(kept)
	check(t, err)
	if !bytes.Equal(got, other) {
		t.Error("the file in errors/ is not the one that was delivered")
	}
	s.wantAlarm(seg1)
	s.wantGet(a.Codecs, seg1, content)
}

// A power loss may take the line of an archived file, and the content of its source.
func TestAnArchivedFileIsRecordedWhateverBecomesOfItsSource(t *testing.T) {
	content := segment(t, seg1, mib, 1)
	for name, again := range map[string]struct {
		content []byte
		age     time.Duration
		want    archive.Summary
	}{
		"other content": {segment(t, seg1, mib, 2), 0, archive.Summary{Rejected: 1}},
		"no WAL":        {bytes.Repeat([]byte("no WAL. "), mib/8), 0, archive.Summary{Rejected: 1}},
		"empty":         {nil, 0, archive.Summary{Left: 1}},
		"cut off":       {content[:mib/2], 0, archive.Summary{Left: 1}},
		"old":           {content[:mib/2], time.Hour, archive.Summary{Rejected: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			a := s.archiver("gzip")
			s.deliver(seg1, content)
			s.run(a, s.incoming())
			before := s.indexed()
			check(t, os.Truncate(s.layout.WALIndexPath(), 0))
			path := s.deliver(seg1, again.content)
			check(t, os.Chtimes(path, start.Add(-again.age), start.Add(-again.age)))
			if sum := s.run(a, s.incoming()); sum != again.want {
				t.Errorf("summary %+v, want %+v", sum, again.want)
			}
			if diff := cmp.Diff(before, s.indexed()); diff != "" {
				t.Errorf("the index (-want +got):\n%s", diff)
			}
			s.wantGet(a.Codecs, seg1, content)
			// A damaged archived file is not worth a line, and keeps none.
			check(t, os.Truncate(s.layout.WALIndexPath(), 0))
			check(t, os.Truncate(s.archived(seg1), 100))
			s.deliver(seg1, again.content)
			s.run(a, s.incoming())
			if name != "other content" && len(s.indexed()) > 0 {
				t.Errorf("a damaged file is in the index: %v", s.indexed())
			}
		})
	}
}

func TestNothingInErrorsIsOverwritten(t *testing.T) {
	s := newSite(t)
	a := s.archiver("")
	for i := range 3 {
		s.deliver("foo.txt", []byte{byte(i)})
		s.run(a, s.incoming())
	}
	s.wantTree(s.layout.Errors, "foo.txt.20261122T084700Z-1.unknown", "foo.txt.20261122T084700Z-2.unknown",
		"foo.txt.20261122T084700Z.unknown")
}

func TestWhatIsPutAsideAtTheSameTimeIsAllKept(t *testing.T) {
	s := newSite(t)
	s.put(s.archived(seg1), segment(t, seg1, mib, 0))
	p := s.putter(s.codecs(""))
	others := map[string]bool{}
	var done sync.WaitGroup
	for seed := range uint64(8) {
		other := segment(t, seg1, mib, seed+1)
		others[string(other)] = true
		one := file(seg1, other)
		whole := stream(t, one, sums(one))
		done.Go(func() {
			if err := p.Run(t.Context(), bytes.NewReader(whole)); !errors.Is(err, archive.ErrRefused) {
				t.Errorf("error %v, want ErrRefused", err)
			}
		})
	}
	done.Wait()
	for _, name := range s.tree(s.layout.Errors) {
		content, err := os.ReadFile(filepath.Join(s.layout.Errors, name))
		check(t, err)
		delete(others, string(content))
	}
	if len(others) > 0 {
		t.Errorf("of 8 files that were refused %d are not in errors/", len(others))
	}
}

func TestArchiveWALReplacesADamagedArchivedFile(t *testing.T) {
	content := segment(t, seg1, mib, 1)
	for name, test := range map[string]struct {
		compression string
		damage      func(path string) error
	}{
		"cut gzip":  {"gzip", func(path string) error { return os.Truncate(path, 5000) }},
		"cut plain": {"", func(path string) error { return os.Truncate(path, 5000) }},
		"flipped bits": {"zstd", func(path string) error {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for i := 1000; i < 1100; i++ {
				b[i] ^= 0x55
			}
			return os.WriteFile(path, b, 0o600)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.deliver(seg1, content)
			a := s.archiver(test.compression)
			s.run(a, s.incoming())
			check(t, test.damage(s.archived(seg1)))
			s.deliver(seg1, content)
			if sum := s.run(a, s.incoming()); sum != (archive.Summary{Archived: 1, Replaced: 1}) {
				t.Errorf("summary %+v, want one that replaced", sum)
			}
			s.wantGet(a.Codecs, seg1, content)
			if lines := s.indexed(); len(lines) != 1 {
				t.Errorf("the index has %q, want one line", lines)
			}
			s.wantTree(s.layout.Incoming)
			s.wantTree(s.layout.Errors, seg1+".20261122T084700Z.duplicate")
		})
	}
}

// What a crash or a full disk has left of a file must not keep the real one out, in whichever order the two come.
func TestABlankFileNeverWins(t *testing.T) {
	partial := seg1 + ".partial"
	for name, file := range map[string]struct {
		name        string
		blank, real []byte
	}{
		"label":   {label1, nil, []byte("START WAL LOCATION: 0/100028\n")},
		"partial": {partial, make([]byte, mib), segment(t, partial, mib, 1)},
	} {
		for _, compression := range []string{"", "gzip"} {
			t.Run(name+" "+compression, func(t *testing.T) {
				s := newSite(t)
				a := s.archiver(compression)
				for i, content := range [][]byte{file.blank, file.real} {
					sent := member{tar.Header{Name: file.name, Typeflag: tar.TypeReg, ModTime: start.Add(-time.Hour)}, content}
					check(t, s.putWAL(stream(t, sent, sums(sent))))
					want := []archive.Summary{{Archived: 1}, {Archived: 1, Replaced: 1}}[i]
					if sum := s.run(a, s.incoming()); sum != want {
						t.Errorf("file %d: summary %+v, want %+v", i+1, sum, want)
					}
				}
				s.deliver(file.name, file.blank)
				if sum := s.run(a, s.incoming()); sum != (archive.Summary{Identical: 1}) {
					t.Errorf("delivered once more: summary %+v, want it dropped", sum)
				}
				s.wantGet(a.Codecs, file.name, file.real)
				s.wantTree(s.layout.Errors, file.name+".20261122T084700Z.duplicate")
			})
		}
	}
}

// A promoted standby sends the partial segment with which the timeline before ended. A receiver may have filed one of that name, with
// other bytes behind the WAL: were it refused, the standby's archiver would stop for good.
func TestAPartialSegmentDoesNotStopTheArchiver(t *testing.T) {
	s := newSite(t)
	a := s.archiver("gzip")
	partial, received := seg1+".partial", segment(t, seg1, mib, 1)
	s.deliver(partial, received)
	s.run(a, s.incoming())
	one := file(partial, append(bytes.Clone(received[:mib/2]), make([]byte, mib/2)...))
	check(t, s.putWAL(stream(t, one, sums(one))))
	if sum := s.run(a, s.incoming()); sum != (archive.Summary{Rejected: 1}) {
		t.Errorf("summary %+v, want one rejected", sum)
	}
	s.wantTree(s.layout.Incoming)
	s.wantTree(s.layout.Errors, partial+".20261122T084700Z.duplicate")
	s.wantGet(a.Codecs, partial, received)
}

func TestWALOfAnEarlierClusterIsNotTakenForDamaged(t *testing.T) {
	s := newSite(t)
	earlier := segment(t, seg1, mib, 1)
	binary.LittleEndian.PutUint64(earlier[24:], uint64(cluster)-1)
	s.put(s.archived(seg1), earlier)
	s.deliver(seg1, segment(t, seg1, mib, 1))
	a := s.archiver("gzip")
	if sum := s.run(a, s.incoming()); sum != (archive.Summary{Rejected: 1}) {
		t.Errorf("summary %+v, want one rejected", sum)
	}
	s.wantGet(a.Codecs, seg1, earlier)
}

func TestAnEncryptedArchivedFileCountsAsAnother(t *testing.T) {
	s := newSite(t)
	// The packet of a session key, as gpg --encrypt begins.
	encrypted := append([]byte{0x85, 0x01, 0x0c, 0x03, 1, 2, 3, 4, 5, 6, 7, 8, 1}, bytes.Repeat([]byte{0xa5}, 1000)...)
	s.put(s.archived(seg1), encrypted)
	s.deliver(seg1, segment(t, seg1, mib, 1))
	a := s.archiver("gzip")
	if sum := s.run(a, s.incoming()); sum.Rejected != 1 {
		t.Errorf("summary %+v, want one rejected", sum)
	}
	if _, err := s.get(a.Codecs, seg1, archive.GetOptions{}); err == nil || !strings.Contains(err.Error(), "encrypted") {
		t.Errorf("get-wal hands out an encrypted segment as it is (error %v)", err)
	}
	if got, err := s.get(a.Codecs, seg1, archive.GetOptions{KeepCompression: true}); err != nil || !bytes.Equal(got, encrypted) {
		t.Errorf("get-wal --keep-compression: error %v", err)
	}
}
