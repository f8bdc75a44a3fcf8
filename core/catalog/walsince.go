package catalog

import (
	"context"
	"errors"
	"io"
)

// WALMark is a line of a WAL index: the offset at which it begins, in bytes, and the name on it. The zero value is the mark of an
// empty index, and of one of which nothing is known.
type WALMark struct {
	Position int64
	Name     string
}

// ErrIndexRewritten means that another program rewrote the index in place while it was read. Reading again helps.
var ErrIndexRewritten = errors.New("the WAL index was rewritten while it was read; try again")

// Since reads the index from the line at a mark on, that one included, when the mark still stands where it says; otherwise from the
// start, which isWhole tells. use gets the mark of the last line, and each, which calls its argument with blocks of whole lines that are
// valid until it returns. Since keeps none of them, and holds the lock for moments only.
//
// The error is ErrIndexRewritten when what use was given may be half old and half new; then use has been called, and what it made is to
// be forgotten.
func (x *WALIndex) Since(
	ctx context.Context, known WALMark, use func(last WALMark, isWhole bool, each func(func(WALLines)) error) error,
) error {
	file, size, err := x.openEnd(ctx)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read
	line, offset, err := lastLine(file, size)
	if err != nil {
		return err
	}
	last := WALMark{Position: offset}
	last.Name, _ = cutField(line)
	begin, err := standsAt(file, size, known)
	if err != nil {
		return err
	}
	text := io.NewSectionReader(file, begin, size-begin)
	seen := &endReader{r: text}
	err = use(last, begin == 0, func(f func(WALLines)) error {
		err := eachBlock(seen, func(block []byte) { f(ReadWALLines(block, x.layout.WALIndexPath())) })
		if err != nil {
			return err
		}
		return x.locked(ctx, func() error {
			stands, err := seen.stands(text, size-begin)
			if err == nil && !stands {
				err = ErrIndexRewritten
			}
			return err
		})
	})
	return err
}

// standsAt returns the mark's position when the line there has its name, otherwise 0.
func standsAt(f io.ReaderAt, size int64, known WALMark) (int64, error) {
	if known.Name == "" || known.Position <= 0 || known.Position+int64(len(known.Name)) > size {
		return 0, nil
	}
	// The line break before it and the tab behind it: a mark is a whole name at the beginning of a line.
	found := make([]byte, len(known.Name)+2)
	n, err := f.ReadAt(found, known.Position-1)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if n == len(found) && found[0] == '\n' && string(found[1:n-1]) == known.Name && isBlank(found[n-1]) {
		return known.Position, nil
	}
	return 0, nil
}
