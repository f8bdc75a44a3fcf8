package catalog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"
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
		if name == null || bytes.ContainsAny([]byte(name), " \t\r\n\f\v") {
			return fmt.Errorf("WAL file %s: %q cannot be the name of a format", r.Name, name)
		}
	}
	return nil
}

var (
	errFieldCount = errors.New("want a name, a size, a time, a compression and an encryption")
	errSize       = errors.New("the size is not a number of bytes")
	errTime       = errors.New("the time is not a number of seconds")
)

// ParseWALRecord reads one line of three to five fields; compression and encryption may be missing in lines of old
// versions.
func ParseWALRecord(line []byte) (WALRecord, error) {
	parsed, err := parseWALLine(line)
	return parsed.WALRecord, err
}

func parseWALLine(line []byte) (WALLine, error) {
	var fields [5][]byte
	n := 0
	for rest := line; ; n++ {
		rest = bytes.TrimLeft(rest, " \t\r\n\f\v")
		if len(rest) == 0 {
			break
		}
		if n == len(fields) {
			return WALLine{}, errFieldCount
		}
		end := bytes.IndexAny(rest, " \t\r\n\f\v")
		if end < 0 {
			end = len(rest)
		}
		fields[n], rest = rest[:end], rest[end:]
	}
	if n < 3 {
		return WALLine{}, errFieldCount
	}
	r := WALRecord{Name: string(fields[0]), Compression: formatName(fields[3]), Encryption: formatName(fields[4])}
	file, err := wal.ParseFileName(r.Name)
	if err != nil {
		return WALLine{}, err
	}
	if r.Size, err = strconv.ParseInt(string(fields[1]), 10, 64); err != nil || r.Size < 0 {
		return WALLine{}, errSize
	}
	r.ModTime, err = strconv.ParseFloat(string(fields[2]), 64)
	if err != nil || math.IsNaN(r.ModTime) || math.IsInf(r.ModTime, 0) {
		return WALLine{}, errTime
	}
	return WALLine{WALRecord: r, File: file, Raw: line}, nil
}

// formatName returns the common names without allocating.
func formatName(field []byte) string {
	switch string(field) {
	case "", null:
		return ""
	case "gzip":
		return "gzip"
	case "zstd":
		return "zstd"
	case "lz4":
		return "lz4"
	}
	return string(field)
}

// WALLineError is a line of the WAL index that cannot be understood.
type WALLineError struct {
	// Path is the index.
	Path string
	// Line counts from 1.
	Line int
	// Text is the line, cut when it is long.
	Text string
	Err  error
}

func (e *WALLineError) Error() string {
	return fmt.Sprintf("%s, line %d: %v: %q; rebuild-xlogdb writes the file anew", e.Path, e.Line, e.Err, e.Text)
}

func (e *WALLineError) Unwrap() error { return e.Err }

// ReadWALRecords yields the records of an index in the order of the file, together with the line that each was read
// from (with its line break, if it has one; valid until the next step). A line that cannot be understood yields a
// *WALLineError and goes on; an error of r ends the sequence. Blank lines are skipped. path is only for messages.
func ReadWALRecords(r io.Reader, path string) iter.Seq2[WALLine, error] {
	return func(yield func(WALLine, error) bool) {
		in := bufio.NewReaderSize(r, 256<<10)
		for number := 1; ; number++ {
			text, err := in.ReadSlice('\n')
			if errors.Is(err, bufio.ErrBufferFull) {
				text, err = skipLine(in, text)
			}
			if err != nil && !errors.Is(err, io.EOF) {
				yield(WALLine{}, err)
				return
			}
			if len(bytes.TrimSpace(text)) > 0 {
				line, parseErr := parseWALLine(text)
				if parseErr != nil {
					parseErr = &WALLineError{Path: path, Line: number, Text: clip(text), Err: parseErr}
				}
				if !yield(line, parseErr) {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
}

// WALLine is a record with its name taken apart and the bytes that it was read from.
type WALLine struct {
	WALRecord
	File wal.FileName
	Raw  []byte
}

// skipLine goes to the end of a line that is far too long to be one, and returns its beginning.
func skipLine(in *bufio.Reader, text []byte) ([]byte, error) {
	beginning := bytes.Clone(text[:256])
	for {
		_, err := in.ReadSlice('\n')
		if !errors.Is(err, bufio.ErrBufferFull) {
			return beginning, err
		}
	}
}

func clip(text []byte) string { return string(bytes.TrimSpace(text[:min(len(text), 120)])) }
