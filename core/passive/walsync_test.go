package passive

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/core/archive"
	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/progress"
	"github.com/barman-go/barman/sdk/transfer"
)

// directoryCopier copies the files that the items of a plan name.
type directoryCopier struct {
	fakeCopier
	fail error
}

func (c *directoryCopier) Copy(_ context.Context, plan transfer.Plan, _ progress.Reporter) (transfer.CopyResult, error) {
	for _, item := range plan.Items {
		for _, name := range item.Include {
			text, err := os.ReadFile(filepath.Join(item.Source, name))
			if err != nil {
				continue // as a pattern that nothing fits, or only a directory
			}
			dest := filepath.Join(item.Destination, name)
			if err := os.MkdirAll(filepath.Dir(dest), 0o700); err != nil {
				return transfer.CopyResult{}, err
			}
			if err := os.WriteFile(dest, text, 0o600); err != nil {
				return transfer.CopyResult{}, err
			}
			c.copied = append(c.copied, filepath.Base(name))
		}
	}
	return transfer.CopyResult{}, c.fail
}

// messages are what a run says.
type messages struct{ text []string }

func (m *messages) Info(format string, args ...any) {
	m.text = append(m.text, fmt.Sprintf(format, args...))
}
func (m *messages) Warning(format string, args ...any) { m.Info(format, args...) }
func (m *messages) Error(format string, args ...any)   { m.Info(format, args...) }

// walNode is a passive node and the primary that it copies from.
type walNode struct {
	*WALSync
	copier   *directoryCopier
	messages messages
	there    string
	listed   []string
}

func newWALNode(t *testing.T) *walNode {
	t.Helper()
	d := newPrimary(t)
	n := &walNode{copier: &directoryCopier{}, there: t.TempDir()}
	n.WALSync = &WALSync{
		Server: "main", Catalog: d.Catalog, Index: d.Index, Copier: n.copier, Verify: (&archive.Codecs{}).Verify, Out: &n.messages,
		Log: hclog.NewNullLogger(), Now: time.Now,
		Primary: &Primary{Server: "main", Layout: d.layout(), Log: hclog.NewNullLogger(), Now: time.Now},
	}
	b := backup("20260110T100000", catalog.StatusDone, func(b *catalog.BackupInfo) { b.SegmentSize, b.Version = wal.MinSegmentSize, 150000 })
	if err := d.Catalog.Save(b); err != nil {
		t.Fatal(err)
	}
	return n
}

// has gives the primary segments; they are listed in that order.
func (n *walNode) has(t *testing.T, segments ...wal.Segment) {
	t.Helper()
	for _, s := range segments {
		writeSegment(t, filepath.Join(n.there, s.HashDir(), s.String()), s, 128)
		n.listed = append(n.listed, s.String())
	}
	n.list(t, n.listed...)
}

// list makes primary.info.
func (n *walNode) list(t *testing.T, names ...string) {
	t.Helper()
	var wals []string
	for _, name := range names {
		wals = append(wals, fmt.Sprintf(`{"compression": null, "encryption": null, "name": %q, "size": %d, "time": 1.5}`, name, wal.MinSegmentSize))
	}
	last := names[len(names)-1]
	write(t, n.Catalog.Layout.PrimaryInfoPath(), fmt.Sprintf(`{"last_position": 77, "last_name": %q, "backups": {}, "wals": [%s], "version": "3.17.0",
		"config": {"name": "main", "basebackups_directory": "/b", "wals_directory": %q}}`, last, strings.Join(wals, ","), n.there))
}

func (n *walNode) index(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(n.Catalog.Layout.WALIndexPath())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		name, _, _ := strings.Cut(line, "\t")
		names = append(names, name[23:])
	}
	return strings.Join(names, " ")
}

func (n *walNode) mark(t *testing.T) string {
	t.Helper()
	mark, err := n.Primary.Mark()
	if err != nil {
		t.Fatal(err)
	}
	return mark.Name
}

func TestSyncWALsRecordsEachFileOnce(t *testing.T) {
	n := newWALNode(t)
	// The first comes before the oldest backup, and the third is late: its name comes before that of the second.
	n.has(t, seg(1), seg(4), seg(3), seg(2))
	for range 2 {
		if _, err := n.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := n.index(t); got != "4 3 2" {
			t.Errorf("index: %s", got)
		}
	}
	if len(n.copier.copied) != 3 {
		t.Errorf("copied %v", n.copier.copied)
	}
	if n.mark(t) != seg(2).String() {
		t.Errorf("mark %s", n.mark(t))
	}
	// A killed run has put a file into its place, and not into the index.
	n.has(t, seg(5), seg(6))
	writeSegment(t, n.Catalog.Layout.SegmentPath(seg(5)), seg(5), 128)
	if _, err := n.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{seg(4).String(), seg(3).String(), seg(2).String(), seg(6).String()}, n.copier.copied); diff != "" || n.index(t) != "4 3 2 5 6" {
		t.Errorf("index %s, copied (-want +got):\n%s", n.index(t), diff)
	}
	// Without its index the node makes it anew, once.
	if err := os.Remove(n.Catalog.Layout.WALIndexPath()); err != nil {
		t.Fatal(err)
	}
	n.has(t, seg(7))
	if _, err := n.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := n.index(t); got != "2 3 4 5 6 7" {
		t.Errorf("rebuilt index: %s", got)
	}
}

// TestSyncWALsLeavesOutOnlyWhatIsWrong: one bad file holds up no other, and the mark stays, so that it is asked for again.
func TestSyncWALsLeavesOutOnlyWhatIsWrong(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(t *testing.T, path string)
		want  string
	}{
		"it has vanished":       {func(t *testing.T, path string) { must(t, os.Remove(path)) }, "lists it and does not have it"},
		"it is cut off":         {func(t *testing.T, path string) { must(t, os.Truncate(path, 8192)) }, "bytes, and 1048576 by the primary's index"},
		"it is another segment": {func(t *testing.T, path string) { writeSegment(t, path, seg(9), 128) }, "content and name"},
		"it is no WAL":          {func(t *testing.T, path string) { write(t, path, strings.Repeat("x", int(wal.MinSegmentSize))) }, "WAL"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newWALNode(t)
			n.has(t, seg(2), seg(3), seg(4))
			test.spoil(t, filepath.Join(n.there, seg(3).HashDir(), seg(3).String()))
			_, err := n.Run(t.Context())
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), seg(3).String()) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if n.index(t) != "2 4" || n.mark(t) != "" {
				t.Errorf("index %s, mark %q", n.index(t), n.mark(t))
			}
			// Repaired, it follows.
			writeSegment(t, filepath.Join(n.there, seg(3).HashDir(), seg(3).String()), seg(3), 128)
			if _, err := n.Run(t.Context()); err != nil || n.index(t) != "2 4 3" || n.mark(t) == "" {
				t.Errorf("%v, index %s, mark %q", err, n.index(t), n.mark(t))
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestSyncWALsGoesOnAfterACut: what has arrived when the connection was lost is used by the next run.
func TestSyncWALsGoesOnAfterACut(t *testing.T) {
	n := newWALNode(t)
	n.has(t, seg(2), seg(3))
	n.copier.fail = fmt.Errorf("connection lost")
	if _, err := n.Run(t.Context()); err == nil || n.mark(t) != "" || n.index(t) != "" {
		t.Fatalf("error %v, mark %q, index %s", err, n.mark(t), n.index(t))
	}
	if _, err := os.Stat(filepath.Join(n.stage(), seg(2).HashDir(), seg(2).String())); err != nil {
		t.Error("what had arrived is gone: ", err)
	}
	n.copier.fail = nil
	if _, err := n.Run(t.Context()); err != nil || n.index(t) != "2 3" {
		t.Errorf("%v, index %s", err, n.index(t))
	}
	if _, err := os.Stat(n.stage()); !os.IsNotExist(err) {
		t.Errorf("%s is left", n.stage())
	}
}

func TestNextMark(t *testing.T) {
	n := newWALNode(t)
	n.has(t, seg(2))
	list := func() *catalog.Backups {
		list, err := n.Catalog.List()
		must(t, err)
		return list
	}
	mark := func() string {
		m, err := n.Primary.NextMark(list())
		must(t, err)
		return m.Name
	}
	if mark() != "" {
		t.Error("at first everything is asked for")
	}
	must(t, n.Primary.noteFetched(true))
	if _, err := n.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if mark() != seg(2).String() {
		t.Errorf("after a copy: %q", mark())
	}
	n.Primary.Now = func() time.Time { return time.Now().Add(wholeEvery + time.Minute) }
	if mark() != "" {
		t.Error("after an hour everything is asked for")
	}
	n.Primary.Now = func() time.Time { return time.Now().Add(-time.Hour) }
	if mark() != "" {
		t.Error("a clock that went back is no reason to wait")
	}
	n.Primary.Now = time.Now
	must(t, n.Catalog.Save(backup("20260111T100000", catalog.StatusWaitingForWALs)))
	if mark() != "" {
		t.Error("while a backup waits for WAL everything is asked for")
	}
}
