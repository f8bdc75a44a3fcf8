package catalog

import (
	"bufio"
	"bytes"
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
		var stay []piece
		lines, begin := WALLines{path: f.Name()}, int64(0)
		err = eachBlock(f, func(block []byte) {
			lines.text = block
			for line, err := range lines.All() {
				switch {
				case err != nil:
					bad = append(bad, err)
				case keep(line):
					stay = addLine(stay, begin+int64(line.offset), line.Raw)
				default:
					dropped = append(dropped, line.WALRecord)
				}
			}
			begin += int64(len(block))
			lines.before += bytes.Count(block, []byte("\n"))
		})
		if err != nil || len(dropped) == 0 && len(bad) == 0 {
			return err
		}
		return x.replace(func(w *os.File) error { return writePieces(w, f, stay) })
	})
	if err != nil {
		return nil, nil, err
	}
	return dropped, bad, nil
}

// piece is a part of the index that stays: consecutive lines of the old file, or the text of one that is not quite as it should be.
type piece struct {
	begin, end int64
	text       string
}

// addLine adds a line that begins at an offset. Of a million lines that stay, most are one piece.
func addLine(pieces []piece, begin int64, raw string) []piece {
	if !strings.HasSuffix(raw, "\n") || strings.HasSuffix(raw, "\r\n") {
		return append(pieces, piece{text: strings.TrimRight(raw, "\r\n") + "\n"})
	}
	end := begin + int64(len(raw))
	if n := len(pieces); n > 0 && pieces[n-1].text == "" && pieces[n-1].end == begin {
		pieces[n-1].end = end
		return pieces
	}
	return append(pieces, piece{begin: begin, end: end})
}

// writePieces writes pieces of a file to another one. Great ones are copied by the kernel.
func writePieces(to, from *os.File, pieces []piece) error {
	w := bufio.NewWriterSize(to, 256<<10)
	for _, p := range pieces {
		if _, err := from.Seek(p.begin, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.CopyN(w, from, p.end-p.begin); err != nil {
			return err
		}
		if _, err := w.WriteString(p.text); err != nil {
			return err
		}
	}
	return w.Flush()
}

// replace gives the index a new content, with the lock held. Owner and mode of an index that exists stay.
func (x *WALIndex) replace(write func(*os.File) error) error {
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
	err = write(temp)
	if err == nil && info != nil {
		err = keepOwner(temp, info)
	}
	if err := errors.Join(err, temp.Close()); err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return fsx.Publish(temp.Name(), path)
}
