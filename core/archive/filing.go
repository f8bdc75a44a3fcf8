package archive

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/barman-go/barman/core/wal"
)

// filing is one file on its way from a source to wals/.
type filing struct {
	name       wal.FileName
	path, dest string
	// size, time and mode are those of the source, head its first bytes, and format what these show: what the sender
	// compressed stays as it is.
	size   int64
	time   time.Time
	mode   fs.FileMode
	head   []byte
	format string
	// prepared is closed when prepare has ended with err; an error ends the whole run.
	prepared chan struct{}
	err      error
	// verdict is what preparing found, and reason why, when that is not to file it.
	verdict verdict
	reason  error
	// archived means that wals/ holds a sound file of this name already, whose line the index may lack.
	archived bool
	// temp is what will lie in wals/, beside dest; empty when there is nothing to file, or it has its name.
	temp string
	// linked means that temp is another name of the source, not a copy.
	linked bool
	// stored is the size of the file in wals/, compression its format.
	stored      int64
	compression string
}

// verdict is what happens to a file.
type verdict int

const (
	// fileIt: it is sound and new.
	fileIt verdict = iota
	// replaceIt: it is sound, and wals/ has a damaged file under this name.
	replaceIt
	// dropIt: wals/ has the same content.
	dropIt
	// rejectDuplicate: wals/ has other, sound content under this name.
	rejectDuplicate
	// rejectInvalid: it is not this server's WAL.
	rejectInvalid
	// leaveGrowing: it may still be growing.
	leaveGrowing
	// leaveUnknown: it cannot be read, or nothing here can decode it.
	leaveUnknown
	// vanished: somebody took it away.
	vanished
)

// isNew tells whether the file goes into the archive.
func (v verdict) isNew() bool { return v == fileIt || v == replaceIt }

// look reads what must be known of every file.
func (f *filing) look(ctx context.Context, codecs *Codecs) error {
	head, info, err := readHead(f.path)
	if err != nil {
		return err
	}
	f.head, f.size, f.time, f.mode = head, info.Size(), info.ModTime(), info.Mode().Perm()
	f.format, err = codecs.Format(ctx, head)
	return err
}

// leave makes a file stay in its source for a reason that people should know.
func (f *filing) leave(reason error) *filing {
	f.verdict, f.reason = leaveUnknown, reason
	return f
}

func (f *filing) removeTemp() {
	if f.temp != "" {
		_ = os.Remove(f.temp)
		f.temp = ""
	}
}

// source describes the file to hooks as it was delivered.
func (f *filing) source(err error) Segment {
	return Segment{Name: f.name, Path: f.path, Size: f.size, Time: f.time, Compression: f.format, Err: err}
}

// outcome describes the file to hooks after filing ended with err.
func (f *filing) outcome(err error) Segment {
	if err != nil || !f.verdict.isNew() {
		return f.source(errors.Join(err, f.reason))
	}
	return Segment{Name: f.name, Path: f.dest, Size: f.stored, Time: f.time, Compression: f.compression}
}
