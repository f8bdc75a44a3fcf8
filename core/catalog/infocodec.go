package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/barman-go/barman/core/wal"
)

// InfoError means that the content of a backup.info file cannot be understood.
type InfoError struct {
	// ID is the backup whose file it is.
	ID string
	// Line counts from 1; 0 when the fault is not in one line.
	Line int
	// Key is the key of the line, if it has one.
	Key string
	Err error
}

func (e *InfoError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "backup.info of backup %s", e.ID)
	if e.Line > 0 {
		fmt.Fprintf(&b, ", line %d", e.Line)
	}
	if e.Key != "" {
		fmt.Fprintf(&b, " (%s)", e.Key)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	return b.String()
}

func (e *InfoError) Unwrap() error { return e.Err }

// infoLine is one line of a file.
type infoLine struct {
	number int
	// raw is the line with its line break.
	raw string
	// key is "" for a comment or a blank line.
	key, value string
}

// infoSource is the file that a BackupInfo was read from.
type infoSource struct {
	data  string
	local *time.Location
}

// errNoEquals is a line that Barman refuses too.
var errNoEquals = errors.New("the line is neither key=value nor a comment")

// infoLines calls f with each line of data until f returns an error.
func infoLines(data string, f func(infoLine) error) error {
	for number := 1; len(data) > 0; number++ {
		raw := data
		if i := strings.IndexByte(data, '\n'); i >= 0 {
			raw = data[:i+1]
		}
		data = data[len(raw):]
		line := infoLine{number: number, raw: raw}
		text := strings.TrimSpace(raw)
		if text != "" && raw[0] != '#' {
			key, value, found := strings.Cut(text, "=")
			if !found {
				return &InfoError{Line: number, Err: errNoEquals}
			}
			line.key = strings.TrimSpace(key)
			line.value = strings.TrimSpace(value)
		}
		if err := f(line); err != nil {
			return err
		}
	}
	return nil
}

// DecodeInfo reads the content of a backup.info file. Keys that are missing have the value that Barman gives them:
// null, EMPTY for the status, 16 MiB for the segment size. Unknown keys, which newer versions write, are kept for
// EncodeInfo. Dates without an offset belong to the zone local.
//
// The error is an *InfoError. A file without a status is refused: a power loss can leave one that is cut off or
// empty, and what it says must not pass for a backup.
func DecodeInfo(id string, data []byte, local *time.Location) (*BackupInfo, error) {
	b := &BackupInfo{ID: id}
	text := string(data) // once, so that keys and values need no copies
	sawStatus := false
	err := infoLines(text, func(line infoLine) error {
		field := infoFieldByKey[line.key]
		if field == nil || line.value == null {
			return nil
		}
		if line.value == "" && field.key != "status" {
			return nil
		}
		sawStatus = sawStatus || field.key == "status"
		if err := field.parse(b, line.value, local); err != nil {
			return &InfoError{Line: line.number, Key: line.key, Err: err}
		}
		return nil
	})
	if err == nil && !sawStatus {
		err = &InfoError{Err: errors.New("it has no status; the file is empty or cut off")}
	}
	if err != nil {
		var info *InfoError
		if errors.As(err, &info) {
			info.ID = id
		}
		return nil, err
	}
	if b.SegmentSize == 0 {
		b.SegmentSize = wal.DefaultSegmentSize
	}
	b.source = &infoSource{data: text, local: local}
	return b, nil
}

// EncodeInfo returns the content of the backup.info file.
//
// For a new backup these are all keys in Barman's order. For one that was read, every line whose value did not change
// stays as it was, byte for byte, as do unknown keys and comments; a value that a file did not mention is inserted in
// order once it is not null. So a file that was read and not changed is written back identically.
//
// The error names a field whose value the format cannot hold, such as a text of several lines.
func EncodeInfo(b *BackupInfo) ([]byte, error) {
	text := make(map[string]string, len(infoFields))
	problems := make(map[string]*InfoError)
	for i := range infoFields {
		key := infoFields[i].key
		s, err := infoFields[i].format(b)
		if err != nil {
			problems[key] = &InfoError{ID: b.ID, Key: key, Err: err}
		}
		text[key] = s
	}
	if b.source != nil {
		return encodeChanged(b, text, problems)
	}
	for i := range infoFields {
		if err := problems[infoFields[i].key]; err != nil {
			return nil, err
		}
	}
	return encodeNew(text), nil
}

// encodeChanged rewrites the file that b was read from.
func encodeChanged(b *BackupInfo, text map[string]string, problems map[string]*InfoError) ([]byte, error) {
	original, err := DecodeInfo(b.ID, []byte(b.source.data), b.source.local)
	if err != nil {
		return nil, err
	}
	last := make(map[string]int) // the last line of each key, which is the one that counts
	err = infoLines(b.source.data, func(line infoLine) error {
		last[line.key] = line.number
		return nil
	})
	if err != nil {
		return nil, err
	}
	changed := make(map[string]bool)
	var missing []*infoField // to be inserted, in order
	for i := range infoFields {
		f := &infoFields[i]
		// A key did not change when what was read would be written in the same way.
		before, err := f.format(original)
		changed[f.key] = before != text[f.key]
		if problem := problems[f.key]; problem != nil {
			// A value that this program would never write may stay, if it is the one that was read.
			if err == nil || problem.Err.Error() != err.Error() {
				return nil, problem
			}
			changed[f.key] = false
		}
		if changed[f.key] && last[f.key] == 0 {
			missing = append(missing, f)
		}
	}
	var out bytes.Buffer
	insert := func(n int) {
		for _, f := range missing[:n] {
			writeField(&out, f, text[f.key])
		}
		missing = missing[n:]
	}
	err = infoLines(b.source.data, func(line infoLine) error {
		if line.key != "" {
			n := 0
			for n < len(missing) && missing[n].key < line.key {
				n++
			}
			insert(n)
		}
		switch {
		case !changed[line.key]:
			out.WriteString(line.raw)
		case line.number == last[line.key]:
			writeField(&out, infoFieldByKey[line.key], text[line.key])
		}
		return nil
	})
	if len(missing) > 0 && !bytes.HasSuffix(out.Bytes(), []byte("\n")) {
		out.WriteByte('\n')
	}
	insert(len(missing))
	return out.Bytes(), err
}

func encodeNew(text map[string]string) []byte {
	var out bytes.Buffer
	for i := range infoFields {
		writeField(&out, &infoFields[i], text[infoFields[i].key])
	}
	return out.Bytes()
}

func writeField(out *bytes.Buffer, f *infoField, text string) {
	if f.hidden && text == null {
		return
	}
	fmt.Fprintf(out, "%s=%s\n", f.key, text)
}
