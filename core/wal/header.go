package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
)

// PageHeaderSize is how much of the start of a segment DecodePageHeader needs.
const PageHeaderSize = 40

// Flags of PageHeader.Info (src/include/access/xlog_internal.h).
const (
	// InfoContinued is XLP_FIRST_IS_CONTRECORD: the page begins with the rest of a record of the page before.
	InfoContinued uint16 = 0x0001
	// InfoLongHeader is XLP_LONG_HEADER: the first page of a segment, which also carries the cluster's identity.
	InfoLongHeader uint16 = 0x0002
	infoKnown      uint16 = 0x000F
)

// magics is XLOG_PAGE_MAGIC of every supported major version. It changes whenever the WAL format does, never within
// one major version.
var magics = []struct {
	major int
	magic uint16
}{
	{10, 0xD097},
	{11, 0xD098},
	{12, 0xD101},
	{13, 0xD106},
	{14, 0xD10D},
	{15, 0xD110},
	{16, 0xD113},
	{17, 0xD116},
	{18, 0xD118},
}

// PageMagic is the page magic of a major version of PostgreSQL, such as 15; ok is false for versions this program
// does not know.
func PageMagic(major int) (magic uint16, ok bool) {
	for _, m := range magics {
		if m.major == major {
			return m.magic, true
		}
	}
	return 0, false
}

// SystemID identifies a cluster: initdb chooses it and every page header of the WAL's first pages repeats it.
type SystemID uint64

// ParseSystemID reads the decimal form. pg_control_system returns a signed bigint, so a negative number stands for
// the unsigned one of the same bits. Errors are ErrInvalidSystemID.
func ParseSystemID(s string) (SystemID, error) {
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return SystemID(n), nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w %q: want a decimal number", ErrInvalidSystemID, s)
	}
	return SystemID(n), nil
}

// String is the decimal form, as pg_controldata prints it.
func (id SystemID) String() string { return strconv.FormatUint(uint64(id), 10) }

// PageHeader is the long header at the start of every segment (XLogLongPageHeaderData).
type PageHeader struct {
	Magic uint16
	Info  uint16
	// Timeline is that of the first record on the page. In a segment in which a timeline begins it is an ancestor's.
	Timeline TimelineID
	// Address is the LSN of the page; for the first page it is the segment's StartLSN.
	Address LSN
	// Remaining is how many bytes of a record that began earlier follow.
	Remaining   uint32
	SystemID    SystemID
	SegmentSize SegmentSize
	// BlockSize is XLOG_BLCKSZ in bytes, 8192 unless PostgreSQL was built otherwise.
	BlockSize uint32
	// BigEndian tells that the server's CPU is; all numbers here are already converted.
	BigEndian bool
}

// ErrNotWAL means that a file does not begin with the long page header of a WAL segment.
var ErrNotWAL = errors.New("not a WAL segment")

// DecodePageHeader reads the header from the first PageHeaderSize bytes of a segment, written by a CPU of either byte
// order. It accepts page magics of PostgreSQL versions to come, but wants everything else to be plausible; otherwise
// the error is ErrNotWAL with what was found.
func DecodePageHeader(page []byte) (PageHeader, error) {
	if len(page) < PageHeaderSize {
		return PageHeader{}, fmt.Errorf("%w: only %d bytes long", ErrNotWAL, len(page))
	}
	if allZero(page[:PageHeaderSize]) {
		return PageHeader{}, fmt.Errorf("%w: it begins with zeros", ErrNotWAL)
	}
	var order binary.ByteOrder = binary.LittleEndian
	if !plausibleMagic(order.Uint16(page)) {
		order = binary.BigEndian
	}
	if magic := order.Uint16(page); !plausibleMagic(magic) {
		return PageHeader{}, fmt.Errorf("%w: it begins with bytes %02x %02x, which is not the page magic of any version",
			ErrNotWAL, page[0], page[1])
	}
	// The identity follows the short header, which is padded to the platform's alignment: 24 bytes, or 20 on 32-bit
	// x86.
	for _, long := range []int{24, 20} {
		h := decodeAt(page, order, long)
		if h.plausible() {
			return h, nil
		}
	}
	return PageHeader{}, fmt.Errorf("%w: the header of its first page is damaged", ErrNotWAL)
}

func decodeAt(page []byte, order binary.ByteOrder, long int) PageHeader {
	return PageHeader{
		Magic:       order.Uint16(page),
		Info:        order.Uint16(page[2:]),
		Timeline:    TimelineID(order.Uint32(page[4:])),
		Address:     LSN(order.Uint64(page[8:])),
		Remaining:   order.Uint32(page[16:]),
		SystemID:    SystemID(order.Uint64(page[long:])),
		SegmentSize: SegmentSize(order.Uint32(page[long+8:])),
		BlockSize:   order.Uint32(page[long+12:]),
		BigEndian:   order == binary.BigEndian,
	}
}

// MajorVersion is the version of PostgreSQL that wrote the page; 0 when the magic is not in the table.
func (h PageHeader) MajorVersion() int {
	for _, m := range magics {
		if m.magic == h.Magic {
			return m.major
		}
	}
	return 0
}

// plausible tells whether the fields beside the magic can be those of a long header.
func (h PageHeader) plausible() bool {
	return h.Info&InfoLongHeader != 0 && h.Info&^infoKnown == 0 &&
		h.SegmentSize.Validate() == nil && plausibleBlock(h.BlockSize)
}

// plausibleMagic accepts every magic since PostgreSQL 7.1, and those that the next versions will probably use.
func plausibleMagic(magic uint16) bool { return magic >= 0xD058 && magic < 0xD200 }

// plausibleBlock accepts what configure --with-wal-blocksize does: powers of two from 1 to 64 kB.
func plausibleBlock(size uint32) bool {
	return size >= 1<<10 && size <= 1<<16 && bits.OnesCount32(size) == 1
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
