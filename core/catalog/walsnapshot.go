package catalog

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
)

// Read returns all lines of the index as they were at one moment.
//
// A last line without a line break is one that a crash cut off.
func (x *WALIndex) Read(ctx context.Context) (lines WALLines, err error) {
	err = x.snapshot(ctx, func(r io.Reader, size int64) (err error) {
		lines = WALLines{path: x.layout.WALIndexPath()}
		lines.text, err = readText(r, size)
		return err
	})
	return lines, err
}

// Sum is SumWALs over all lines as they were at one moment. It keeps none of them in memory.
func (x *WALIndex) Sum(ctx context.Context, spans []WALSpan) (
	stats map[string]*WALStats, bad []*WALLineError, err error,
) {
	err = x.snapshot(ctx, func(r io.Reader, _ int64) error {
		sums := newWALSums(spans)
		number := 1
		err := eachBlock(r, func(block []byte) {
			number = sums.add(ReadWALLines(block, x.layout.WALIndexPath()), number)
		})
		stats, bad = sums.finish()
		return err
	})
	return stats, bad, err
}

// snapshot calls use with the text of the index as it was at one moment. It may have to do so twice; then what the first
// call made is to be forgotten. The lock is held for two moments only, however long the index is: readers never keep
// anybody from archiving.
//
// That works because programs change the index in three ways, each with the lock held:
//
//	append          what was there stays as it is
//	replace         this program; the old file stays as it is
//	write in place  Python Barman, when it removes WAL or rebuilds the index
//
// So a reader takes the lock to open the file and note its size, reads that much without it, and takes the lock again to
// see whether the end of what it read still stands where it did. After a change in place it does not, because lines are
// never replaced by others of the same bytes; then the reader reads once more, with the lock.
func (x *WALIndex) snapshot(ctx context.Context, use func(text io.Reader, size int64) error) error {
	file, size, err := x.openEnd(ctx)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read
	seen := &endReader{r: io.NewSectionReader(file, 0, size)}
	if err := use(seen, size); err != nil {
		return err
	}
	return x.locked(ctx, func() error {
		stands, err := seen.stands(file, size)
		if err != nil || stands {
			return err
		}
		if size, err = file.Seek(0, io.SeekEnd); err != nil {
			return err
		}
		return use(io.NewSectionReader(file, 0, size), size)
	})
}

// openEnd opens the index for reading and tells how long it is at this moment.
func (x *WALIndex) openEnd(ctx context.Context) (file *os.File, size int64, err error) {
	err = x.locked(ctx, func() (err error) {
		if file, err = x.open(ctx, os.O_RDONLY); err != nil {
			return err
		}
		size, err = file.Seek(0, io.SeekEnd)
		return err
	})
	if err != nil && file != nil {
		_ = file.Close() // nothing was written
	}
	return file, size, err
}

// endReader remembers how much was read, and the end of it.
type endReader struct {
	r    io.Reader
	read int64
	end  []byte
}

func (e *endReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.read += int64(n)
	e.end = append(e.end, p[max(0, n-maxLine):n]...)
	if extra := len(e.end) - maxLine; extra > 0 {
		e.end = append(e.end[:0], e.end[extra:]...)
	}
	return n, err
}

// stands tells whether all of a text of the given size was read, and the file still has its end. maxLine bytes hold many
// lines.
func (e *endReader) stands(f io.ReaderAt, size int64) (bool, error) {
	if e.read != size {
		return false, nil
	}
	found := make([]byte, len(e.end))
	_, err := f.ReadAt(found, size-int64(len(e.end)))
	if errors.Is(err, io.EOF) {
		err = nil // the file may be shorter now; then what was not read is zero
	}
	return bytes.Equal(found, e.end), err
}

// readText returns the next bytes of r, fewer when there are no more.
func readText(r io.Reader, size int64) ([]byte, error) {
	text := make([]byte, size)
	n, err := io.ReadFull(r, text)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return text[:n], err
}

// eachBlock calls use with the text of r in blocks of whole lines, which are valid until the next call.
func eachBlock(r io.Reader, use func(block []byte)) error {
	buffer := make([]byte, 256<<10)
	kept := 0
	for {
		n, err := r.Read(buffer[kept:])
		have := buffer[:kept+n]
		whole := bytes.LastIndexByte(have, '\n') + 1
		if err != nil {
			whole = len(have)
		}
		if whole > 0 {
			use(have[:whole])
		}
		kept = copy(buffer, have[whole:])
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case kept == len(buffer):
			buffer = append(buffer, make([]byte, len(buffer))...)
		}
	}
}

// backwards calls f with the text of a file in parts of whole lines, the last part first, until f returns false. Parts
// grow, so that a search that ends early reads little and one that does not is not slow.
func backwards(f *os.File, use func(part []byte) (more bool)) error {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	for size := int64(64 << 10); end > 0; size = min(2*size, 8<<20) {
		begin := max(0, end-size)
		block := make([]byte, end-begin)
		if _, err := f.ReadAt(block, begin); err != nil {
			return err
		}
		// What comes before the first line break is the end of a line that begins in the part before.
		if begin > 0 {
			cut := bytes.IndexByte(block, '\n') + 1
			if cut == len(block) {
				cut = 0 // no line is that long; whatever it is, it is not what anybody looks for
			}
			block, begin = block[cut:], begin+int64(cut)
		}
		if !use(block) {
			return nil
		}
		end = begin
	}
	return nil
}
