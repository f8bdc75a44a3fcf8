package passive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/transfer"
)

// Mirror keeps, in streaming/ here, what the primary is receiving and has not archived yet: above all the segment that is being written.
// A site that is lost costs the seconds since the last round, not a segment. The caller holds the server's receive-wal lock.
//
// The primary needs nothing for that but its files, so it may be Python Barman with pg_receivewal.
type Mirror struct {
	Server  string
	Primary *Primary
	Catalog *catalog.Catalog
	// Open opens the plugin. It is called again after a failure, because a plugin may die.
	Open func(ctx context.Context) (Copier, transfer.Plan, error)
	// CatchUp copies what the primary has archived: sync-info and sync-wals.
	CatchUp func(ctx context.Context) error
	// Every is the time between two rounds.
	Every time.Duration
	Log   hclog.Logger
	Now   func() time.Time

	// seen says of the partial segment that was copied last when it was changed, by the primary's clock, and how often it was copied
	// since. Times are whole seconds, so a file that looks unchanged is copied once more.
	seen struct {
		name   string
		when   time.Time
		copied int
	}
	// doc is what the file primary.info says that docFile describes; it changes once a minute, and may be long.
	doc     *Document
	docFile fs.FileInfo
	// caughtUp is when CatchUp was called last.
	caughtUp time.Time
	copier   Copier
	plan     transfer.Plan
}

// Rounds and their consequences.
const (
	// MirrorEvery is the usual time between two rounds.
	MirrorEvery = time.Second
	// afterFailure is the time until the next round when the primary cannot be reached.
	afterFailure = 10 * time.Second
	// catchUpEvery is the least time between two calls of CatchUp.
	catchUpEvery = 2 * time.Second
	// ahead is how many segments behind the newest one here are looked for.
	ahead = 4
)

// Run makes rounds until ctx ends. Failures are logged and do not end it.
func (m *Mirror) Run(ctx context.Context) error {
	failing := false
	for {
		wait := m.Every
		err := m.Round(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			if !failing {
				m.Log.Error("cannot mirror what the primary receives", "server", m.Server, "error", err)
			}
			wait = max(wait, afterFailure)
			m.copier = nil
		case failing:
			m.Log.Info("mirrors again what the primary receives", "server", m.Server)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// Round copies what has changed.
func (m *Mirror) Round(ctx context.Context) error {
	doc, err := m.stored()
	if err != nil {
		return err
	}
	list, err := m.Catalog.List()
	if err != nil {
		return err
	}
	last := list.Last(catalog.Usable...)
	if doc.Config.Streaming == "" || last == nil {
		return nil // nothing could be done with WAL
	}
	next, err := m.next(last)
	if err != nil {
		return err
	}
	if m.copier == nil {
		if m.copier, m.plan, err = m.Open(ctx); err != nil {
			m.copier = nil
			return err
		}
	}
	names := candidates(next, last.SegmentSize)
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = filepath.Join(doc.Config.Streaming, name.String())
	}
	found, err := m.copier.Stat(ctx, m.Primary.Command, paths)
	if err != nil {
		return err
	}
	r := mirrorRound{Mirror: m, last: last, source: doc.Config.Streaming}
	first := wal.Segment{}
	for i, name := range names {
		if !found[i].Exists || found[i].Type != "file" {
			continue
		}
		if s, ok := name.Segment(); ok && first == (wal.Segment{}) {
			first = s
		}
		if err := r.take(ctx, name, found[i].Modified); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	// A gap: what lies between has been archived there.
	if first.OnTimeline(0) != next.OnTimeline(0) && m.Now().Sub(m.caughtUp) >= catchUpEvery {
		m.caughtUp = m.Now()
		return m.CatchUp(ctx)
	}
	return nil
}

// stored is primary.info, read anew when it was replaced.
func (m *Mirror) stored() (*Document, error) {
	info, err := os.Stat(m.Primary.Layout.PrimaryInfoPath())
	if err != nil {
		return nil, err
	}
	if m.doc != nil && os.SameFile(info, m.docFile) && info.ModTime().Equal(m.docFile.ModTime()) {
		return m.doc, nil
	}
	doc, err := m.Primary.Stored(nil)
	if err != nil {
		return nil, err
	}
	// Should it have been replaced in between, info is that of the older file, and the next round reads it again.
	m.doc, m.docFile = doc, info
	return doc, nil
}

// next is the first segment that is not here as a whole. What is in the archive is removed from streaming/ on the way.
func (m *Mirror) next(last *catalog.BackupInfo) (wal.Segment, error) {
	newest, err := m.Catalog.NewestSegments()
	if err != nil {
		return wal.Segment{}, err
	}
	next := last.BeginWAL
	advance := func(s wal.Segment) {
		if after := s.Next(last.SegmentSize); after.Compare(next) > 0 {
			next = after
		}
	}
	for _, s := range newest {
		advance(s)
	}
	layout := m.Catalog.Layout
	entries, err := os.ReadDir(layout.Streaming)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return next, err
	}
	for _, e := range entries {
		name, err := wal.ParseFileName(e.Name())
		if err != nil {
			continue
		}
		archived := layout.WALPath(name)
		segment, ok := name.Segment()
		if ok {
			archived = layout.SegmentPath(segment)
		}
		if _, err := os.Lstat(archived); err == nil {
			if err := os.Remove(filepath.Join(layout.Streaming, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return next, err
			}
			continue
		}
		if name.IsWAL() {
			advance(segment)
		}
	}
	return next, nil
}

// candidates are the names under which the primary may have WAL that is not here, in the order of the log: segments from next on, and the
// beginning of a new timeline, which is in the segment in which the old one ends.
func candidates(next wal.Segment, size wal.SegmentSize) []wal.FileName {
	var names []wal.FileName
	add := func(name string) {
		if n, err := wal.ParseFileName(name); err == nil {
			names = append(names, n)
		}
	}
	both := func(s wal.Segment) {
		add(s.String())
		add(wal.PartialName(s))
	}
	s := next
	for range ahead {
		both(s)
		s = s.Next(size)
	}
	child := next.OnTimeline(next.Timeline + 1)
	add(wal.HistoryName(child.Timeline))
	if previous, ok := child.Previous(size); ok {
		both(previous)
	}
	for range 2 {
		both(child)
		child = child.Next(size)
	}
	return names
}

// mirrorRound is one round.
type mirrorRound struct {
	*Mirror
	last   *catalog.BackupInfo
	source string
}

func (r *mirrorRound) take(ctx context.Context, name wal.FileName, modified time.Time) error {
	dir := r.Catalog.Layout.Streaming
	if err := fsx.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	switch name.Kind() {
	case wal.KindPartial:
		return r.takePartial(ctx, name, modified)
	case wal.KindHistory:
		final := filepath.Join(dir, name.String())
		if _, err := os.Lstat(final); err == nil {
			return nil
		}
		temp := fsx.TempPath(final)
		if there, err := r.copyTo(ctx, name, temp); !there || err != nil {
			return err
		}
		return fsx.Publish(temp, final)
	}
	segment, _ := name.Segment()
	partial := filepath.Join(dir, wal.PartialName(segment))
	if err := r.reserve(partial); err != nil {
		return err
	}
	// The name says that the segment is not complete until everything else says that it is.
	there, err := r.copyTo(ctx, name, partial)
	if !there || err != nil {
		return err
	}
	if err := r.verify(partial, name); err != nil {
		return err
	}
	return fsx.Publish(partial, filepath.Join(dir, segment.String()))
}

func (r *mirrorRound) takePartial(ctx context.Context, name wal.FileName, modified time.Time) error {
	const settled = 2
	if r.seen.name == name.String() && r.seen.when.Equal(modified) && r.seen.copied >= settled {
		return nil
	}
	path := filepath.Join(r.Catalog.Layout.Streaming, name.String())
	if err := r.reserve(path); err != nil {
		return err
	}
	there, err := r.copyTo(ctx, name, path)
	if !there || err != nil {
		return err
	}
	if err := r.verify(path, name); err != nil {
		// Of no use to anybody, and never the beginning of what is.
		return errors.Join(err, fsx.Remove(path))
	}
	if err := fsx.SyncFile(path); err != nil {
		return err
	}
	if r.seen.name != name.String() || !r.seen.when.Equal(modified) {
		r.seen.copied = 0
	}
	r.seen.name, r.seen.when = name.String(), modified
	r.seen.copied++
	return nil
}

// reserve makes a partial segment of the full size, all zeros, unless it is there. Then it has the size of a segment whatever has arrived
// of it, and only what is not zero is sent.
func (r *mirrorRound) reserve(path string) error {
	size := int64(r.last.SegmentSize)
	info, err := os.Lstat(path)
	if err == nil && info.Size() == size {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(fsx.Allocate(f, size), f.Close()); err != nil {
		return err
	}
	return fsx.SyncDir(filepath.Dir(path))
}

// copyTo copies one file in place: rsync sends what differs. there is false when the primary has archived or renamed it meanwhile.
func (r *mirrorRound) copyTo(ctx context.Context, name wal.FileName, path string) (there bool, err error) {
	plan := r.plan
	plan.Op, plan.Direction, plan.Workers, plan.Retry = "mirror-"+r.Server, transfer.Fetch, 1, transfer.Retry{}
	plan.Items = []transfer.Item{{
		Label: name.String(), Kind: transfer.File, Source: filepath.Join(r.source, name.String()), Destination: path, Reuse: transfer.ReuseOff,
	}}
	_, err = r.copier.Copy(ctx, plan, nil)
	var d diag.Diagnostic
	if errors.As(err, &d) && (d.Code == diag.CodeNotFound || strings.Contains(d.Detail, "vanished")) {
		return false, nil
	}
	return err == nil, err
}

// verify looks at the first page of a file that was copied as what name says.
func (r *mirrorRound) verify(path string, name wal.FileName) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	page := make([]byte, wal.PageHeaderSize)
	if _, err := f.ReadAt(page, 0); err != nil {
		return err
	}
	// Backups of old versions do not tell the system; then it is not checked.
	system, _ := wal.ParseSystemID(r.last.SystemID)
	_, err = wal.Verify(page, info.Size(), name, wal.Expect{SystemID: system, Version: r.last.Version / 10000, SegmentSize: r.last.SegmentSize})
	return err
}
