package main

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/s2"
)

// markChunk is one of the kinds of chunk, 0x80–0xfd, that a decoder skips when it does not know them. The content tells
// ours from those of others.
const (
	markChunk = 0xb7
	markBegin = "barman: this file ends with a mark"
	markEnd   = "barman: this is the end of the file"
)

// decoder is a reader that knows whether a stream that promised an end mark has kept its word.
type decoder struct {
	*s2.Reader
	// marked: there was a promise; open: it is not kept yet.
	marked, open bool
}

func newDecoder() *decoder {
	d := &decoder{}
	d.Reader = s2.NewReader(nil, s2.ReaderMaxBlockSize(maxBlock), s2.ReaderSkippableCB(markChunk, d.mark))
	return d
}

func (d *decoder) begin(src io.Reader) {
	d.marked, d.open = false, false
	d.Reset(src)
}

// end judges a file that was read to its end and gave n bytes.
func (d *decoder) end(n int64) error {
	switch {
	case d.open:
		return fmt.Errorf("the mark of its end is missing: %w", io.ErrUnexpectedEOF)
	case n == 0 && !d.marked:
		// The identifier and nothing else: what others make of an empty file, which no WAL file is, or what is left of one
		// of ours.
		return fmt.Errorf("nothing follows the identifier: %w", io.ErrUnexpectedEOF)
	}
	return nil
}

// mark reads a chunk of the kind of our marks.
func (d *decoder) mark(r io.Reader) error {
	content, err := io.ReadAll(io.LimitReader(r, maxBlock))
	if err != nil {
		return err
	}
	switch string(content) {
	case markBegin:
		if d.open {
			return fmt.Errorf("a second file begins before the mark of the first one's end: %w", io.ErrUnexpectedEOF)
		}
		d.marked, d.open = true, true
	case markEnd:
		d.open = false
	}
	return nil
}
