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
	// screen is where the bar is drawn; nil when there is no terminal.
	screen *os.File

	mu     sync.Mutex
	bars   *mpb.Progress
	bar    *mpb.Bar
	done   bool
	logged time.Time
	now    func() time.Time
}

// Progress starts showing progress under a title. The bar appears with the first progress that is reported; messages
// written meanwhile appear above it. Done ends it.
func (w *Writer) Progress(title string) *Progress {
	p := &Progress{w: w, title: title, now: time.Now}
	p.logged = p.now()
	if !w.o.JSON && !w.o.Quiet && isTerminal(w.o.Stderr) {
		p.screen = w.o.Stderr.(*os.File)
	}
	return p
}

func isTerminal(stream io.Writer) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// draw puts the bar on the screen.
func (p *Progress) draw() {
	p.bars = mpb.New(mpb.WithOutput(p.screen), mpb.WithWidth(60), mpb.WithRefreshRate(150*time.Millisecond))
	p.bar = p.bars.New(0, mpb.BarStyle(),
		mpb.PrependDecorators(decor.Name(p.title+" "), decor.CountersKibiByte("% .1f / % .1f")),
		mpb.AppendDecorators(decor.Percentage(decor.WCSyncSpace), decor.Name(" "),
			decor.AverageSpeed(decor.SizeB1024(0), "% .1f"), decor.Name(" "), decor.AverageETA(decor.ET_STYLE_GO)),
		mpb.BarRemoveOnComplete())
	p.w.mu.Lock()
	p.w.above = p.bars
	p.w.mu.Unlock()
}

// Progress implements progress.Reporter.
func (p *Progress) Progress(s progress.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now().Sub(p.logged) >= progressInterval {
		p.logged = p.now()
		p.w.o.Log.Info(p.title, "label", s.Label, "bytes", s.BytesDone, "of_bytes", s.BytesTotal,
			"files", s.FilesDone, "of_files", s.FilesTotal)
	}
	if p.screen == nil || p.done || s.BytesDone == 0 {
		return
	}
	if p.bar == nil {
		p.draw()
	}
	// A total that is not known yet, or was estimated too low, must not complete the bar.
	p.bar.SetTotal(max(s.BytesTotal, s.BytesDone+1), false)
	p.bar.SetCurrent(s.BytesDone)
}

// Done removes the bar. It must be called, and may be called twice.
func (p *Progress) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = true
	if p.bar == nil {
		return
	}
	// What waits above the bar is written before it goes; what comes later goes to the streams again.
	p.w.mu.Lock()
	p.w.above = nil
	p.w.mu.Unlock()
	p.bar.Abort(true)
	p.bars.Wait()
	p.bar = nil
}
