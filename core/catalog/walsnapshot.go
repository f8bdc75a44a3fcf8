package catalog

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
)

// Read returns all lines of the index as they were at one moment. The lock is held for two moments only, however long
// the index is, and not while the lines are used: readers never keep anybody from archiving.
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
//
// A last line without a line break is one that a crash cut off.
func (x *WALIndex) Read(ctx context.Context) (WALLines, error) {
	var file *os.File
	var size int64
	err := x.locked(ctx, func() (err error) {
		if file, err = x.open(ctx, os.O_RDONLY); err != nil {
			return err
		}
		size, err = file.Seek(0, io.SeekEnd)
		return err
	})
	if file != nil {
		defer file.Close() //nolint:errcheck // only read
	}
	if err != nil {
		return nil, err
	}
	text, err := readText(file, size)
	if err != nil {
		return nil, err
	}
	err = x.locked(ctx, func() error {
		stands, err := endsWith(file, size, text)
		if err != nil || stands {
			return err
		}
		if size, err = file.Seek(0, io.SeekEnd); err != nil {
			return err
		}
		text, err = readText(file, size)
		return err
	})
	if err != nil {
		return nil, err
	}
	return ReadWALLines(text, x.layout.WALIndexPath()), nil
}

// readText returns the first bytes of a file, fewer when it is shorter.
func readText(f io.ReaderAt, size int64) (string, error) {
	var text strings.Builder
	text.Grow(int(size))
	_, err := io.CopyBuffer(&text, io.NewSectionReader(f, 0, size), make([]byte, 256<<10))
	return text.String(), err
}

// endsWith tells whether a text of the given size ends as the file does there. maxLine bytes hold many lines.
func endsWith(f io.ReaderAt, size int64, text string) (bool, error) {
	if int64(len(text)) != size {
		return false, nil
	}
	end := text[max(0, len(text)-maxLine):]
	found := make([]byte, len(end))
	_, err := f.ReadAt(found, size-int64(len(end)))
	if errors.Is(err, io.EOF) {
		return string(found) == end, nil // the file may be shorter now; then what was not read is zero
	}
	return string(found) == end, err
}

// backwards calls f with the text of a file in parts of whole lines, the last part first, until f returns false. Parts
// grow, so that a search that ends early reads little and one that does not is not slow.
func backwards(f *os.File, use func(part string) (more bool)) error {
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
		if !use(string(block)) {
			return nil
		}
		end = begin
	}
	return nil
}
