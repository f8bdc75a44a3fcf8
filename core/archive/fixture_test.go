package archive_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/core/archive"
	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/pluginhost"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/schema"
	"github.com/barman-go/barman/test/lab"
)

// plugins is a directory with the compress plugins of this checkout, built when the first test needs it.
var plugins = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "archive-test-")
	if err != nil {
		return "", err
	}
	err = lab.AddPlugins(context.Background(), dir, "compress/gzip", "compress/bzip2", "compress/zstd", "compress/lz4", "compress/xz",
		"compress/snappy", "compress/custom")
	if err != nil {
		return dir, err
	}
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "barman-compress-fault"), "github.com/barman-go/barman/test/faultplugin")
	if out, err := build.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("%w: %s", err, out)
	}
	for alias, name := range map[string]string{"pigz": "gzip", "pygzip": "gzip", "pybzip2": "bzip2"} {
		if err := os.Symlink("barman-compress-"+name, filepath.Join(dir, "barman-compress-"+alias)); err != nil {
			return dir, err
		}
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if built {
		dir, _ := plugins()
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// built tells that there is something to remove.
var built bool

const (
	mib     = 1 << 20
	cluster = wal.SystemID(7_000_000_000_000_000_001)
)

// start is the clock of the tests; the files that they make are older than a minute.
var start = time.Date(2026, 11, 22, 8, 47, 0, 0, time.UTC)

// segment makes a valid WAL segment of PostgreSQL 15 whose content depends on seed; a third of it compresses well.
func segment(t testing.TB, name string, size int, seed uint64) []byte {
	t.Helper()
	parsed, err := wal.ParseFileName(name)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := parsed.Segment()
	b := make([]byte, size)
	random := rand.NewChaCha8([32]byte{byte(seed), byte(s.Seg), byte(s.Timeline)})
	for page := 0; page < size; page += 8192 {
		_, _ = random.Read(b[page : page+2048])
		copy(b[page+4096:], "a row of pgbench_accounts, over and over again")
	}
	magic, _ := wal.PageMagic(15)
	binary.LittleEndian.PutUint16(b, magic)
	binary.LittleEndian.PutUint16(b[2:], wal.InfoLongHeader)
	binary.LittleEndian.PutUint32(b[4:], uint32(s.Timeline))
	binary.LittleEndian.PutUint64(b[8:], uint64(s.StartLSN(wal.SegmentSize(size))))
	binary.LittleEndian.PutUint32(b[16:], 0)
	binary.LittleEndian.PutUint64(b[24:], uint64(cluster))
	binary.LittleEndian.PutUint32(b[32:], uint32(size))
	binary.LittleEndian.PutUint32(b[36:], 8192)
	return b
}

// site is one server's directories and everything that works on them.
type site struct {
	t      testing.TB
	layout catalog.Layout
	index  *catalog.WALIndex
	out    *messages
	log    *bytes.Buffer
	// filters are the options of the plugin custom.
	filters schema.Values
	// faults are those of the plugin fault.
	faults schema.Values
	now    time.Time
	mu     sync.Mutex
}

func newSite(t testing.TB) *site { return newSiteIn(t, t.TempDir()) }

func newSiteIn(t testing.TB, home string) *site {
	t.Helper()
	s := &site{t: t, layout: catalog.DefaultLayout(home, "main"), out: &messages{}, log: &bytes.Buffer{}, now: start}
	for _, dir := range s.layout.Directories() {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	lock := func(context.Context) (func() error, error) {
		s.mu.Lock()
		return func() error { s.mu.Unlock(); return nil }, nil
	}
	s.index = catalog.NewWALIndex(s.layout, lock, catalog.IdentifyFormat)
	return s
}

// codecs uses the real plugins.
func (s *site) codecs(compression string) *archive.Codecs {
	s.t.Helper()
	built = true
	bundled, err := plugins()
	check(s.t, err)
	// Not t.TempDir: a socket's path is short.
	temp, err := os.MkdirTemp("/tmp", "arch-")
	if err != nil {
		s.t.Fatal(err)
	}
	host := pluginhost.New(pluginhost.Options{BundledDir: bundled, SearchPath: []string{}, TempDir: temp})
	s.t.Cleanup(func() {
		if err := host.Close(); err != nil {
			s.t.Error(err)
		}
		_ = os.RemoveAll(temp)
	})
	c := &archive.Codecs{
		Compression: compression, Level: "medium",
		Open: func(ctx context.Context, name string) (archive.Compressor, error) {
			values := map[string]schema.Values{"custom": s.filters, "fault": s.faults}[name]
			return host.Compressor(ctx, name, pluginhost.Use{
				Server: "main", Decode: func(schema.Schema) (schema.Values, error) { return values, nil },
			})
		},
		Installed: func() []string { return host.Installed("compress", pluginhost.Use{}) },
	}
	return c
}

func (s *site) logger() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Output: s.log, Level: hclog.Debug, DisableTime: true})
}

// wantAlarm wants the line in the log for which monitoring waits, and forgets the log.
func (s *site) wantAlarm(name string) {
	s.t.Helper()
	text := s.log.String()
	if !strings.Contains(text, "[ERROR] "+archive.AlarmPrefix+name+" ") {
		s.t.Errorf("no alarm about %s in the log:\n%s", name, text)
	}
	s.log.Reset()
}

// archiver files with two workers, verbosely, and without hooks.
func (s *site) archiver(compression string) *archive.Archiver {
	return &archive.Archiver{
		Server: "main", WALs: s.layout.WALs, Errors: s.layout.Errors, Expect: wal.Expect{SystemID: cluster, Version: 15},
		Codecs: s.codecs(compression), Index: s.index, Hooks: noHooks{}, Workers: 2, Verbose: true,
		Now: func() time.Time { return s.now }, Out: s.out, Log: s.logger(),
	}
}

func (s *site) incoming() archive.Source {
	return archive.Source{Name: archive.FileArchival, Dir: s.layout.Incoming}
}

func (s *site) streaming() archive.Source {
	return archive.Source{Name: archive.Streaming, Dir: s.layout.Streaming, Streaming: true}
}

// run archives what waits and wants no error.
func (s *site) run(a *archive.Archiver, src archive.Source) archive.Summary {
	s.t.Helper()
	sum, err := a.Run(s.t.Context(), src)
	if err != nil {
		s.t.Fatal(err)
	}
	return sum
}

// deliver puts a file into incoming/ as if it had come an hour ago.
func (s *site) deliver(name string, content []byte) string {
	s.t.Helper()
	return s.put(filepath.Join(s.layout.Incoming, name), content)
}

// receive puts a file into streaming/.
func (s *site) receive(name string, content []byte) string {
	s.t.Helper()
	return s.put(filepath.Join(s.layout.Streaming, name), content)
}

func (s *site) put(path string, content []byte) string {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o640); err != nil {
		s.t.Fatal(err)
	}
	old := start.Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// archived is the path of a file in wals/.
func (s *site) archived(name string) string {
	s.t.Helper()
	parsed, err := wal.ParseFileName(name)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.layout.WALPath(parsed)
}

// get is what get-wal gives.
func (s *site) get(c *archive.Codecs, name string, o archive.GetOptions) ([]byte, error) {
	s.t.Helper()
	parsed, err := wal.ParseFileName(name)
	if err != nil {
		s.t.Fatal(err)
	}
	var out bytes.Buffer
	err = s.getter(c).Send(s.t.Context(), parsed, o, &out)
	return out.Bytes(), err
}

func (s *site) getter(c *archive.Codecs) *archive.Getter {
	return &archive.Getter{
		Server: "main", WALs: s.layout.WALs, Incoming: s.layout.Incoming, Streaming: s.layout.Streaming, Codecs: c,
	}
}

// wantGet checks that a file comes back as it was delivered.
func (s *site) wantGet(c *archive.Codecs, name string, want []byte) {
	s.t.Helper()
	got, err := s.get(c, name, archive.GetOptions{})
	if err != nil {
		s.t.Errorf("get-wal %s: %v", name, err)
	} else if !bytes.Equal(got, want) {
		s.t.Errorf("get-wal %s: %d bytes that differ from the %d delivered", name, len(got), len(want))
	}
}

// indexed are the names in the index, in its order, with their compression.
func (s *site) indexed() []string {
	s.t.Helper()
	content, err := os.ReadFile(s.layout.WALIndexPath())
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		s.t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		names = append(names, fields[0]+" "+fields[3])
	}
	return names
}

// tree lists all files below a directory of the site, hidden ones included.
func (s *site) tree(dir string) []string {
	s.t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() && path != s.layout.WALIndexPath() {
			relative, _ := filepath.Rel(dir, path)
			names = append(names, relative)
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// wantTree compares a directory's files with what is wanted.
func (s *site) wantTree(dir string, want ...string) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.tree(dir)); diff != "" {
		s.t.Errorf("files in %s (-want +got):\n%s", filepath.Base(dir), diff)
	}
}

// wantNoTemps looks for leftovers everywhere.
func (s *site) wantNoTemps() {
	s.t.Helper()
	for _, name := range s.tree(s.layout.Backup) {
		if strings.HasPrefix(filepath.Base(name), ".") {
			s.t.Errorf("a temporary file is left: %s", name)
		}
	}
}

// messages collects what people see, with the severity in front.
type messages struct {
	mu    sync.Mutex
	lines []string
}

func (m *messages) Info(format string, args ...any)    { m.add("I ", format, args) }
func (m *messages) Warning(format string, args ...any) { m.add("W ", format, args) }
func (m *messages) Error(format string, args ...any)   { m.add("E ", format, args) }

func (m *messages) add(kind, format string, args []any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lines = append(m.lines, kind+fmt.Sprintf(format, args...))
}

// take returns the messages so far and forgets them.
func (m *messages) take() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	lines := m.lines
	m.lines = nil
	return lines
}

// wantError checks that an error was reported that holds a text, and forgets all messages.
func (m *messages) wantError(t testing.TB, text string) {
	t.Helper()
	for _, line := range m.take() {
		if strings.HasPrefix(line, "E ") && strings.Contains(line, text) {
			return
		}
	}
	t.Errorf("no error about %q was reported", text)
}

type noHooks struct{}

func (noHooks) Empty() bool                                { return true }
func (noHooks) Pre(context.Context, archive.Segment) error { return nil }
func (noHooks) Post(context.Context, archive.Segment)      {}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
