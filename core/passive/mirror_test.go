package passive

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/progress"
	"github.com/barman-go/barman/sdk/transfer"
)

// fakeCopier copies files of the local file system, as rsync --inplace would; cut makes it stop in the middle of the next file.
type fakeCopier struct {
	cut    bool
	copied []string
}

func (c *fakeCopier) Stat(_ context.Context, _ []string, paths []string) ([]transfer.PathInfo, error) {
	infos := make([]transfer.PathInfo, len(paths))
	for i, path := range paths {
		if info, err := os.Stat(path); err == nil {
			infos[i] = transfer.PathInfo{Path: path, Exists: true, Type: "file", Modified: info.ModTime().Truncate(time.Second)}
		}
	}
	return infos, nil
}

func (c *fakeCopier) Copy(_ context.Context, plan transfer.Plan, _ progress.Reporter) (transfer.CopyResult, error) {
	for _, item := range plan.Items {
		text, err := os.ReadFile(item.Source)
		if errors.Is(err, fs.ErrNotExist) {
			return transfer.CopyResult{}, diag.Diagnostic{Severity: diag.Error, Summary: "gone", Code: diag.CodeNotFound}
		}
		c.copied = append(c.copied, filepath.Base(item.Source))
		f, err := os.OpenFile(item.Destination, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return transfer.CopyResult{}, err
		}
		if c.cut {
			text = text[:len(text)/2]
		}
		if _, err := f.WriteAt(text, 0); err != nil {
			return transfer.CopyResult{}, err
		}
		if err := f.Close(); err != nil {
			return transfer.CopyResult{}, err
		}
		if c.cut {
			c.cut = false
			return transfer.CopyResult{}, errors.New("the connection was lost")
		}
	}
	return transfer.CopyResult{}, nil
}

// writeSegment writes a segment of 1 MiB with pages that are valid up to a number of pages.
func writeSegment(t *testing.T, path string, s wal.Segment, pages int) {
	t.Helper()
	const size = wal.MinSegmentSize
	magic, _ := wal.PageMagic(15)
	content := make([]byte, size)
	for i := range pages {
		page := content[i*8192:]
		le := binary.LittleEndian
		le.PutUint16(page, magic)
		le.PutUint32(page[4:], uint32(s.Timeline))
		le.PutUint64(page[8:], uint64(s.StartLSN(size))+uint64(i*8192))
		if i == 0 {
			le.PutUint16(page[2:], wal.InfoLongHeader)
			le.PutUint64(page[24:], 7000)
			le.PutUint32(page[32:], uint32(size))
			le.PutUint32(page[36:], 8192)
		}
		page[100] = byte(i + 1)
	}
	write(t, path, string(content))
}

// mirrored is a mirror of a directory, and what it has.
type mirrored struct {
	*Mirror
	copier   *fakeCopier
	there    string
	caughtUp int
}

func newMirrored(t *testing.T) *mirrored {
	t.Helper()
	d := newPrimary(t)
	layout := d.layout()
	m := &mirrored{copier: &fakeCopier{}, there: t.TempDir()}
	write(t, layout.PrimaryInfoPath(), strings.Replace(goodAnswer, `"compression": null}}`, `"streaming_wals_directory": "`+m.there+`", "streaming_archiver": true}}`, 1))
	b := backup("20260110T100000", catalog.StatusDone, func(b *catalog.BackupInfo) { b.SegmentSize, b.Version = wal.MinSegmentSize, 150000 })
	if err := d.Catalog.Save(b); err != nil {
		t.Fatal(err)
	}
	m.Mirror = &Mirror{
		Server: "main", Catalog: d.Catalog, Log: hclog.NewNullLogger(), Now: time.Now,
		Primary: &Primary{Server: "main", Layout: layout, Log: hclog.NewNullLogger(), Now: time.Now},
		Open:    func(context.Context) (Copier, transfer.Plan, error) { return m.copier, transfer.Plan{}, nil },
		CatchUp: func(context.Context) error { m.caughtUp++; return nil },
	}
	writeSegment(t, layout.SegmentPath(seg(2)), seg(2), 128)
	return m
}

func seg(n uint32) wal.Segment { return wal.Segment{Timeline: 1, Seg: n} }

// here lists the streaming directory.
func (m *mirrored) here(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(m.Catalog.Layout.Streaming)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (m *mirrored) want(t *testing.T, names ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, names...), m.here(t)); diff != "" {
		t.Errorf("streaming/ (-want +got):\n%s", diff)
	}
}

// TestPartialIsNeverTakenForComplete follows a segment from its first page until it is archived, with a connection that is cut in the middle
// of the copy of the complete segment.
func TestPartialIsNeverTakenForComplete(t *testing.T) {
	m := newMirrored(t)
	three, partial := seg(3).String(), wal.PartialName(seg(3))
	writeSegment(t, filepath.Join(m.there, partial), seg(3), 5)
	if err := m.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.want(t, partial)
	path := filepath.Join(m.Catalog.Layout.Streaming, partial)
	if info, err := os.Stat(path); err != nil || info.Size() != int64(wal.MinSegmentSize) {
		t.Errorf("partial segment: %v, %v", info.Size(), err)
	}
	if end, err := endOfPages(path, seg(3).StartLSN(wal.MinSegmentSize)); err != nil || end != seg(3).StartLSN(wal.MinSegmentSize)+5*8192 {
		t.Errorf("it ends at %s, %v", end, err)
	}

	// It is complete there. The cut leaves more of it here, under the name that says so.
	writeSegment(t, filepath.Join(m.there, three), seg(3), 128)
	if err := os.Remove(filepath.Join(m.there, partial)); err != nil {
		t.Fatal(err)
	}
	m.copier.cut = true
	if err := m.Round(t.Context()); err == nil {
		t.Error("the cut went unnoticed")
	}
	m.want(t, partial)
	if err := m.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.want(t, three)

	// Once it is in the archive here, it goes.
	writeSegment(t, m.Catalog.Layout.SegmentPath(seg(3)), seg(3), 128)
	writeSegment(t, filepath.Join(m.there, wal.PartialName(seg(4))), seg(4), 1)
	if err := m.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.want(t, wal.PartialName(seg(4)))
	if m.caughtUp != 0 {
		t.Errorf("the archive was asked for %d times, and nothing was missing", m.caughtUp)
	}
}

// TestAGapIsClosedFromTheArchive: what the primary has archived between two rounds is no longer in its streaming directory.
func TestAGapIsClosedFromTheArchive(t *testing.T) {
	m := newMirrored(t)
	writeSegment(t, filepath.Join(m.there, wal.PartialName(seg(5))), seg(5), 3)
	if err := m.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m.want(t, wal.PartialName(seg(5))); m.caughtUp != 1 {
		t.Errorf("asked the archive %d times", m.caughtUp)
	}
}

func TestWALOfAnotherClusterIsNotMirrored(t *testing.T) {
	m := newMirrored(t)
	path := filepath.Join(m.there, wal.PartialName(seg(3)))
	writeSegment(t, path, seg(4), 3) // its pages say that they are another segment
	if err := m.Round(t.Context()); !errors.Is(err, wal.ErrAddressMismatch) {
		t.Errorf("error %v", err)
	}
	m.want(t)
}

func TestUnchangedPartialIsNotCopiedForEver(t *testing.T) {
	m := newMirrored(t)
	writeSegment(t, filepath.Join(m.there, wal.PartialName(seg(3))), seg(3), 3)
	for range 5 {
		if err := m.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(m.copier.copied) != 2 {
		t.Errorf("copied %d times", len(m.copier.copied))
	}
}

func TestNewTimelineIsFound(t *testing.T) {
	var names []string
	for _, n := range candidates(seg(3), wal.MinSegmentSize) {
		names = append(names, n.String())
	}
	for _, want := range []string{"000000010000000000000003", "000000010000000000000006.partial", "00000002.history", "000000020000000000000002", "000000020000000000000003.partial"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not looked for", want)
		}
	}
}

// TestLagEndsAtAGap: WAL behind a gap is of no use.
func TestLagEndsAtAGap(t *testing.T) {
	m := newMirrored(t)
	streaming := m.Catalog.Layout.Streaming
	end := func() string {
		t.Helper()
		lag, err := m.Primary.Lag(m.Catalog)
		if err != nil {
			t.Fatal(err)
		}
		return lag.Here.String() + " " + lag.Segment
	}
	if got := end(); got != "0/300000 "+seg(2).String() {
		t.Error("with the archive alone: ", got)
	}
	writeSegment(t, filepath.Join(streaming, wal.PartialName(seg(4))), seg(4), 2)
	if got := end(); got != "0/300000 "+seg(2).String() {
		t.Error("behind a gap: ", got)
	}
	writeSegment(t, filepath.Join(streaming, seg(3).String()), seg(3), 128)
	if got := end(); got != "0/404000 "+seg(4).String() {
		t.Error("without the gap: ", got)
	}
	child := wal.Segment{Timeline: 2, Seg: 4}
	writeSegment(t, filepath.Join(streaming, wal.PartialName(child)), child, 3)
	if got := end(); got != "0/406000 "+child.String() {
		t.Error("on a new timeline: ", got)
	}
}
