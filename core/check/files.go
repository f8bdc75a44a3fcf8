package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/lock"
	"github.com/barman-go/barman/core/receive"
	"github.com/barman-go/barman/core/wal"
)

// makeDirectories creates the directories of the server that are missing.
func (c *Checker) makeDirectories(context.Context) (none struct{}, err error) {
	for _, dir := range c.Layout.Directories() {
		if err := fsx.MkdirAll(dir, 0o755); err != nil {
			return none, fmt.Errorf("%s: %w", dir, systemError(err))
		}
	}
	return none, nil
}

// systemError strips what the caller says in other words.
func systemError(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// waiting is what lies in the directories beside the archive.
type waiting struct {
	incoming, streaming queue
	// errors are the names in errors/.
	errors []string
	// space says why no WAL can be accepted; nil when it can.
	space error
}

// queue is a directory in which WAL waits to be archived.
type queue struct {
	// files counts the entries, temporary and hidden ones excepted.
	files int
	// wal tells that some WAL is among them.
	wal bool
}

func (c *Checker) lookForWAL(context.Context) (found waiting, err error) {
	if found.incoming, err = lookInto(c.Layout.Incoming); err != nil {
		return found, err
	}
	if found.streaming, err = lookInto(c.Layout.Streaming); err != nil {
		return found, err
	}
	if c.Policy.FreeSpace != nil {
		found.space = c.Policy.FreeSpace()
	}
	// One file is the segment that is being received.
	found.streaming.files = max(found.streaming.files-1, 0)
	entries, err := readDir(c.Layout.Errors)
	for _, e := range entries {
		found.errors = append(found.errors, e.Name())
	}
	return found, err
}

func lookInto(dir string) (q queue, err error) {
	entries, err := readDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || strings.HasSuffix(e.Name(), fsx.TempSuffix) {
			continue
		}
		q.files++
		if _, err := wal.ParseFileName(e.Name()); err == nil {
			q.wal = true
		}
	}
	return q, err
}

// readDir lists a directory; a missing one is empty.
func readDir(dir string) ([]os.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}

// receiver is what is known of the process that receives WAL; problem is empty when it works.
type receiver struct{ problem string }

// receiving looks for a process that receives WAL. That one holds the lock is not enough: it must have a connection, and give signs
// of life.
func (c *Checker) receiving(context.Context) (found receiver, err error) {
	file, err := lock.ForServer(lock.ReceiveWAL, c.Server).File()
	if err != nil {
		return found, err
	}
	held, pid, err := lock.Probe(filepath.Join(c.LockDir, file))
	if err != nil || !held {
		return receiver{"See the Barman log file for more details"}, err
	}
	beat, known, err := receive.ReadHeartbeat(c.Layout.Streaming)
	if err != nil || !known {
		return found, err
	}
	return receiver{beat.Problem(pid, c.Now())}, nil
}

// queues adds the rows of the directories in which WAL waits.
func (c *Checker) queues(r *rows, p *probes) {
	found, err := p.waiting.wait()
	if err != nil {
		r.failed("WAL directories", err)
		return
	}
	if found.space != nil {
		r.fail("free space for WAL", hint(found.space)+"; delete backups, or make the disk larger: until then PostgreSQL has to keep its WAL")
	}
	for _, q := range []struct {
		queue
		archiver             bool
		option, dir          string
		labelEmpty, labelMax string
	}{
		{found.incoming, c.Archiver, "archiver", c.Layout.Incoming, labelEmptyIncoming, labelIncomingQueue},
		{found.streaming, c.StreamingArchiver, "streaming_archiver", c.Layout.Streaming, labelEmptyStreaming, labelStreamingQueue},
	} {
		limit := c.Policy.MaximumQueue
		switch {
		case !q.archiver && q.files > 0:
			r.fail(q.labelEmpty, fmt.Sprintf("'%s' must be empty when %s=off", q.dir, q.option))
		case q.archiver && limit != nil && q.files > *limit:
			r.fail(q.labelMax, fmt.Sprintf("there are too many WALs in queue: %d, max %d", q.files, *limit))
		}
	}
}

// errorKinds are the reasons for which archive-wal puts files into errors/, by the suffix that it gives them.
var errorKinds = map[string]string{
	".error": "not relevant", ".duplicate": "duplicates", ".unknown": "unknown",
}

// archiverErrors adds the row of the files that could not be archived.
func (c *Checker) archiverErrors(r *rows, p *probes) {
	found, err := p.waiting.wait()
	if err != nil {
		return // the row of the WAL directories says so
	}
	var kinds []string
	counts := map[string]int{}
	for _, name := range found.errors {
		kind := cmp.Or(errorKinds[filepath.Ext(name)], "unknown failure")
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
		counts[kind]++
	}
	var parts []string
	for _, kind := range kinds {
		parts = append(parts, fmt.Sprintf("%s: %d", kind, counts[kind]))
	}
	r.add(Row{Label: labelArchiverErrors, OK: len(parts) == 0, Hint: strings.Join(parts, ", ")})
}
