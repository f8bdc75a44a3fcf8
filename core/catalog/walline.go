package catalog

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"

	"github.com/barman-go/barman/core/wal"
)

// WALLine is a record with its name taken apart and the text that it was read from.
type WALLine struct {
	WALRecord
	File wal.FileName
	// Raw is the whole line, with its line break if it has one.
	Raw string
	// offset is where it begins in the text.
	offset int
}

// WALLines are the lines of an index as they were at one moment.
type WALLines struct {
	text []byte
	// path, and how many lines come before the text, are only for messages.
	path   string
	before int
}

// ReadWALLines are the lines of a text, which must not change.
func ReadWALLines(text []byte, path string) WALLines { return WALLines{text: text, path: path} }

// All yields the lines in the order of the file: each is a line, which is valid until the next step, or an error that says
// why it cannot be understood. Blank lines are left out. All strings are parts of one text, which stays in memory as long
// as any of them.
func (l WALLines) All() iter.Seq2[*WALLine, *WALLineError] {
	return func(yield func(*WALLine, *WALLineError) bool) {
		var line WALLine
		for number, rest := l.before+1, string(l.text); rest != ""; number++ {
			raw := rest
			if end := strings.IndexByte(rest, '\n'); end >= 0 {
				raw = rest[:end+1]
			}
			offset := len(l.text) - len(rest)
			rest = rest[len(raw):]
			err := line.parse(raw)
			line.offset = offset
			switch {
			case err == nil:
				if !yield(&line, nil) {
					return
				}
			case strings.TrimSpace(raw) == "":
			case !yield(nil, l.badLine(number, raw, err)):
				return
			}
		}
	}
}

func (l WALLines) badLine(number int, raw string, err error) *WALLineError {
	return &WALLineError{Path: l.path, Line: number, Text: clip(raw), Err: err}
}

// WALLineError is a line of the WAL index that cannot be understood.
type WALLineError struct {
	// Path is the index.
	Path string
	// Line counts from 1; 0 when it is not known.
	Line int
	// Text is the line, cut when it is long.
	Text string
	Err  error
}

func (e *WALLineError) Error() string {
	return fmt.Sprintf("%s, line %d: %v: %q; rebuild-xlogdb writes the file anew", e.Path, e.Line, e.Err, e.Text)
}

func (e *WALLineError) Unwrap() error { return e.Err }

func clip(text string) string { return strings.TrimSpace(text[:min(len(text), 120)]) }

var (
	errFieldCount = errors.New("want a name, a size, a time, a compression and an encryption")
	errSize       = errors.New("the size is not a number of bytes")
	errTime       = errors.New("the time is not a number of seconds")
)

// ParseWALRecord reads one line of three to five fields; compression and encryption may be missing in lines of old
// versions.
func ParseWALRecord(line string) (WALRecord, error) {
	var parsed WALLine
	err := parsed.parse(line)
	return parsed.WALRecord, err
}

// parse allocates nothing but errors.
func (l *WALLine) parse(line string) (err error) {
	var fields [5]string
	n := 0
	for rest := line; ; n++ {
		var field string
		if field, rest = cutField(rest); field == "" {
			break
		}
		if n == len(fields) {
			return errFieldCount
		}
		fields[n] = field
	}
	if n < 3 {
		return errFieldCount
	}
	*l = WALLine{Raw: line}
	l.Name, l.Compression, l.Encryption = fields[0], formatName(fields[3]), formatName(fields[4])
	if l.File, err = wal.ParseFileName(l.Name); err != nil {
		return err
	}
	if l.Size, err = strconv.ParseInt(fields[1], 10, 64); err != nil || l.Size < 0 {
		return errSize
	}
	l.ModTime, err = strconv.ParseFloat(fields[2], 64)
	if err != nil || math.IsNaN(l.ModTime) || math.IsInf(l.ModTime, 0) {
		return errTime
	}
	return nil
}

// cutField returns the first word of a line, empty at its end, and what follows.
func cutField(line string) (field, rest string) {
	begin := 0
	for begin < len(line) && isBlank(line[begin]) {
		begin++
	}
	end := begin
	for end < len(line) && !isBlank(line[end]) {
		end++
	}
	return line[begin:end], line[end:]
}

func isBlank(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

func formatName(field string) string {
	if field == null {
		return ""
	}
	return field
}
