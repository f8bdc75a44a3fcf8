package catalog

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/barman-go/barman/core/catalog/pyliteral"
	"github.com/barman-go/barman/core/wal"
)

// WALRecord is one line of the WAL index: an archived file.
type WALRecord struct {
	// Name is the name of the file, one that wal.ParseFileName accepts.
	Name string
	// Size is what the file takes in the archive, after compression and encryption, in bytes.
	Size int64
	// ModTime is the file's modification time in seconds since 1970, the number that Python has for it. It is the
	// moment at which PostgreSQL finished the segment, since archiving keeps it.
	ModTime float64
	// Compression and Encryption are names of formats; empty for none.
	Compression, Encryption string
}

// Seconds is t as Python's os.stat shows it, for WALRecord.ModTime.
func Seconds(t time.Time) float64 {
	// The conversion of the product keeps it from being fused with the sum, which would round differently.
	return float64(t.Unix()) + float64(1e-9*float64(t.Nanosecond()))
}

// Time is ModTime as a time, to the microsecond: a float64 of that size has no more.
func (r WALRecord) Time() time.Time {
	whole, fraction := math.Modf(r.ModTime)
	return time.Unix(int64(whole), int64(math.Round(fraction*1e6))*1000)
}

// AppendTo appends the line to b, as Barman writes it:
//
//	000000010000000000000001 ⇥ 65603 ⇥ 1735725600.5 ⇥ gzip
//	000000010000000000000002 ⇥ 65603 ⇥ 1735725600.5 ⇥ None ⇥ gpg
//
// Barman 3.17 ends the first one with an encryption of None, and reads it without; 3.13, which does not know encryption,
// refuses a fifth field.
func (r WALRecord) AppendTo(b []byte) []byte {
	b = append(b, r.Name...)
	b = append(b, '\t')
	b = strconv.AppendInt(b, r.Size, 10)
	b = append(b, '\t')
	b = append(b, pyliteral.FormatFloat(r.ModTime)...)
	b = append(b, '\t')
	if r.Compression == "" {
		b = append(b, null...)
	}
	b = append(b, r.Compression...)
	if r.Encryption != "" {
		b = append(b, '\t')
		b = append(b, r.Encryption...)
	}
	return append(b, '\n')
}

// Validate tells whether the record can be written so that it reads back.
func (r WALRecord) Validate() error {
	if !wal.IsFileName(r.Name) {
		return fmt.Errorf("%q: %w", r.Name, wal.ErrInvalidName)
	}
	if r.Size < 0 || math.IsNaN(r.ModTime) || math.IsInf(r.ModTime, 0) {
		return fmt.Errorf("WAL file %s: impossible size %d or time %v", r.Name, r.Size, r.ModTime)
	}
	for _, name := range []string{r.Compression, r.Encryption} {
		if name == null || strings.ContainsAny(name, " \t\r\n\f\v") {
			return fmt.Errorf("WAL file %s: %q cannot be the name of a format", r.Name, name)
		}
	}
	return nil
}
