package archive_test

import (
	"archive/tar"
	"bytes"
	"crypto/md5" //nolint:gosec // what clients of older versions send
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/barman-go/barman/core/archive"
	"github.com/barman-go/barman/core/wal"
)

const (
	seg1 = "000000010000000000000001"
	seg2 = "000000010000000000000002"
	seg3 = "000000010000000000000003"
)

func (s *site) putter(codecs *archive.Codecs) *archive.Putter {
	return &archive.Putter{
		Server: "main", Incoming: s.layout.Incoming, Errors: s.layout.Errors, WALs: s.layout.WALs, Codecs: codecs,
		Expect: wal.Expect{SystemID: cluster, Version: 15}, SSHHost: "10.0.0.7",
		Now: func() time.Time { return s.now }, Out: s.out, Log: s.logger(),
	}
}

// putWAL runs put-wal over a stream.
func (s *site) putWAL(stream []byte) error {
	return s.putter(s.codecs("")).Run(s.t.Context(), bytes.NewReader(stream))
}

type member struct {
	tar.Header
	content []byte
}

// file is a regular member.
func file(name string, content []byte) member {
	return member{tar.Header{
		Name: name, Typeflag: tar.TypeReg, Mode: 0o600, ModTime: start.Add(-2*time.Hour + 500*time.Millisecond), Format: tar.FormatPAX,
	}, content}
}

func special(name string, kind byte) member {
	return member{tar.Header{Name: name, Typeflag: kind, Linkname: "/etc/passwd", Mode: 0o600}, nil}
}

// sums is a checksum member for files, in the text form of sha256sum.
func sums(files ...member) member {
	var text strings.Builder
	for _, f := range files {
		sum := sha256.Sum256(f.content)
		text.WriteString(hex.EncodeToString(sum[:]) + " *" + f.Name + "\n")
	}
	return file("SHA256SUMS", []byte(text.String()))
}

func md5sums(files ...member) member {
	var text strings.Builder
	for _, f := range files {
		sum := md5.Sum(f.content) //nolint:gosec // see the import
		text.WriteString(hex.EncodeToString(sum[:]) + "  ./" + f.Name + "\n")
	}
	return file("MD5SUMS", []byte(text.String()))
}

func stream(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		m.Size = int64(len(m.content))
		check(t, w.WriteHeader(&m.Header))
		_, err := w.Write(m.content)
		check(t, err)
	}
	check(t, w.Close())
	return b.Bytes()
}

func TestPutWALStoresWhatMatchesItsChecksum(t *testing.T) {
	one, label := file(seg1, segment(t, seg1, mib, 1)), file(seg1+".00000028.backup", []byte("START WAL LOCATION: 0/1000028\n"))
	history, big := file("00000002.history", []byte("1\t0/5000000\tno recovery target specified\n")), file(seg2, segment(t, seg2, 16*mib, 2))
	dotted := one
	dotted.Name = "./" + seg1
	for name, test := range map[string]struct {
		members []member
		want    []string
	}{
		"checksums last":             {[]member{one, sums(one)}, []string{seg1}},
		"checksums first":            {[]member{sums(one), one}, []string{seg1}},
		"MD5 first":                  {[]member{md5sums(one), one}, []string{seg1}},
		"MD5 last":                   {[]member{one, md5sums(one)}, []string{seg1}},
		"dot and slash before":       {[]member{dotted, sums(one)}, []string{seg1}},
		"label, history, 16 MiB":     {[]member{label, big, history, sums(label, big, history)}, []string{label.Name, seg2, history.Name}},
		"partial":                    {[]member{file(seg1+".partial", one.content[:8192]), sums(file(seg1+".partial", one.content[:8192]))}, []string{seg1 + ".partial"}},
		"checksums in two members":   {[]member{sums(one), one, big, sums(big)}, []string{seg1, seg2}},
		"global header, as of git":   {[]member{{tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "x"}}, nil}, one, sums(one)}, []string{seg1}},
		"a bad line among good ones": {[]member{one, {sums(one).Header, append([]byte("not a checksum\n"), sums(one).content...)}}, []string{seg1}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			check(t, s.putWAL(stream(t, test.members...)))
			s.wantTree(s.layout.Incoming, test.want...)
			for _, m := range test.members {
				path := filepath.Join(s.layout.Incoming, strings.TrimPrefix(m.Name, "./"))
				if !wal.IsFileName(filepath.Base(path)) {
					continue
				}
				got, err := os.ReadFile(path)
				check(t, err)
				info, err := os.Stat(path)
				check(t, err)
				if !bytes.Equal(got, m.content) || !info.ModTime().Equal(m.ModTime) {
					t.Errorf("%s: content or time (%v, want %v) differ", m.Name, info.ModTime(), m.ModTime)
				}
			}
		})
	}
}

func TestPutWALRefusesAndLeavesNothing(t *testing.T) {
	content := segment(t, seg1, mib, 1)
	one := file(seg1, content)
	wrong := sums(file(seg1, []byte("something else")))
	foreign := bytes.Clone(content)
	foreign[24] ^= 1
	renamed := file(seg2, content)
	short := file(seg1, content[:mib/2])
	long := file(seg1, append(bytes.Clone(content), 0))
	whole := stream(t, one, sums(one))
	damaged := bytes.Clone(whole)
	damaged[0] ^= 0xff // its header's checksum does not match any more
	foo, up, abs := file("foo", []byte("x")), file("../"+seg1, content), file("/tmp/"+seg1, content)
	for name, test := range map[string]struct {
		stream []byte
		// text is in the message, or in the error when that is not ErrRefused.
		text string
	}{
		"no checksum":               {stream(t, one), "Missing checksum for file '" + seg1 + "' in put-wal for server 'main' (SSH host: 10.0.0.7)"},
		"wrong checksum":            {stream(t, one, wrong), "Bad file checksum"},
		"wrong checksum first":      {stream(t, wrong, one), "Bad file checksum"},
		"wrong MD5":                 {stream(t, one, md5sums(file(seg1, nil))), "Bad file checksum"},
		"checksum without file":     {stream(t, one, sums(one, file(seg2, nil))), "Checksum without corresponding file '" + seg2 + "'"},
		"only checksums":            {stream(t, sums(one)), "Checksum without corresponding file"},
		"an empty list of them":     {stream(t, sums()), "holds no file"},
		"nothing":                   {nil, "holds no file"},
		"an empty archive":          {stream(t), "holds no file"},
		"garbage":                   {bytes.Repeat([]byte("garbage "), 1000), "read tar stream"},
		"damaged header":            {damaged, "read tar stream"},
		"cut in a header":           {whole[:300], "read tar stream"},
		"cut in the content":        {whole[:1024+mib/2], "unexpected EOF"},
		"cut before the checksums":  {whole[:1024+512+mib], ""},
		"name that is no WAL":       {stream(t, foo, sums(foo)), "Unsupported filename"},
		"name that leaves":          {stream(t, up, sums(up)), "Unsupported filename"},
		"absolute name":             {stream(t, abs, sums(abs)), "Unsupported filename"},
		"directory":                 {stream(t, one, special("dir/", tar.TypeDir)), "Unsupported file type '5'"},
		"symbolic link":             {stream(t, special(seg1, tar.TypeSymlink), sums(one)), "Unsupported file type '2'"},
		"hard link":                 {stream(t, special(seg1, tar.TypeLink), sums(one)), "Unsupported file type '1'"},
		"character device":          {stream(t, special(seg1, tar.TypeChar), sums(one)), "Unsupported file type '3'"},
		"block device":              {stream(t, special(seg1, tar.TypeBlock), sums(one)), "Unsupported file type '4'"},
		"FIFO":                      {stream(t, special(seg1, tar.TypeFifo), sums(one)), "Unsupported file type '6'"},
		"checksums as a link":       {stream(t, one, special("SHA256SUMS", tar.TypeSymlink)), "Unsupported file type '2'"},
		"one name twice":            {stream(t, one, one, sums(one)), "Duplicate file"},
		"good one, then a bad one":  {stream(t, one, foo, sums(one, foo)), "Unsupported filename"},
		"good one, then no sum":     {stream(t, one, file(seg2, segment(t, seg2, mib, 1)), sums(one)), "Missing checksum for file '" + seg2},
		"another cluster":           {stream(t, file(seg1, foreign), sums(file(seg1, foreign))), "another cluster"},
		"cut segment":               {stream(t, short, sums(short)), "wrong size"},
		"segment with a tail":       {stream(t, long, sums(long)), "wrong size"},
		"another segment's content": {stream(t, renamed, sums(renamed)), "its first page is that of " + seg1},
		"zeros":                     {stream(t, file(seg1, make([]byte, mib)), sums(file(seg1, make([]byte, mib)))), "begins with zeros"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			err := s.putWAL(test.stream)
			if err == nil {
				t.Fatal("it was accepted")
			}
			report := strings.Join(s.out.take(), "\n")
			if !errors.Is(err, archive.ErrRefused) {
				report = err.Error()
			} else if !strings.HasPrefix(report, "E ") {
				t.Errorf("it was not reported as an error: %q", report)
			}
			if !strings.Contains(report, test.text) {
				t.Errorf("report %q does not say %q", report, test.text)
			}
			s.wantTree(s.layout.Backup)
		})
	}
}

func TestPutWALAcceptsARepetition(t *testing.T) {
	content := segment(t, seg1, mib, 1)
	whole := stream(t, file(seg1, content), sums(file(seg1, content)))
	for name, compression := range map[string]string{"archived as it is": "", "archived with gzip": "gzip"} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			check(t, s.putWAL(whole))
			check(t, s.putWAL(whole))
			s.wantTree(s.layout.Incoming, seg1)
			a := s.archiver(compression)
			s.run(a, s.incoming())
			check(t, s.putWAL(whole))
			s.wantTree(s.layout.Incoming)
			s.wantTree(s.layout.Errors)
			s.wantGet(a.Codecs, seg1, content)
		})
	}
}

func TestPutWALRefusesOtherContentAndKeepsItOnce(t *testing.T) {
	old, other := segment(t, seg1, mib, 1), segment(t, seg1, mib, 2)
	good := file(seg2, segment(t, seg2, mib, 1))
	whole := stream(t, file(seg1, other), good, sums(file(seg1, other), good))
	for name, prepare := range map[string]func(s *site){
		"in incoming": func(*site) {},
		"archived":    func(s *site) { s.run(s.archiver("zstd"), s.incoming()) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.deliver(seg1, old)
			prepare(s)
			for range 3 { // as PostgreSQL does
				if err := s.putWAL(whole); !errors.Is(err, archive.ErrRefused) {
					t.Fatalf("error %v, want ErrRefused", err)
				}
				s.now = s.now.Add(time.Minute)
				s.out.wantError(t, "Duplicate Files Detected with Mismatched Checksums")
				s.wantAlarm(seg1)
			}
			s.wantTree(s.layout.Errors, seg1+".20261122T084700Z.duplicate")
			kept, err := os.ReadFile(filepath.Join(s.layout.Errors, seg1+".20261122T084700Z.duplicate"))
			check(t, err)
			if !bytes.Equal(kept, other) {
				t.Error("the file in errors/ is not the one that was refused")
			}
			s.wantGet(s.codecs("zstd"), seg1, old)
			s.wantGet(s.codecs("zstd"), seg2, good.content)
			s.wantNoTemps()
		})
	}
}

func TestPutWALAcceptsASoundFileWhenTheArchivedOneIsDamaged(t *testing.T) {
	s := newSite(t)
	content := segment(t, seg1, mib, 1)
	s.deliver(seg1, content)
	a := s.archiver("gzip")
	s.run(a, s.incoming())
	check(t, os.Truncate(s.archived(seg1), 1000))
	check(t, s.putWAL(stream(t, file(seg1, content), sums(file(seg1, content)))))
	s.out.take()
	sum := s.run(a, s.incoming())
	if sum.Replaced != 1 {
		t.Errorf("summary %+v, want one replaced file", sum)
	}
	s.wantTree(s.layout.Errors, seg1+".20261122T084700Z.duplicate")
	s.wantGet(a.Codecs, seg1, content)
	if got := strings.Join(s.out.take(), "\n"); !strings.Contains(got, "W "+seg1+" of server main was damaged in the archive") {
		t.Errorf("nobody is told: %q", got)
	}
}

func TestPutWALReadsThePaddingOfTheSender(t *testing.T) {
	s := newSite(t)
	one := file(seg1, segment(t, seg1, mib, 1))
	in := bytes.NewReader(append(stream(t, one, sums(one)), make([]byte, 64<<10)...))
	check(t, s.putter(s.codecs("")).Run(t.Context(), in))
	if in.Len() != 0 {
		t.Errorf("%d bytes were not read: the sender gets a broken pipe", in.Len())
	}
}

func TestPutWALWithCompressedSegment(t *testing.T) {
	s := newSite(t)
	plain := segment(t, seg1, mib, 1)
	first, second := gzipped(t, plain, 1), gzipped(t, plain, 9)
	check(t, s.putWAL(stream(t, file(seg1, first), sums(file(seg1, first)))))
	// The client compresses again when it repeats, and the bytes differ.
	check(t, s.putWAL(stream(t, file(seg1, second), sums(file(seg1, second)))))
	s.wantTree(s.layout.Incoming, seg1)
	s.wantTree(s.layout.Errors)
}

// failing gives an error after some bytes.
type failing struct {
	r    io.Reader
	left int
}

func (f *failing) Read(p []byte) (int, error) {
	if f.left <= 0 {
		return 0, errors.New("connection reset by peer")
	}
	n, err := f.r.Read(p[:min(len(p), f.left)])
	f.left -= n
	return n, err
}

func TestPutWALLosesItsSender(t *testing.T) {
	s := newSite(t)
	one := file(seg1, segment(t, seg1, mib, 1))
	whole := stream(t, one, sums(one))
	for _, at := range []int{1, 600, 100_000, len(whole) - 2000} {
		err := s.putter(s.codecs("")).Run(t.Context(), &failing{bytes.NewReader(whole), at})
		if err == nil || !strings.Contains(err.Error(), "connection reset") {
			t.Errorf("after %d bytes: error %v", at, err)
		}
	}
	s.wantTree(s.layout.Backup)
}

func FuzzPutWAL(f *testing.F) {
	one := file(seg1, []byte("not a segment"))
	label := file(seg1+".00000028.backup", []byte("START WAL LOCATION\n"))
	f.Add(stream(f, one, sums(one)))
	f.Add(stream(f, label, sums(label)))
	f.Add(stream(f, md5sums(label), label, special(seg2, tar.TypeSymlink)))
	home := f.TempDir()
	s := newSiteIn(f, home)
	p := s.putter(&archive.Codecs{}) // no plugin is needed for what is not there already
	f.Fuzz(func(t *testing.T, stream []byte) {
		s.t = t
		err := p.Run(t.Context(), bytes.NewReader(stream))
		for _, name := range s.tree(home) {
			dir, base := filepath.Split(name)
			if dir == "main/errors/" {
				continue
			}
			if dir != "main/incoming/" || !wal.IsFileName(base) {
				t.Fatalf("it made %s (error %v)", name, err)
			}
			check(t, os.Remove(filepath.Join(home, name)))
		}
	})
}
