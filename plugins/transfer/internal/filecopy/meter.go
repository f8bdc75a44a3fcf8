package filecopy

import (
	"sync"

	"github.com/barman-go/barman/sdk/progress"
)

// meter adds up the progress of runs that go on at the same time.
type meter struct {
	rep progress.Reporter
	mu  sync.Mutex
	sum progress.Progress
}

func newMeter(rep progress.Reporter) *meter {
	if rep == nil {
		rep = progress.Discard
	}
	return &meter{rep: rep}
}

// expect adds to the totals.
func (m *meter) expect(files, bytes int64) {
	m.change(func(p *progress.Progress) {
		p.FilesTotal += files
		p.BytesTotal += bytes
	})
}

func (m *meter) change(f func(*progress.Progress)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.sum)
	m.rep.Progress(m.sum)
}

// part is the share of one run. It is used by one goroutine at a time; a retry sets it back.
type part struct {
	m                   *meter
	label               string
	files, bytes, total int64
}

func (m *meter) part(label string) *part { return &part{m: m, label: label} }

// set replaces what the run has done so far.
func (p *part) set(files, bytes int64) {
	p.m.change(func(sum *progress.Progress) {
		sum.FilesDone += files - p.files
		sum.BytesDone += bytes - p.bytes
		sum.Label = p.label
	})
	p.files, p.bytes = files, bytes
}

// setTotal replaces the number of files of a run whose size was not known before.
func (p *part) setTotal(files int64) {
	if files == p.total {
		return
	}
	p.m.change(func(sum *progress.Progress) { sum.FilesTotal += files - p.total })
	p.total = files
}
