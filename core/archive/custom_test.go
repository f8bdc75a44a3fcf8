package archive_test

import (
	"os"
	"testing"

	"github.com/barman-go/barman/core/archive"
)

// TestFilterThatDoesMoreThanItsMagicSays stores what looks like gzip and is not WAL inside.
func TestFilterThatDoesMoreThanItsMagicSays(t *testing.T) {
	const (
		scramble   = `tr '\000-\377' '\200-\377\000-\177'`
		unscramble = `tr '\200-\377\000-\177' '\000-\377'`
	)
	s := newSite(t)
	s.filters = map[string]any{"compression_filter": scramble + " | gzip -c", "decompression_filter": "gzip -dc | " + unscramble}
	custom, plainGzip := segment(t, seg1, mib, 1), segment(t, seg2, mib, 2)
	s.deliver(seg1, custom)
	s.run(s.archiver("custom"), s.incoming())
	s.deliver(seg2, plainGzip)
	s.run(s.archiver("gzip"), s.incoming())

	magic := []archive.Magic{{Format: "custom", Bytes: []byte{0x1f, 0x8b, 0x08}}}
	for name, magics := range map[string][]archive.Magic{"no magic": nil, "with gzip's magic": magic} {
		for _, now := range []string{"custom", "zstd"} {
			t.Run(name+", now "+now, func(t *testing.T) {
				codecs := s.codecs(now)
				codecs.LastResort, codecs.Magics = "custom", magics
				s.wantGet(codecs, seg1, custom)
				s.wantGet(codecs, seg2, plainGzip)
				s.wantNoTemps()
			})
		}
	}
}

func TestFilterThatPassesOnWhatItDoesNotKnowIsNotBelieved(t *testing.T) {
	s := newSite(t)
	s.filters = map[string]any{"decompression_filter": "cat"}
	content := segment(t, seg1, mib, 1)
	s.deliver(seg1, content)
	s.run(s.archiver("lz4"), s.incoming())
	codecs := s.codecs("")
	codecs.LastResort = "custom"
	s.wantGet(codecs, seg1, content)

	check(t, os.Truncate(s.archived(seg1), 5000))
	if got, err := s.get(codecs, seg1, archive.GetOptions{}); err == nil {
		t.Errorf("a damaged file gave %d bytes and no error", len(got))
	}
	s.wantNoTemps()
}
