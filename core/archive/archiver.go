package archive

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/progress"
)

// groupSize is the number of segments that share their fsyncs. It bounds memory, temporary disk space and the work that
// a crash repeats; beyond a few dozen the cost of an fsync per segment is already negligible.
const groupSize = 32

// Segment describes a file to hooks.
type Segment struct {
	Name wal.FileName
	// Path is the source before, and the archived file after.
	Path        string
	Size        int64
	Time        time.Time
	Compression string
	// Err is why it was not archived, after.
	Err error
}

// Hooks run around the archiving of each file.
type Hooks interface {
	// Empty tells that there are none, so that files may be archived in groups.
	Empty() bool
	// Pre returns an error when a hook stops the run.
	Pre(ctx context.Context, s Segment) error
	Post(ctx context.Context, s Segment)
}

// Archiver files the WAL of one server. The caller holds the server's archive-wal lock.
type Archiver struct {
	Server string
	// WALs and Errors are the server's directories; missing ones are created.
	WALs, Errors string
	// Expect is what is known of the server's WAL; zero fields are not checked.
	Expect wal.Expect
	Codecs *Codecs
	Index  *catalog.WALIndex
	Hooks  Hooks
	// Workers is the number of files encoded at the same time.
	Workers int
	// SkipReadBack files encoded segments without decoding them again.
	SkipReadBack bool
	// Verbose prints the header, and "no file found", also when there is nothing to do.
	Verbose bool
	Now     func() time.Time
	Out     report.Messenger
	// Progress receives the number of files done; may be nil.
	Progress progress.Reporter
	Log      hclog.Logger
}

// Summary of a run.
type Summary struct {
	// Archived counts new files in wals/, Identical those that were there already.
	Archived, Identical int
	// Rejected counts WAL files moved to errors/.
	Rejected int
	// Junk counts other entries moved to errors/.
	Junk int
	// Stopped means that a hook stopped the run.
	Stopped bool
}

// group is a set of files that share their fsyncs.
type group struct {
	files []*filing
	// err stopped the run after these files.
	err error
}

// Run archives what waits in a source, in name order. Files of one run are filed in groups: while one group is made
// durable, the next is being encoded. An error leaves every file either filed completely or in its source.
func (a *Archiver) Run(ctx context.Context, src Source) (Summary, error) {
	sel, err := src.selectFiles()
	if err != nil {
		return Summary{}, err
	}
	// Only archive-wal makes temporary files of WAL names in its sources' and targets' directories, apart from put-wal,
	// whose owner may be alive.
	if _, err := fsx.Sweep(src.Dir, fsx.OwnerDead); err != nil {
		a.Log.Warn("cannot remove temporary files", "dir", src.Dir, "error", err)
	}
	a.announce(src, sel)
	if err := fsx.MkdirAll(a.WALs, 0o755); err != nil {
		return Summary{}, err
	}
	sum, err := a.runFiles(ctx, sel.files)
	if err != nil || sum.Stopped {
		return sum, err
	}
	sum.Junk, err = a.rejectJunk(src, sel.junk)
	return sum, err
}

func (a *Archiver) announce(src Source, sel selection) {
	if len(sel.files) == 0 && !a.Verbose {
		return
	}
	batch := ""
	if sel.total > len(sel.files) {
		batch = fmt.Sprintf(" (batch size: %d)", len(sel.files))
	}
	a.Out.Info("Processing xlog segments from %s for %s%s", src.Name, a.Server, batch)
	if len(sel.files) == 0 {
		a.Out.Info("\tno file found")
	}
}

func (a *Archiver) runFiles(ctx context.Context, files []candidate) (Summary, error) {
	var sum Summary
	if len(files) == 0 {
		return sum, nil
	}
	enc, err := a.Codecs.encoder(ctx)
	if err != nil {
		return sum, err
	}
	size := groupSize
	if !a.Hooks.Empty() {
		// Hooks see one file after the other: pre, filed, post.
		size = 1
	}
	run := &run{Archiver: a, encoder: enc, swept: map[string]bool{}}
	groups := make(chan *group, 1)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(groups)
		return run.prepareAll(gctx, files, size, groups)
	})
	g.Go(func() error {
		return run.fileAll(gctx, groups, &sum, len(files))
	})
	err = g.Wait()
	if errors.Is(err, errStopped) {
		sum.Stopped = true
		err = nil
	}
	return sum, err
}

// errStopped ends a run because a hook asked for it.
var errStopped = errors.New("stopped by a hook")

// rejectJunk moves what is no WAL to errors/.
func (a *Archiver) rejectJunk(src Source, junk []string) (int, error) {
	if len(junk) == 0 {
		return 0, nil
	}
	a.Out.Info("Some unknown objects have been found while processing xlog segments for %s. Objects moved to errors directory:", a.Server)
	for i, name := range junk {
		if _, err := quarantine(filepath.Join(src.Dir, name), name, a.Errors, "unknown", a.Now()); err != nil {
			return i, err
		}
		a.Out.Info("\t%s", name)
	}
	return len(junk), nil
}
