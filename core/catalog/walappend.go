package catalog

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/barman-go/barman/core/fsx"
)

// Append adds records in the given order, durably, in one write and one fsync. When it returns an error, none of them is in the index,
// unless taking them back failed too.
//
// publish, if not nil, runs first with the lock held: it renames the files into the archive and makes that durable,
// so that no other process sees a file without its line for long. When it fails, nothing is appended.
func (x *WALIndex) Append(ctx context.Context, records []WALRecord, publish func() error) error {
	var lines []byte
	for _, r := range records {
		if err := r.Validate(); err != nil {
			return err
		}
		lines = r.AppendTo(lines)
	}
	return x.locked(ctx, func() error {
		// Before publish: a missing index is rebuilt from the archive, and must not find the new files there.
		f, err := x.open(ctx, os.O_RDWR|os.O_APPEND)
		if err != nil {
			return err
		}
		if publish != nil {
			err = publish()
		}
		if err == nil && len(lines) > 0 {
			// Whoever replaced the file may have died before its name was durable, and the old one would know nothing of these lines.
			err = fsx.SyncDir(x.layout.XlogDB)
		}
		if err == nil {
			err = x.redirtyAfter(appendLines(f, lines))
		}
		return errors.Join(err, f.Close())
	})
}

func appendLines(f *os.File, lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	if err := mendTail(f); err != nil {
		return err
	}
	before, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err = f.Write(lines); err == nil {
		err = fsx.Sync(f)
	}
	if err != nil {
		// Taken back: lines that can be read and are not on the disk would keep the next run from writing them.
		return errors.Join(err, f.Truncate(before.Size()))
	}
	return nil
}

// mendTail prepares an index whose last line has no line break, which a crash in the middle of an append leaves.
// Appending to it as it is would make one line of two, which no version can read. A line that is complete gets its
// line break; one that is cut off goes, because its append was never confirmed.
func mendTail(f *os.File) error {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	var tail [1]byte
	if _, err := f.ReadAt(tail[:], info.Size()-1); err != nil {
		return err
	}
	if tail[0] == '\n' {
		return nil
	}
	line, offset, err := lastLine(f, info.Size())
	if err != nil {
		return err
	}
	if isCompleteLine(line) {
		_, err = f.WriteString("\n")
		return err
	}
	return f.Truncate(offset)
}

// isCompleteLine tells whether a line without line break has all its fields, the last one being a word that is the
// beginning of no other.
func isCompleteLine(line string) bool {
	if len(strings.Fields(line)) != 5 {
		return false
	}
	_, err := ParseWALRecord(line)
	return err == nil && (strings.HasSuffix(line, "\tNone") || strings.HasSuffix(line, "\tgpg"))
}
