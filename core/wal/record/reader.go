package record

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/barman-go/barman/core/wal"
)

// ErrEnd means that the valid WAL stops inside a segment. It is wrapped with the place and what was found there. That
// is the end of what PostgreSQL replays; whether it is normal (a partial segment) or damage, the caller knows.
var ErrEnd = errors.New("end of valid WAL")

// Sizes of page headers on machines that align to 8 bytes.
const (
	shortHeader = 24
	longHeader  = 40
)

// Flags of a page that package wal does not need.
const infoOverwrite = 0x0008

// maxRecord is a bit more than PostgreSQL's XLogRecordMaxSize, 1020 MiB.
const maxRecord = 1 << 30

// readAhead is how much of a segment is read at a time.
const readAhead = 128 << 10

// Reader reads records from segments. It holds the beginning of a record that goes on in the next segment. Use it
// from one goroutine; the zero value is ready.
type Reader struct {
	order binary.ByteOrder
	magic uint16
	block int
	// ahead reads many pages in one call of the system.
	ahead *bufio.Reader

	// next is the address that the next page must have to continue; 0 at the start.
	next wal.LSN
	// partial holds what was read of the record that began at start and will have total bytes.
	partial []byte
	start   wal.LSN
	total   int
}

// Segment reads all records that end in a segment and calls each for them, in order. Segments that follow one another
// join; after a jump, the records that began before the segment are left out. An error of each ends the work and is
// returned as it is; an error that matches wal.ErrNotWAL or ErrEnd is about the content; others come from src.
func (r *Reader) Segment(src io.Reader, each func(Record) error) error {
	if r.ahead == nil {
		r.ahead = bufio.NewReaderSize(nil, readAhead)
	}
	r.ahead.Reset(src)
	first := make([]byte, longHeader)
	if _, err := io.ReadFull(r.ahead, first); err != nil {
		return notWhole(err)
	}
	h, err := wal.DecodePageHeader(first)
	if err != nil {
		return err
	}
	r.begin(h)
	page := make([]byte, r.block)
	copy(page, first)
	if _, err := io.ReadFull(r.ahead, page[longHeader:]); err != nil {
		return notWhole(err)
	}
	for address := h.Address; ; address += wal.LSN(r.block) {
		done, err := r.page(address, page, each)
		if err != nil {
			r.partial = nil
			return err
		}
		end := address + wal.LSN(r.block)
		if done || end >= h.Address+wal.LSN(h.SegmentSize) {
			r.next = h.Address + wal.LSN(h.SegmentSize)
			return nil
		}
		if _, err := io.ReadFull(r.ahead, page); err != nil {
			return notWhole(err)
		}
	}
}

func notWhole(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the segment is shorter than its header says", ErrEnd)
	}
	return err
}

// begin takes the properties of a segment from its first page.
func (r *Reader) begin(h wal.PageHeader) {
	r.order = binary.LittleEndian
	if h.BigEndian {
		r.order = binary.BigEndian
	}
	if h.Address != r.next {
		r.partial = nil
	}
	r.magic, r.block = h.Magic, int(h.BlockSize)
}

// page reads the records of a page. done means that nothing follows in the segment.
func (r *Reader) page(address wal.LSN, page []byte, each func(Record) error) (done bool, err error) {
	size, rest, err := r.pageHeader(address, page)
	if err != nil {
		return false, err
	}
	pos := size
	if rest > 0 {
		n := min(rest, len(page)-pos)
		if r.partial != nil {
			r.partial = append(r.partial, page[pos:pos+n]...)
		}
		if pos += n; rest > n {
			return false, nil
		}
		if r.partial != nil {
			rec, at := r.partial, r.start
			r.partial = nil
			if done, err := r.record(at, rec, each); done || err != nil {
				return done, err
			}
		}
		pos = align(pos)
	}
	for pos < len(page) {
		at := address + wal.LSN(pos)
		total := int(r.order.Uint32(page[pos:]))
		switch {
		case total == 0:
			return false, fmt.Errorf("%w at %s", ErrEnd, at)
		case total < headerSize || total > maxRecord:
			return false, fmt.Errorf("%w at %s: a record of %d bytes is impossible", ErrEnd, at, total)
		case total > len(page)-pos:
			r.partial, r.start, r.total = append([]byte(nil), page[pos:]...), at, total
			return false, nil
		}
		if done, err := r.record(at, page[pos:pos+total], each); done || err != nil {
			return done, err
		}
		pos = align(pos + total)
	}
	return false, nil
}

// pageHeader checks a page and returns the size of its header and how many bytes of an earlier record follow it.
func (r *Reader) pageHeader(address wal.LSN, page []byte) (size, rest int, err error) {
	info := r.order.Uint16(page[2:])
	if magic, at := r.order.Uint16(page), wal.LSN(r.order.Uint64(page[8:])); magic != r.magic || at != address {
		// Zeros, or what the file held before it was recycled.
		return 0, 0, fmt.Errorf("%w at %s: the page is of another time", ErrEnd, address)
	}
	if info&wal.InfoContinued != 0 {
		rest = int(r.order.Uint32(page[16:]))
	}
	switch {
	case info&infoOverwrite != 0:
		// A record that was cut off by a crash; the server went on without it.
		r.partial = nil
	case r.partial != nil && rest != r.total-len(r.partial):
		return 0, 0, fmt.Errorf("%w at %s: the record that began at %s does not go on", ErrEnd, address, r.start)
	}
	if info&wal.InfoLongHeader != 0 {
		return longHeader, rest, nil
	}
	return shortHeader, rest, nil
}

// record hands out a whole record. done means that it is the segment's last.
func (r *Reader) record(at wal.LSN, rec []byte, each func(Record) error) (done bool, err error) {
	if !valid(rec, r.order) {
		return false, fmt.Errorf("%w at %s: the record's checksum is wrong", ErrEnd, at)
	}
	decoded := decode(at, rec, r.order)
	return decoded.Kind == Switch, each(decoded)
}

// align rounds up to where a record may begin (MAXALIGN).
func align(n int) int { return (n + 7) &^ 7 }
