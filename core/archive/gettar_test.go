package archive_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/barman-go/barman/core/archive"
	"github.com/barman-go/barman/core/wal"
)

// TestSendTarIsAStreamThatPutWALTakes hands consecutive files to another Barman: as they are stored where every client can decode
// that, decoded otherwise, and no more than are wanted or there.
func TestSendTarIsAStreamThatPutWALTakes(t *testing.T) {
	s := newSite(t)
	first, second, fourth := segment(t, seg1, mib, 1), segment(t, seg2, mib, 2), segment(t, "000000010000000000000004", mib, 4)
	packed := gzipped(t, first, 6)
	s.put(s.archived(seg1), packed)
	s.deliver(seg2, second)
	s.put(s.archived("000000010000000000000004"), fourth)
	s.receive(seg3+".partial", segment(t, seg3, mib, 3))
	send := func(from string, n int) ([]byte, error) {
		name, err := wal.ParseFileName(from)
		check(t, err)
		var b bytes.Buffer
		err = s.getter(s.codecs("")).SendTar(t.Context(), name, n, archive.GetOptions{KeepKnown: true, Partial: true}, &b)
		return b.Bytes(), err
	}
	for n, want := range map[int]map[string][]byte{1: {seg1: packed}, 2: {seg1: packed, seg2: second}, 9: {seg1: packed, seg2: second}} {
		stream, err := send(seg1, n)
		check(t, err)
		other := newSite(t)
		check(t, other.putWAL(stream))
		for name, content := range want {
			got, err := os.ReadFile(filepath.Join(other.layout.Incoming, name))
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d files wanted: %s differs (error %v)", n, name, err)
			}
		}
		other.wantTree(other.layout.Incoming, slices.Sorted(maps.Keys(want))...)
	}
	stream, err := send(seg3, 5)
	if !errors.Is(err, archive.ErrNotFound) || len(stream) > 0 {
		t.Errorf("missing file: %d bytes, error %v", len(stream), err)
	}
}

func TestSendTarStopsAtADamagedFile(t *testing.T) {
	s := newSite(t)
	s.put(s.archived(seg1), segment(t, seg1, mib, 1))
	s.put(s.archived(seg2), append([]byte{0x85, 0x01, 0x0c, 0x03}, make([]byte, 100)...)) // encrypted, and nobody has the key
	name, err := wal.ParseFileName(seg1)
	check(t, err)
	var b bytes.Buffer
	err = s.getter(s.codecs("")).SendTar(t.Context(), name, 5, archive.GetOptions{KeepKnown: true}, &b)
	if !errors.Is(err, archive.ErrEncrypted) {
		t.Errorf("error %v", err)
	}
	// What came before it is whole, and the stream has no end.
	if !bytes.Contains(b.Bytes(), []byte("SHA256SUMS")) || bytes.HasSuffix(b.Bytes(), make([]byte, 1024)) {
		t.Errorf("a stream of %d bytes", b.Len())
	}
}

// TestGetWALDecodesAPartialSegment: Barman sends the stored form, which PostgreSQL cannot read.
func TestGetWALDecodesAPartialSegment(t *testing.T) {
	s := newSite(t)
	content := segment(t, seg1, mib, 1)
	s.put(s.archived(seg1+".partial"), gzipped(t, content, 1))
	got, err := s.get(s.codecs(""), seg1, archive.GetOptions{Partial: true})
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, error %v", len(got), err)
	}
}
