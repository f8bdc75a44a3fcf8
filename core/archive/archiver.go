package archive

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/progress"
)

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
	// Post is called for every file for which Pre was, whatever became of it.
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
	// Replaced are those of Archived that took the place of a damaged file, which is in errors/ now.
	Replaced int
	// Rejected counts WAL files moved to errors/.
	Rejected int
	// Left counts files that stay for the next run: they may be growing, or cannot be judged.
	Left int
	// Junk counts other entries moved to errors/.
	Junk int
	// Stopped means that a hook stopped the run.
	Stopped bool
}

// Run archives what waits in a source, in name order. An error leaves every file either filed completely or in its
// source, and no temporary file.
//
// What is wrong with a single file is reported as an error and does not keep the others waiting: a file that is not the
// server's WAL, or differs from the archived one, goes to errors/; one that cannot be read stays.
func (a *Archiver) Run(ctx context.Context, src Source) (Summary, error) {
	sel, err := src.selectFiles()
	if err != nil {
		return Summary{}, err
	}
	a.announce(src, sel)
	if err := a.makeReady(src); err != nil {
		return Summary{}, err
	}
	run := &run{Archiver: a, src: src, ready: map[string]bool{}, total: len(sel.files)}
	err = run.files(ctx, sel.files)
	if errors.Is(err, errStopped) {
		run.sum.Stopped = true
		return run.sum, nil
	}
	if err != nil {
		return run.sum, err
	}
	run.sum.Junk, err = a.rejectJunk(src, sel.junk)
	return run.sum, err
}

// makeReady removes what dead processes left and makes sure that there is an archive.
func (a *Archiver) makeReady(src Source) error {
	if err := fsx.MkdirAll(a.WALs, 0o755); err != nil {
		return err
	}
	// put-wal, get-wal and the index make temporary files here too, and their processes may be alive.
	for _, dir := range []string{src.Dir, a.WALs} {
		if _, err := fsx.Sweep(dir, fsx.OwnerDead); err != nil {
			a.Log.Warn("cannot remove temporary files", "dir", dir, "error", err)
		}
	}
	return nil
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

// errStopped ends a run because a hook asked for it.
var errStopped = errors.New("stopped by a hook")

// rejectJunk moves what is no WAL to errors/. One entry that cannot be moved does not keep the others.
func (a *Archiver) rejectJunk(src Source, junk []string) (moved int, err error) {
	if len(junk) == 0 {
		return 0, nil
	}
	a.Out.Info("Some unknown objects have been found while processing xlog segments for %s. "+
		"Objects moved to errors directory:", a.Server)
	var errs []error
	for _, name := range junk {
		if _, err := quarantine(filepath.Join(src.Dir, name), name, a.Errors, kindUnknown, a.Now()); err != nil {
			errs = append(errs, err)
			continue
		}
		moved++
		a.Out.Info("\t%s", name)
	}
	return moved, errors.Join(errs...)
}
