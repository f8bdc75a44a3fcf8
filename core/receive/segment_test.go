package receive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barman-go/barman/core/wal"
)

const mib = wal.SegmentSize(1 << 20)

var expect15 = wal.Expect{SystemID: 42, Version: 15, SegmentSize: mib}

// segmentBytes is a segment with a valid first page and different bytes behind it.
func segmentBytes(at position, id wal.SystemID) []byte {
	content := make([]byte, mib)
	for i := range content {
		content[i] = byte(i>>8) ^ byte(i)
	}
	magic, _ := wal.PageMagic(15)
	head := binary.LittleEndian.AppendUint16(nil, magic)
	head = binary.LittleEndian.AppendUint16(head, wal.InfoLongHeader)
	head = binary.LittleEndian.AppendUint32(head, uint32(at.timeline))
	head = binary.LittleEndian.AppendUint64(head, uint64(at.lsn))
	head = binary.LittleEndian.AppendUint64(head, 0) // remaining length and padding
	head = binary.LittleEndian.AppendUint64(head, uint64(id))
	head = binary.LittleEndian.AppendUint32(head, uint32(mib))
	head = binary.LittleEndian.AppendUint32(head, 8192)
	copy(content, head)
	return content
}

func open(t *testing.T, dir string, at position) *segmentFile {
	t.Helper()
	s, _, err := openSegment(dir, at, expect15)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.file.Close() })
	return s
}

// split cuts WAL into parts of a size.
func split(content []byte, size int) (parts [][]byte) {
	for len(content) > size {
		parts, content = append(parts, content[:size]), content[size:]
	}
	return append(parts, content)
}

func TestSegmentsAreFilledFromPartsOfAnySize(t *testing.T) {
	first := position{1, 7 * wal.LSN(mib)}
	second := position{1, 8 * wal.LSN(mib)}
	stream := append(segmentBytes(first, 42), segmentBytes(second, 42)...)
	// Below the size of a page header, above the number of vectors of one system call, across the boundary, and all at once.
	for _, size := range []int{7, 1000, 100_000, len(stream)} {
		dir := t.TempDir()
		s := open(t, dir, first)
		parts := split(stream, size)
		for batch := 0; len(parts) > 0; batch++ {
			n := min(len(parts), 1+batch%2000)
			rest, err := s.write(append([][]byte(nil), parts[:n]...))
			if err != nil {
				t.Fatal(err)
			}
			if parts = parts[n:]; len(rest) > 0 {
				parts = append(append([][]byte(nil), rest...), parts...)
			}
			if s.full() {
				if err := s.complete(); err != nil {
					t.Fatal(err)
				}
				if len(parts) > 0 {
					s = open(t, dir, second)
				}
			}
		}
		for i, name := range []string{"000000010000000000000007", "000000010000000000000008"} {
			got, err := os.ReadFile(filepath.Join(dir, name))
			if want := stream[i*int(mib) : (i+1)*int(mib)]; err != nil || !bytes.Equal(got, want) {
				t.Errorf("parts of %d: %s has %d bytes that differ, %v", size, name, len(got), err)
			}
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 2 {
			t.Errorf("parts of %d: left behind %v", size, entries)
		}
	}
}

func TestPartialFilesAreThoseOfPgReceivewal(t *testing.T) {
	at := position{2, 3 * wal.LSN(mib)}
	content := segmentBytes(at, 42)
	dir := t.TempDir()
	s := open(t, dir, at)
	if _, err := s.write(split(content[:5000], 1000)); err != nil {
		t.Fatal(err)
	}
	if !s.dirty() || s.flushed != at.lsn {
		t.Errorf("flushed %s before any sync", s.flushed)
	}
	if err := s.sync(); err != nil || s.flushed != at.lsn+5000 {
		t.Errorf("flushed %s, %v", s.flushed, err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "000000020000000000000003.partial"))
	if err != nil || len(got) != int(mib) || !bytes.Equal(got[:5000], content[:5000]) || len(bytes.Trim(got[5000:], "\x00")) > 0 {
		t.Errorf("the partial file has %d bytes, or others than those written and zeros; %v", len(got), err)
	}
}

func TestAPartialFileOfOddSizeIsMadeAnew(t *testing.T) {
	at := position{1, 0}
	dir := t.TempDir()
	path := filepath.Join(dir, "000000010000000000000000.partial")
	for _, size := range []int{0, 100, 2 << 20} {
		if err := os.WriteFile(path, bytes.Repeat([]byte("x"), size), 0o600); err != nil {
			t.Fatal(err)
		}
		s, truncated, err := openSegment(dir, at, expect15)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.file.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || truncated != (size > 0) || len(got) != int(mib) || len(bytes.Trim(got, "\x00")) > 0 {
			t.Errorf("a file of %d bytes: truncated %v, now %d bytes, %v", size, truncated, len(got), err)
		}
	}
}

func TestForeignWALIsNeverWritten(t *testing.T) {
	at := position{1, 5 * wal.LSN(mib)}
	for name, content := range map[string][]byte{
		"another cluster":  segmentBytes(at, 43),
		"another segment":  segmentBytes(position{1, 6 * wal.LSN(mib)}, 42),
		"a later timeline": segmentBytes(position{2, at.lsn}, 42),
		"zeros":            make([]byte, mib),
	} {
		for _, size := range []int{13, 4096} {
			dir := t.TempDir()
			s := open(t, dir, at)
			var err error
			for _, part := range split(content, size) {
				if _, err = s.write([][]byte{part}); err != nil {
					break
				}
			}
			if err == nil || s.written != at.lsn || !strings.Contains(err.Error(), "not its own") {
				t.Errorf("%s: written up to %s, %v", name, s.written, err)
			}
			got, readErr := os.ReadFile(filepath.Join(dir, "000000010000000000000005.partial"))
			if readErr != nil || len(bytes.Trim(got, "\x00")) > 0 {
				t.Errorf("%s: some of it is in the file; %v", name, readErr)
			}
		}
	}
}

func TestAFailedSyncIsNeverFlushed(t *testing.T) {
	at := position{1, 0}
	s := open(t, t.TempDir(), at)
	if _, err := s.write([][]byte{segmentBytes(at, 42)}); err != nil {
		t.Fatal(err)
	}
	// A closed file stands for a disk that fails: the call that has to succeed does not.
	if err := s.file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.complete(); err == nil || s.flushed != 0 {
		t.Errorf("flushed %s, %v", s.flushed, err)
	}
	if _, err := os.Stat(s.finalPath()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the segment has its final name: %v", err)
	}
}

func TestPositionIsThatOfPgReceivewal(t *testing.T) {
	const a, b = "000000010000000000000007", "000000010000000000000008"
	full, odd := int(mib), 100
	cases := map[string]struct {
		files map[string]int
		want  string
	}{
		"nothing":                            {nil, ""},
		"other files":                        {map[string]int{"00000002.history": 40, "notes": 1, a + ".00000028.backup": 200, heartbeatName: 3}, ""},
		"complete":                           {map[string]int{a: full}, a},
		"partial":                            {map[string]int{a: full, b + ".partial": full}, b + ".partial"},
		"partial without space":              {map[string]int{a + ".partial": 0}, a + ".partial"},
		"complete and partial of one":        {map[string]int{a: full, a + ".partial": full}, a},
		"complete of wrong size":             {map[string]int{a: full, b: odd}, a},
		"address before timeline":            {map[string]int{"000000020000000000000007": full, b: full}, b},
		"timeline before completeness":       {map[string]int{a: full, "000000020000000000000007.partial": full}, "000000020000000000000007.partial"},
		"a number that no such segment has":  {map[string]int{a: full, "000000010000000000001000": full}, a},
		"partial of an older timeline stays": {map[string]int{a + ".partial": full, "000000020000000000000007": full}, "000000020000000000000007"},
	}
	for name, c := range cases {
		dir := t.TempDir()
		for file, size := range c.files {
			if err := os.WriteFile(filepath.Join(dir, file), make([]byte, size), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		last, found, _, err := newest(dir, mib)
		got := ""
		if found {
			if got = last.segment.String(); last.partial {
				got += ".partial"
			}
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %q, want %q; %v", name, got, c.want, err)
		}
	}
}

// TestEarlierWALIsKeptWhereOtherWALComes: the same WAL again is written without a word; other WAL calls parted before anything of the
// earlier file is lost.
func TestEarlierWALIsKeptWhereOtherWALComes(t *testing.T) {
	at := position{1, 0}
	content := segmentBytes(at, 42)
	for _, c := range []struct {
		name   string
		change int // the byte that differs; -1: none
		parted bool
	}{{"the same", -1, false}, {"other", 70_000, true}, {"other behind what is there", 200_000, false}} {
		dir := t.TempDir()
		s := open(t, dir, at)
		if _, err := s.write(split(content[:100_000], 1000)); err != nil {
			t.Fatal(err)
		}
		if err := s.sync(); err != nil {
			t.Fatal(err)
		}
		before, err := os.ReadFile(s.partialPath())
		if err != nil {
			t.Fatal(err)
		}

		second := bytes.Clone(content)
		if c.change >= 0 {
			second[c.change]++
		}
		again, calls := open(t, dir, at), 0
		again.parted = func() error {
			calls++
			if now, err := os.ReadFile(again.partialPath()); err != nil || !bytes.Equal(now, before) {
				t.Errorf("%s: the earlier file was changed before it could be kept; %v", c.name, err)
			}
			return nil
		}
		for _, part := range split(second, 3000) {
			if _, err := again.write([][]byte{part}); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(again.partialPath()); err != nil || !bytes.Equal(got, second) || (calls == 1) != c.parted || calls > 1 {
			t.Errorf("%s: parted %d times, file as sent: %v; %v", c.name, calls, bytes.Equal(got, second), err)
		}
	}
}
