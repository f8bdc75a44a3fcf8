package report

import (
	"io"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/barman-go/barman/sdk/progress"
)

// progressInterval is how often progress goes to the log; a terminal is refreshed by the bar itself.
const progressInterval = 10 * time.Second

// Progress shows the progress of long work: a bar on a terminal, a line in the log now and then everywhere.
type Progress struct {
	w     *Writer
	title string
	bars  *mpb.Progress
	bar   *mpb.Bar

	mu     sync.Mutex
	last   progress.Progress
	logged time.Time
	now    func() time.Time
}

// Progress starts showing progress under a title. Messages written meanwhile appear above the bar. Done ends it.
func (w *Writer) Progress(title string) *Progress {
	p := &Progress{w: w, title: title, now: time.Now}
	p.logged = p.now()
	f, ok := w.o.Stderr.(*os.File)
	if !ok || w.o.JSON || w.o.Quiet || !term.IsTerminal(int(f.Fd())) {
		return p
	}
	p.bars = mpb.New(mpb.WithOutput(f), mpb.WithWidth(60), mpb.WithRefreshRate(150*time.Millisecond))
	p.bar = p.bars.New(0, mpb.BarStyle(),
		mpb.PrependDecorators(decor.Name(title+" "), decor.CountersKibiByte("% .1f / % .1f")),
		mpb.AppendDecorators(decor.Percentage(decor.WCSyncSpace), decor.Name(" "),
			decor.AverageSpeed(decor.SizeB1024(0), "% .1f"), decor.Name(" "), decor.AverageETA(decor.ET_STYLE_GO)),
		mpb.BarRemoveOnComplete())
	w.mu.Lock()
	w.hold = func(write func()) { p.above(write) }
	w.mu.Unlock()
	return p
}

// above lets a message be printed without tearing the bar: the bar's container clears the line first. Standard output
// and standard error are the same screen here, so the text goes where it was meant to go once the line is free.
func (p *Progress) above(write func()) {
	_, _ = io.WriteString(p.w.o.Stderr, "\r\x1b[K")
	write()
}

// Progress implements progress.Reporter.
func (p *Progress) Progress(s progress.Progress) {
	p.mu.Lock()
	p.last = s
	due := p.now().Sub(p.logged) >= progressInterval
	if due {
		p.logged = p.now()
	}
	p.mu.Unlock()
	if p.bar != nil {
		// A total that is not known yet, or was estimated too low, must not complete the bar.
		p.bar.SetTotal(max(s.BytesTotal, s.BytesDone+1), false)
		p.bar.SetCurrent(s.BytesDone)
	}
	if due {
		p.w.o.Log.Info(p.title, "label", s.Label, "bytes", s.BytesDone, "of_bytes", s.BytesTotal,
			"files", s.FilesDone, "of_files", s.FilesTotal)
	}
}

// Done removes the bar. It must be called, and may be called twice.
func (p *Progress) Done() {
	if p.bar == nil {
		return
	}
	p.bar.Abort(true)
	p.bars.Wait()
	p.w.mu.Lock()
	p.w.hold = func(f func()) { f() }
	p.w.mu.Unlock()
	p.bar = nil
}
