package report

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/barman-go/barman/sdk/progress"
)

// Progress goes to the log after firstLogged, and then every logInterval: long work leaves a trace, short work leaves none. A
// terminal is refreshed by the bar itself.
const (
	firstLogged = 10 * time.Second
	logInterval = time.Minute
)

// screen is what the bars of work that goes on at the same time share: the region of the terminal where they are drawn.
type screen struct {
	bars *mpb.Progress
	// drawn counts the bars.
	drawn int
}

// Progress shows the progress of long work: a bar on a terminal, a line in the log now and then everywhere.
type Progress struct {
	w     *Writer
	title string
	// terminal is where the bar is drawn; nil when there is none.
	terminal *os.File
	// last is what was reported last; the bar reads it while it is drawn.
	last atomic.Pointer[progress.Progress]

	mu   sync.Mutex
	bar  *mpb.Bar
	done bool
	// begun is when the work began, nextLog when progress goes to the log again.
	begun, nextLog time.Time
	now            func() time.Time
}

// Progress starts showing progress under a title. The bar appears with the first progress that is reported; messages
// written meanwhile appear above it. Done ends it.
func (w *Writer) Progress(title string) *Progress {
	p := &Progress{w: w, title: title, now: time.Now}
	p.begun = p.now()
	p.nextLog = p.begun.Add(firstLogged)
	if !w.o.JSON && !w.o.Quiet && isTerminal(w.o.Stderr) {
		p.terminal = w.o.Stderr.(*os.File)
	}
	return p
}

func isTerminal(stream io.Writer) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// draw puts the bar on the screen.
func (p *Progress) draw() {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.w.bars == nil {
		p.w.bars = mpb.New(mpb.WithOutput(p.terminal), mpb.WithWidth(60), mpb.WithRefreshRate(150*time.Millisecond))
		p.w.above = p.w.bars
	}
	p.w.drawn++
	p.bar = p.w.bars.New(0, mpb.BarStyle(),
		mpb.PrependDecorators(decor.Name(p.title+" "), decor.CountersKibiByte("% .1f / % .1f")),
		mpb.AppendDecorators(decor.Percentage(decor.WCSyncSpace), decor.Name(" "),
			decor.AverageSpeed(decor.SizeB1024(0), "% .1f"), decor.Name(" "), decor.AverageETA(decor.ET_STYLE_GO),
			// Last, because that is what a narrow terminal cuts off.
			decor.Any(p.what)),
		mpb.BarRemoveOnComplete())
}

// what says how many files are done, and what is being worked on.
func (p *Progress) what(decor.Statistics) string {
	s := p.last.Load()
	text := ""
	if s.FilesTotal > 0 {
		text = fmt.Sprintf(", %d / %d files", s.FilesDone, s.FilesTotal)
	}
	if s.Label != "" {
		text += ", " + s.Label
	}
	return text
}

// Progress implements progress.Reporter.
func (p *Progress) Progress(s progress.Progress) {
	p.last.Store(&s)
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := p.now(); !now.Before(p.nextLog) {
		p.nextLog = now.Add(logInterval)
		p.log(s, now.Sub(p.begun))
	}
	if p.terminal == nil || p.done || s.BytesDone == 0 {
		return
	}
	if p.bar == nil {
		p.draw()
	}
	// A total that is not known yet, or was estimated too low, must not complete the bar.
	p.bar.SetTotal(max(s.BytesTotal, s.BytesDone+1), false)
	p.bar.SetCurrent(s.BytesDone)
}

// log writes a line that tells what the bar shows.
func (p *Progress) log(s progress.Progress, elapsed time.Duration) {
	rate := float64(s.BytesDone) / elapsed.Seconds()
	fields := []any{
		"label", s.Label, "bytes", s.BytesDone, "of_bytes", s.BytesTotal, "files", s.FilesDone, "of_files", s.FilesTotal,
		"bytes_per_second", int64(rate),
	}
	if left := s.BytesTotal - s.BytesDone; left > 0 && rate >= 1 {
		fields = append(fields, "left", time.Duration(float64(left)/rate*float64(time.Second)).Round(time.Second))
	}
	p.w.o.Log.Info(p.title, fields...)
}

// Done removes the bar. It must be called, and may be called twice.
func (p *Progress) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = true
	if p.bar == nil {
		return
	}
	// Nobody writes meanwhile: what waits above the bars is on the terminal before the last of them goes.
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	p.bar.Abort(true)
	p.bar = nil
	if p.w.drawn--; p.w.drawn == 0 {
		p.w.bars.Wait()
		p.w.bars, p.w.above = nil, nil
	}
}
