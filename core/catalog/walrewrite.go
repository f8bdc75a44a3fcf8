package catalog

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/barman-go/barman/core/fsx"
)

// Rewrite replaces the index by those of its lines that keep accepts, byte for byte, and returns the others. Lines
// that cannot be understood are dropped and returned as errors; only an archive's files that are listed are ever
// removed, so nothing happens to the file that such a line may have meant.
//
// The new index is complete and durable before it takes the name: a crash leaves the old one or the new one. Nothing
// is written when every line stays. The caller removes files of dropped records after this returned, never before: a
// file that is not listed does no harm, a listed one that is missing does.
func (x *WALIndex) Rewrite(ctx context.Context, keep func(*WALLine) bool) (
	dropped []WALRecord, bad []*WALLineError, err error,
) {
	err = x.locked(ctx, func() error {
		f, err := x.open(ctx, os.O_RDONLY)
		if err != nil {
			return err
		}
		defer f.Close() //nolint:errcheck // only read
		size, err := f.Seek(0, io.SeekEnd)
		if err != nil {
			return err
		}
		text, err := readText(io.NewSectionReader(f, 0, size), size)
		if err != nil {
			return err
		}
		kept := make([]byte, 0, len(text)+1)
		for line, err := range ReadWALLines(text, f.Name()).All() {
			switch {
			case err != nil:
				bad = append(bad, err)
			case keep(line):
				kept = append(kept, strings.TrimRight(line.Raw, "\r\n")...)
				kept = append(kept, '\n')
			default:
				dropped = append(dropped, line.WALRecord)
			}
		}
		if len(dropped) == 0 && len(bad) == 0 {
			return nil
		}
		return x.replace(kept)
	})
	if err != nil {
		return nil, nil, err
	}
	return dropped, bad, nil
}

// replace gives the index a new content, with the lock held. Owner and mode of an index that exists stay.
func (x *WALIndex) replace(content []byte) error {
	path := x.layout.WALIndexPath()
	mode := fileMode
	info, err := os.Stat(path)
	switch {
	case err == nil:
		mode = info.Mode().Perm()
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	temp, err := fsx.CreateTemp(path, mode)
	if err != nil {
		return err
	}
	_, err = temp.Write(content)
	if err == nil && info != nil {
		err = keepOwner(temp, info)
	}
	if err := errors.Join(err, temp.Close()); err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return fsx.Publish(temp.Name(), path)
}
