package filecopy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/barman-go/barman/sdk/progress"
	"github.com/barman-go/barman/sdk/toolexec"
	"github.com/barman-go/barman/sdk/transfer"
)

// session is one call of Copy.
type session struct {
	c    *Copier
	plan transfer.Plan
	// control is the plan for runs that move little, or alone: they share a connection. Several runs that move much have one each,
	// because one connection is encrypted by one processor.
	control transfer.Plan
	dir     string
	items   []*itemState
	gate    *startGate
	meter   *meter
	// oldRemote is set when the other side's rsync does not know --ignore-missing-args (before 3.1).
	oldRemote atomic.Bool
}

// itemState is an item and what became of it.
type itemState struct {
	transfer.Item
	index int
	// hasContent tells that the destination held something before the copy.
	hasContent bool
	// relisted tells that the source was listed more than once.
	relisted bool

	mu                       sync.Mutex
	analysis                 time.Duration
	firstStart, lastEnd      time.Time
	serialized               time.Duration
	files, bytes             int64
	filesCopied, bytesCopied int64
}

// reuses tells whether the item has an earlier copy to share or copy files from.
func (i *itemState) reuses() bool {
	return i.ReuseDirectory != "" && (i.Reuse == transfer.ReuseLink || i.Reuse == transfer.ReuseCopy)
}

// ran records one run of rsync for the item's data.
func (i *itemState) ran(start time.Time, st runStats) {
	end := time.Now()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.firstStart.IsZero() || start.Before(i.firstStart) {
		i.firstStart = start
	}
	if end.After(i.lastEnd) {
		i.lastEnd = end
	}
	i.serialized += end.Sub(start)
	i.filesCopied += st.filesCopied
	i.bytesCopied += st.bytesCopied
}

// holds records how much the item consists of.
func (i *itemState) holds(files, bytes int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.files, i.bytes = files, bytes
}

func newSession(ctx context.Context, c *Copier, plan transfer.Plan, dir string, rep progress.Reporter) *session {
	s := &session{
		c: c, plan: plan, control: plan, dir: dir,
		gate:  newStartGate(plan.StartBatchSize, plan.StartBatchPeriod),
		meter: newMeter(rep),
	}
	if plan.Direction == transfer.Fetch {
		s.control.Remote = toolexec.Unattended(plan.Remote)
	}
	if plan.Direction != transfer.Local {
		s.control.Remote = c.logins.Command(ctx, s.control.Remote)
	}
	for i, item := range plan.Items {
		s.items = append(s.items, &itemState{Item: item, index: i})
	}
	return s
}

// phases groups the items by phase, lowest first, in the plan's order.
func (s *session) phases() [][]*itemState {
	sorted := slices.Clone(s.items)
	slices.SortStableFunc(sorted, func(a, b *itemState) int { return a.Phase - b.Phase })
	var phases [][]*itemState
	for i, item := range sorted {
		if i == 0 || item.Phase != sorted[i-1].Phase {
			phases = append(phases, nil)
		}
		phases[len(phases)-1] = append(phases[len(phases)-1], item)
	}
	return phases
}

// prepare makes the destinations and looks at what is there.
func (s *session) prepare(ctx context.Context) error {
	host := s.c.host(ctx, nil)
	if s.plan.Direction == transfer.Put {
		host = s.c.host(ctx, s.plan.Remote)
	}
	var changes []transfer.FileChange
	var paths []string
	for _, item := range s.items {
		dir := item.Destination
		if item.Kind == transfer.File {
			dir = filepath.Dir(dir)
		}
		if !slices.Contains(paths, dir) {
			changes = append(changes, transfer.FileChange{Path: dir, Action: transfer.Mkdir})
			paths = append(paths, dir)
		}
	}
	infos, err := host.Stat(ctx, paths)
	if err != nil {
		return fmt.Errorf("look at the destination: %w", err)
	}
	if _, err := host.ApplyFiles(ctx, changes); err != nil {
		return fmt.Errorf("make the destination: %w", err)
	}
	for _, item := range s.items {
		if item.Kind != transfer.Directory {
			continue
		}
		item.hasContent = infos[slices.Index(paths, item.Destination)].HasEntries
		if s.plan.Direction != transfer.Put {
			s.settleReuse(item)
		}
	}
	return nil
}

// settleReuse drops a reuse directory that is not there and turns impossible hard links into local copies.
func (s *session) settleReuse(item *itemState) {
	if !item.reuses() {
		return
	}
	info, err := os.Stat(item.ReuseDirectory)
	if err != nil || !info.IsDir() {
		s.c.env.Log.Warn("earlier copy is not there, every file is transferred",
			"item", item.Label, "directory", item.ReuseDirectory, "error", err)
		item.Reuse = transfer.ReuseOff
		return
	}
	if item.Reuse == transfer.ReuseLink && !sameDevice(item.ReuseDirectory, item.Destination) {
		s.c.env.Log.Warn("hard links are impossible between two file systems, unchanged files are copied locally",
			"item", item.Label, "from", item.ReuseDirectory, "to", item.Destination)
		item.Reuse = transfer.ReuseCopy
	}
}

func sameDevice(a, b string) bool {
	var sa, sb unix.Stat_t
	return unix.Stat(a, &sa) == nil && unix.Stat(b, &sb) == nil && sa.Dev == sb.Dev
}

func (s *session) result(total time.Duration) transfer.CopyResult {
	r := transfer.CopyResult{Workers: s.plan.Workers, Total: total}
	for _, item := range s.items {
		r.Files += item.files
		r.Bytes += item.bytes
		r.FilesCopied += item.filesCopied
		r.BytesCopied += item.bytesCopied
		st := transfer.ItemStats{
			Label: item.Label, Analysis: item.analysis,
			Copy: item.lastEnd.Sub(item.firstStart), SerializedCopy: item.serialized,
		}
		r.Items = append(r.Items, st)
		r.Analysis += st.Analysis
		r.Copy += st.Copy
	}
	return r
}
