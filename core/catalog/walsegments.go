package catalog

import (
	"bytes"
	"strings"

	"github.com/barman-go/barman/core/wal"
)

// listedSegment is what can be read quickly of the line of a complete segment.
type listedSegment struct {
	wal.Segment
	size int64
	// time is the text of the modification time, a part of the index.
	time []byte
}

// segments calls f for the lines of complete segments, and bad for those that cannot be understood. It takes a third of the
// time of All: archives have millions of lines, and people wait for their sums. number is that of the first line, next that
// of the line after the last.
func (l WALLines) segments(number int, f func(listedSegment), bad func(*WALLineError)) (next int) {
	return l.each(number, f, func(*WALLine) {}, bad)
}

// each is segments with a function for the lines of other files; the line is valid until it returns.
func (l WALLines) each(number int, f func(listedSegment), other func(*WALLine), bad func(*WALLineError)) (next int) {
	for rest := l.text; len(rest) > 0; number++ {
		raw := rest
		if end := bytes.IndexByte(rest, '\n'); end >= 0 {
			raw = rest[:end+1]
		}
		rest = rest[len(raw):]
		if s, ok := cutSegmentLine(raw); ok {
			f(s)
			continue
		}
		var line WALLine
		text := string(raw)
		if err := line.parse(text); err == nil {
			if segment, _ := line.File.Segment(); line.File.IsWAL() {
				f(listedSegment{segment, line.Size, []byte(strings.Fields(text)[2])})
			} else {
				other(&line)
			}
		} else if strings.TrimSpace(text) != "" {
			bad(l.badLine(number, text, err))
		}
	}
	return number
}

// cutSegmentLine reads the line of a complete segment in the form in which programs write it; everything else, sound or
// not, is left to WALLine.parse.
//
//	000000010000000000000001 ⇥ 65603 ⇥ 1735725600.5 ⇥ gzip [⇥ None] ↵
func cutSegmentLine(raw []byte) (s listedSegment, ok bool) {
	const name = 24
	if s.Segment, ok = wal.CutSegment(raw); !ok || len(raw) == name || raw[name] != '\t' {
		return s, false
	}
	i := name + 1
	for begin := i; ; i++ {
		switch {
		case i == len(raw), i-begin > 15:
			return s, false
		case raw[i] == '\t' && i > begin:
		case raw[i] < '0' || raw[i] > '9':
			return s, false
		default:
			s.size = s.size*10 + int64(raw[i]-'0')
			continue
		}
		break
	}
	i++
	dots := 0
	for begin := i; ; i++ {
		switch {
		case i == len(raw):
			return s, false
		case raw[i] == '\t' && i > begin+dots:
			s.time = raw[begin:i]
		case raw[i] == '.':
			if dots++; dots > 1 {
				return s, false
			}
			continue
		case raw[i] < '0' || raw[i] > '9':
			return s, false
		default:
			continue
		}
		break
	}
	// One or two words remain.
	words := 1
	for _, c := range raw[i+1:] {
		switch {
		case c == '\t':
			words++
		case c == '\n':
			return s, words <= 2
		case isBlank(c):
			return s, false
		}
	}
	return s, false
}
