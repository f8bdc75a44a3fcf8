package maintenance_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/hook"
	"github.com/barman-go/barman/core/maintenance"
	"github.com/barman-go/barman/core/retention"
	"github.com/barman-go/barman/core/wal"
	sdkhook "github.com/barman-go/barman/sdk/hook"
)

var now = time.Date(2026, 6, 30, 12, 0, 0, 0, time.UTC)

// site is the catalog of one server with its keeper.
type site struct {
	*maintenance.Keeper
	t       testing.TB
	layout  catalog.Layout
	scripts *scripts
	out     *messages
	log     *bytes.Buffer
	mu      sync.Mutex
}

func newSite(t testing.TB, policy string) *site {
	t.Helper()
	s := &site{
		t: t, layout: catalog.DefaultLayout(t.TempDir(), "main"), out: &messages{}, log: &bytes.Buffer{},
	}
	for _, dir := range append(s.layout.Directories(), s.layout.Meta()) {
		check(t, os.MkdirAll(dir, 0o755))
	}
	c := catalog.New(s.layout)
	s.scripts = newScripts(c)
	parsed, err := retention.ParsePolicy(policy)
	check(t, err)
	lock := func(context.Context) (func() error, error) {
		s.mu.Lock()
		return func() error { s.mu.Unlock(); return nil }, nil
	}
	s.Keeper = &maintenance.Keeper{
		Server: "main", Catalog: c, Index: catalog.NewWALIndex(s.layout, lock, catalog.IdentifyFormat), LockDir: t.TempDir(),
		Policy: parsed, Hooks: s.scripts, Out: s.out, Log: hclog.New(&hclog.LoggerOptions{Output: s.log, Level: hclog.Debug}),
		Now: func() time.Time { return now },
	}
	return s
}

// id is that of a backup taken some days before now.
func id(daysAgo int) string { return now.AddDate(0, 0, -daysAgo).Format("20060102T150405") }

// backup makes a DONE backup taken some days ago that needs the segments begin … end, with content.
func (s *site) backup(daysAgo int, begin, end uint32) *catalog.BackupInfo {
	s.t.Helper()
	b := catalog.NewBackupInfo(id(daysAgo), "main", catalog.ModeRsyncConcurrent)
	b.Status, b.Timeline, b.SegmentSize = catalog.StatusDone, 1, wal.DefaultSegmentSize
	b.BeginWAL, b.EndWAL = wal.Segment{Timeline: 1, Seg: begin}, wal.Segment{Timeline: 1, Seg: end}
	b.EndTime = now.AddDate(0, 0, -daysAgo).Add(time.Hour)
	s.save(b)
	return b
}

func (s *site) save(b *catalog.BackupInfo) {
	s.t.Helper()
	check(s.t, s.Catalog.Save(b))
	data := filepath.Join(s.layout.BackupPath(b.ID), "data")
	check(s.t, os.MkdirAll(filepath.Join(data, "base"), 0o755))
	for _, name := range []string{"PG_VERSION", "base/1"} {
		check(s.t, os.WriteFile(filepath.Join(data, name), []byte("15\n"), 0o600))
	}
}

// incremental makes a backup that depends on another.
func (s *site) incremental(parent *catalog.BackupInfo, daysAgo int, begin, end uint32) *catalog.BackupInfo {
	s.t.Helper()
	b := s.backup(daysAgo, begin, end)
	b.Mode, b.ParentID = catalog.ModePostgres, parent.ID
	check(s.t, s.Catalog.Save(b))
	check(s.t, s.Catalog.AddChild(parent.ID, b.ID))
	return b
}

func segment(n int) string { return fmt.Sprintf("0000000100000000%08X", n) }

// archive fills the archive and its index with the segments first … last.
func (s *site) archive(first, last int) {
	s.t.Helper()
	var records []catalog.WALRecord
	for n := first; n <= last; n++ {
		records = append(records, catalog.WALRecord{Name: segment(n), Size: 3, ModTime: 1})
	}
	check(s.t, s.Index.Append(s.t.Context(), records, func() error {
		for _, r := range records {
			name, err := wal.ParseFileName(r.Name)
			check(s.t, err)
			path := s.layout.WALPath(name)
			check(s.t, os.MkdirAll(filepath.Dir(path), 0o755))
			check(s.t, os.WriteFile(path, []byte("wal"), 0o600))
		}
		return nil
	}))
}

// wantWAL checks that exactly these segments are archived, and are in the index.
func (s *site) wantWAL(numbers ...int) {
	s.t.Helper()
	var want, files []string
	for _, n := range numbers {
		want = append(want, segment(n))
	}
	entries, err := filepath.Glob(filepath.Join(s.layout.WALs, "*", "*"))
	check(s.t, err)
	for _, path := range entries {
		files = append(files, filepath.Base(path))
	}
	if diff := cmp.Diff(want, files); diff != "" {
		s.t.Errorf("archived segments (-want +got):\n%s", diff)
	}
	found, err := s.Index.Find(s.t.Context(), want...)
	check(s.t, err)
	content, err := os.ReadFile(s.layout.WALIndexPath())
	check(s.t, err)
	if len(found) != len(want) || bytes.Count(content, []byte("\n")) != len(want) {
		s.t.Errorf("the index lists %q, want %q", content, want)
	}
}

// wantBackups checks which backups the catalog has, each with its status, and that nothing else is left of any.
func (s *site) wantBackups(want ...string) {
	s.t.Helper()
	list, err := s.Catalog.List()
	check(s.t, err)
	var got, ids []string
	for _, b := range list.All {
		got, ids = append(got, b.ID+" "+string(b.Status)), append(ids, b.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("backups (-want +got):\n%s", diff)
	}
	for _, dir := range []string{s.layout.Base, s.layout.Meta()} {
		entries, err := os.ReadDir(dir)
		check(s.t, err)
		for _, e := range entries {
			if !slices.ContainsFunc(ids, func(id string) bool { return strings.HasPrefix(e.Name(), id) }) {
				s.t.Errorf("left behind: %s/%s", filepath.Base(dir), e.Name())
			}
		}
	}
}

func done(daysAgo int) string { return id(daysAgo) + " DONE" }

// scripts runs hooks by package hook, in its order, and records what each of them sees.
type scripts struct {
	set     *hook.Set
	catalog *catalog.Catalog
	trace   []string
	events  []sdkhook.Event
	// answer, if not nil, decides how a hook ends.
	answer func(ev sdkhook.Event) sdkhook.Outcome
}

func newScripts(c *catalog.Catalog) *scripts {
	s := &scripts{catalog: c}
	all := hook.Scripts(func(option string) string { return option }, func(string) hook.Opener {
		return func(context.Context) (hook.Runner, error) { return s, nil }
	})
	s.set = hook.NewSet(hook.Options{Server: "main"}, all)
	return s
}

func (s *scripts) Run(_ context.Context, ev sdkhook.Event, _ sdkhook.Output) (sdkhook.Result, error) {
	what := ""
	if ev.WAL != nil {
		what = ev.WAL.Name
	} else {
		what = ev.Backup.ID
	}
	s.trace = append(s.trace, ev.Environment["BARMAN_HOOK"]+" "+ev.Phase+" "+what)
	s.events = append(s.events, ev)
	outcome := sdkhook.Success
	if s.answer != nil {
		outcome = s.answer(ev)
	}
	return sdkhook.Result{Outcome: outcome, ExitCode: int(outcome)}, nil
}

func (s *scripts) backup(b *catalog.BackupInfo) hook.Backup {
	out := hook.Backup{}
	out.ID, out.Status, out.Error = b.ID, string(b.Status), b.Error
	return out
}

func (s *scripts) PreDelete(ctx context.Context, b *catalog.BackupInfo) error {
	return s.set.Pre(ctx, hook.DeleteEvent(s.backup(b)))
}

func (s *scripts) PostDelete(ctx context.Context, b *catalog.BackupInfo) {
	s.set.Post(ctx, hook.DeleteEvent(s.backup(b)))
}

func (s *scripts) HasWALDelete() bool { return s.set.Has(sdkhook.EventWALDelete) }

func (s *scripts) PreWALDelete(ctx context.Context, r catalog.WALRecord) error {
	return s.set.Pre(ctx, hook.WALDeleteEvent(hook.WAL{Name: r.Name, Size: r.Size, Timestamp: r.ModTime}))
}

func (s *scripts) PostWALDelete(ctx context.Context, r catalog.WALRecord, err error) {
	w := hook.WAL{Name: r.Name, Size: r.Size, Timestamp: r.ModTime}
	if err != nil {
		w.Error = err.Error()
	}
	s.set.Post(ctx, hook.WALDeleteEvent(w))
}

// messages collects what people see, with the severity in front.
type messages struct{ lines []string }

func (m *messages) Info(format string, args ...any) {
	m.lines = append(m.lines, "I "+fmt.Sprintf(format, args...))
}

func (m *messages) Warning(format string, args ...any) {
	m.lines = append(m.lines, "W "+fmt.Sprintf(format, args...))
}

func (m *messages) Error(format string, args ...any) {
	m.lines = append(m.lines, "E "+fmt.Sprintf(format, args...))
}

func (m *messages) has(text string) bool {
	return slices.ContainsFunc(m.lines, func(line string) bool { return strings.Contains(line, text) })
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
