package wal

import (
	"fmt"
	"strconv"
	"strings"
)

// LSN is a log sequence number: a byte position in the write-ahead log. Positions compare and subtract as numbers.
type LSN uint64

const (
	// InvalidLSN is PostgreSQL's InvalidXLogRecPtr: no position. No record lies at 0.
	InvalidLSN LSN = 0
	// MaxLSN is the end of the address space; a Span that is still being written ends there.
	MaxLSN LSN = 1<<64 - 1
)

// ParseLSN reads the text form "X/Y" of PostgreSQL's pg_lsn type: two hexadecimal numbers of one to eight digits, in
// upper or lower case, without blanks. Errors are ErrInvalidLSN.
func ParseLSN(s string) (LSN, error) {
	high, low, found := strings.Cut(s, "/")
	if !found || !isHex(high) || !isHex(low) || len(high) > 8 || len(low) > 8 {
		return 0, fmt.Errorf("%w %q: want two hexadecimal numbers such as 16/B374D848", ErrInvalidLSN, s)
	}
	h, errHigh := strconv.ParseUint(high, 16, 32)
	l, errLow := strconv.ParseUint(low, 16, 32)
	if errHigh != nil || errLow != nil {
		return 0, fmt.Errorf("%w %q: want two hexadecimal numbers such as 16/B374D848", ErrInvalidLSN, s)
	}
	return LSN(h<<32 | l), nil
}

// String is the text form as PostgreSQL up to 18 prints it: without leading zeros, in upper case.
func (l LSN) String() string {
	return fmt.Sprintf("%X/%X", uint32(l>>32), uint32(l))
}

// MarshalText makes LSNs readable in JSON.
func (l LSN) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText is ParseLSN.
func (l *LSN) UnmarshalText(text []byte) error {
	parsed, err := ParseLSN(string(text))
	if err != nil {
		return err
	}
	*l = parsed
	return nil
}

// Diff is l−o in bytes, like pg_wal_lsn_diff; negative when l comes before o. Distances of 2^63 and more, which no
// server reaches, wrap around.
func (l LSN) Diff(o LSN) int64 { return int64(l - o) }

// Offset is the position of l inside its segment: what pg_walfile_name_offset calls file_offset, except at the very
// start of a segment (see SegmentEndingAt).
func (l LSN) Offset(size SegmentSize) uint64 { return uint64(l) & (uint64(size) - 1) }

// isHex tells whether s has at least one character and all are hexadecimal digits.
func isHex(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
		default:
			return false
		}
	}
	return s != ""
}
