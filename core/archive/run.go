package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/progress"
)

// groupSize is the number of files that share their fsyncs at most, and windowSize the number of those prepared ahead.
// They bound temporary space and the work that a crash repeats; beyond a few dozen, the cost of an fsync per file does
// not matter any more.
const (
	groupSize  = 32
	windowSize = 48
)

// run is the state of one Run.
type run struct {
	*Archiver
	src     Source
	encoder *encoder
	sum     Summary
	total   int

	mu sync.Mutex
	// ready are the directories of wals/ that exist and were swept.
	ready map[string]bool
}

// files archives the selected files.
func (r *run) files(ctx context.Context, names []wal.FileName) error {
	if len(names) == 0 {
		return nil
	}
	var err error
	if r.encoder, err = r.Codecs.encoder(ctx); err != nil {
		return err
	}
	if r.Hooks.Empty() {
		return r.inGroups(ctx, names)
	}
	for _, name := range names {
		if err := r.withHooks(ctx, r.filing(name)); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) filing(name wal.FileName) *filing {
	return &filing{
		name: name, path: filepath.Join(r.src.Dir, name.String()),
		dest:     filepath.Join(r.WALs, filepath.FromSlash(name.ArchivePath())),
		prepared: make(chan struct{}),
	}
}

// inGroups prepares files in a window and files them in order.
func (r *run) inGroups(ctx context.Context, names []wal.FileName) error {
	ctx, cancel := context.WithCancelCause(ctx)
	window := make(chan *filing, windowSize)
	go r.prepareAll(ctx, names, window)
	err := r.fileAll(ctx, window)
	// What was prepared and will not be filed leaves nothing behind.
	cancel(err)
	for f := range window {
		<-f.prepared
		f.removeTemp()
	}
	return err
}

// prepareAll puts files into the window in order, and prepares as many at a time as there are workers.
func (r *run) prepareAll(ctx context.Context, names []wal.FileName, window chan<- *filing) {
	defer close(window)
	workers := make(chan struct{}, max(r.Workers, 1))
	for _, name := range names {
		select {
		case workers <- struct{}{}:
		case <-ctx.Done():
			return
		}
		f := r.filing(name)
		select {
		case window <- f:
		case <-ctx.Done():
			return
		}
		go func() {
			f.err = r.prepare(ctx, f)
			close(f.prepared)
			<-workers
		}()
	}
}

// fileAll files what comes out of the window. The first error of a file ends the run, after its group.
func (r *run) fileAll(ctx context.Context, window <-chan *filing) error {
	var next *filing
	for {
		group, more := nextGroup(window, &next)
		sound, failed := divide(group)
		err := r.file(ctx, sound)
		r.progress()
		for _, f := range group {
			f.removeTemp()
		}
		if err == nil && failed != nil {
			err = failed.err
		}
		if err == nil && !more {
			// The window also ends when ctx does.
			err = context.Cause(ctx)
		}
		if err != nil || !more {
			if next != nil {
				<-next.prepared
				next.removeTemp()
			}
			return err
		}
	}
}

// nextGroup waits for one prepared file and takes with it those that follow and are prepared too. next keeps a file that
// was taken from the window and is not prepared yet. more is false at the end of the window.
func nextGroup(window <-chan *filing, next **filing) (group []*filing, more bool) {
	f := *next
	if *next = nil; f == nil {
		if f, more = <-window; !more {
			return nil, false
		}
	}
	<-f.prepared
	group = append(group, f)
	for len(group) < groupSize {
		select {
		case f, more = <-window:
			if !more {
				return group, false
			}
		default:
			return group, true
		}
		select {
		case <-f.prepared:
			group = append(group, f)
		default:
			*next = f
			return group, true
		}
	}
	return group, true
}

// divide separates the files that were prepared from the first one that was not. On a disk that is nearly full those after
// it are filed too: they take no more space, and their sources give some back.
func divide(group []*filing) (sound []*filing, failed *filing) {
	for _, f := range group {
		if f.err == nil {
			sound = append(sound, f)
		} else if failed == nil {
			failed = f
		}
	}
	return sound, failed
}

// withHooks archives one file: pre hooks, everything, post hooks.
func (r *run) withHooks(ctx context.Context, f *filing) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	// Hooks are not told of a file that nothing can be done about.
	switch err := f.look(ctx, r.Codecs); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return r.file(ctx, []*filing{f.leave(err)})
	}
	if err := r.Hooks.Pre(ctx, f.source(nil)); err != nil {
		r.Hooks.Post(ctx, f.source(err))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r.Log.Warn(fmt.Sprintf("Archiving of %s/%s aborted by pre_archive_retry_script. Reason: %v", r.Server, f.name, err))
		return errStopped
	}
	err := r.prepare(ctx, f)
	if err == nil {
		err = r.file(ctx, []*filing{f})
	}
	f.removeTemp()
	r.Hooks.Post(ctx, f.outcome(err))
	r.progress()
	return err
}

func (r *run) progress() {
	if r.Progress == nil {
		return
	}
	done := r.sum.Archived + r.sum.Identical + r.sum.Rejected + r.sum.Left
	r.Progress.Progress(progress.Progress{FilesDone: int64(done), FilesTotal: int64(r.total), Label: "WAL"})
}
