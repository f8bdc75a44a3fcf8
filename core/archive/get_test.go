package archive_test

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/barman-go/barman/core/archive"
	"github.com/barman-go/barman/core/wal"
)

func TestGetWALLooksEverywhereInBarmansOrder(t *testing.T) {
	partial := seg1 + ".partial"
	for name, test := range map[string]struct {
		archived, incoming, streaming []string
		partial                       bool
		want                          string
	}{
		"archive first":                   {[]string{seg1}, []string{seg1}, []string{seg1}, false, "wals"},
		"then incoming":                   {nil, []string{seg1}, []string{seg1}, false, "incoming"},
		"then streaming":                  {nil, nil, []string{seg1}, false, "streaming"},
		"partial segments are not taken":  {[]string{partial}, []string{partial}, []string{partial}, false, ""},
		"partial: from streaming first":   {[]string{partial}, []string{partial}, []string{partial}, true, "streaming"},
		"partial: then from the archive":  {[]string{partial}, []string{partial}, nil, true, "wals"},
		"partial: then from incoming":     {nil, []string{partial}, nil, true, "incoming"},
		"partial: a whole one is better":  {[]string{seg1}, nil, []string{partial}, true, "wals"},
		"partial: nothing":                {nil, nil, nil, true, ""},
		"partial: also one not yet filed": {nil, []string{seg1}, []string{partial}, true, "incoming"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			for _, name := range test.archived {
				s.put(s.archived(name), []byte("wals"))
			}
			for _, name := range test.incoming {
				s.deliver(name, []byte("incoming"))
			}
			for _, name := range test.streaming {
				s.receive(name, []byte("streaming"))
			}
			got, err := s.get(s.codecs(""), seg1, archive.GetOptions{Partial: test.partial})
			if string(got) != test.want || (test.want == "") != errors.Is(err, archive.ErrNotFound) {
				t.Errorf("got %q, error %v; want %q", got, err, test.want)
			}
		})
	}
}

func TestGetWALInTheFormWanted(t *testing.T) {
	content := segment(t, seg1, mib, 1)
	for _, stored := range []string{"", "pigz", "zstd", "pybzip2"} {
		s := newSite(t)
		s.deliver(seg1, content)
		s.run(s.archiver(stored), s.incoming())
		codecs := s.codecs("lz4")
		s.wantGet(codecs, seg1, content)
		packed, err := s.get(codecs, seg1, archive.GetOptions{Compression: "gzip"})
		check(t, err)
		z, err := gzip.NewReader(bytes.NewReader(packed))
		check(t, err)
		if plain, err := io.ReadAll(z); err != nil || !bytes.Equal(plain, content) {
			t.Errorf("stored as %q, wanted as gzip: error %v", stored, err)
		}
		packed, err = s.get(codecs, seg1, archive.GetOptions{Compression: "bzip2"})
		check(t, err)
		if plain, err := io.ReadAll(bzip2.NewReader(bytes.NewReader(packed))); err != nil || !bytes.Equal(plain, content) {
			t.Errorf("stored as %q, wanted as bzip2: error %v", stored, err)
		}
		raw, err := s.get(codecs, seg1, archive.GetOptions{KeepCompression: true})
		check(t, err)
		if file, err := os.ReadFile(s.archived(seg1)); err != nil || !bytes.Equal(raw, file) {
			t.Errorf("stored as %q, wanted as it is: it differs (error %v)", stored, err)
		}
		s.wantNoTemps()
	}
}

func TestGetWALIntoAFileIsAllOrNothing(t *testing.T) {
	s := newSite(t)
	content := segment(t, seg1, mib, 1)
	s.deliver(seg1, content)
	s.run(s.archiver("gzip"), s.incoming())
	g := s.getter(s.codecs(""))
	out := t.TempDir()
	name, _ := wal.ParseFileName(seg1)
	dest := filepath.Join(out, seg1)
	check(t, g.SendFile(t.Context(), name, archive.GetOptions{}, dest))
	if got, err := os.ReadFile(dest); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the file differs (error %v)", err)
	}
	check(t, os.Remove(dest))
	check(t, os.Truncate(s.archived(seg1), 2000))
	if err := g.SendFile(t.Context(), name, archive.GetOptions{}, dest); err == nil {
		t.Error("a damaged file was handed out")
	}
	missing, _ := wal.ParseFileName(seg2)
	if err := g.SendFile(t.Context(), missing, archive.GetOptions{}, filepath.Join(out, seg2)); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("error %v, want ErrNotFound", err)
	}
	s.wantTree(out)
	s.wantNoTemps()
	if err := g.SendFile(t.Context(), name, archive.GetOptions{KeepCompression: true}, "/nonexistent/"+seg1); err == nil {
		t.Error("no error for a directory that does not exist")
	}
}

func TestGetWALEndsWhenThereIsNoPlaceForTemporaryFiles(t *testing.T) {
	s := newSite(t)
	s.deliver(seg1, gzipped(t, segment(t, seg1, mib, 1), 1))
	check(t, os.RemoveAll(s.layout.WALs))
	if _, err := s.get(s.codecs(""), seg1, archive.GetOptions{}); err == nil || errors.Is(err, archive.ErrNotFound) {
		t.Errorf("error %v, want one about wals/", err)
	}
}

func TestPeek(t *testing.T) {
	fe, ff, next := "0000000100000000000000FE", "0000000100000000000000FF", "000000010000000100000000"
	small := []string{"0000000100000000000000FF", "000000010000000000000100", "000000010000000000000FFF", next}
	for name, test := range map[string]struct {
		archived, incoming, streaming []string
		from                          string
		n                             int
		want                          []string
	}{
		"into the next log":            {[]string{fe}, []string{ff}, []string{next}, fe, 5, []string{fe, ff, next}},
		"no more than wanted":          {[]string{fe, ff, next}, nil, nil, fe, 2, []string{fe, ff}},
		"first is missing":             {[]string{ff}, nil, nil, fe, 5, nil},
		"a gap ends it":                {[]string{seg1, seg3}, nil, nil, seg1, 5, []string{seg1}},
		"a gap at a power of two":      {[]string{seg1, next}, nil, nil, seg1, 5, []string{seg1, next}},
		"segments of 1 MiB":            {small[:2], nil, nil, small[0], 5, small[:2]},
		"end of a log of 1 MiB":        {small[2:], nil, nil, small[2], 5, small[2:]},
		"partial segments are not it":  {nil, nil, []string{seg1 + ".partial"}, seg1, 5, nil},
		"history files follow nothing": {[]string{history, "00000003.history"}, nil, nil, history, 5, []string{history}},
		"history that is not there":    {nil, nil, nil, history, 5, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			for _, name := range test.archived {
				s.put(s.archived(name), nil)
			}
			for _, name := range test.incoming {
				s.deliver(name, nil)
			}
			for _, name := range test.streaming {
				s.receive(name, nil)
			}
			from, err := wal.ParseFileName(test.from)
			check(t, err)
			got, err := s.getter(s.codecs("")).Peek(from, test.n)
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Errorf("error %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// TestGetWALFindsAFileThatIsBeingArchived reads segments while archive-wal moves them.
func TestGetWALFindsAFileThatIsBeingArchived(t *testing.T) {
	s := newSite(t)
	content := map[string][]byte{}
	for i := range 60 {
		name := fmt.Sprintf("0000000100000000000000%02X", i+1)
		content[name] = segment(t, name, mib, 3)
		s.deliver(name, content[name])
	}
	a := s.archiver("lz4")
	done := make(chan error, 1)
	go func() {
		_, err := a.Run(t.Context(), s.incoming())
		done <- err
	}()
	for running := true; running; {
		select {
		case err := <-done:
			check(t, err)
			running = false
		default:
		}
		for name, want := range content {
			s.wantGet(a.Codecs, name, want)
		}
	}
}
