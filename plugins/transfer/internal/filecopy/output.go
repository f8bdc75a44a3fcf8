package filecopy

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// lines is an io.Writer that hands on each line, without its end (line feed or carriage return).
type lines struct {
	on      func(line []byte) error
	partial []byte
}

func (l *lines) Write(b []byte) (int, error) {
	n := len(b)
	for {
		i := bytes.IndexAny(b, "\r\n")
		if i < 0 {
			l.partial = append(l.partial, b...)
			return n, nil
		}
		line := b[:i]
		if len(l.partial) > 0 {
			l.partial = append(l.partial, line...)
			line = l.partial
		}
		if len(line) > 0 {
			if err := l.on(line); err != nil {
				return 0, err
			}
		}
		l.partial = l.partial[:0]
		b = b[i+1:]
	}
}

// entry is one line of a listing.
type entry struct {
	// mode is the mode as ls shows it; its first letter is the kind: '-', 'd', 'p', …
	mode string
	size int64
	// mtime is in whole seconds since 1970: a listing has no fractions.
	mtime int64
	name  string
}

// parseEntry reads a line such as "-rw-------          8192 2026/01/07 10:00:00 base/1/1259". The listing ran with TZ=UTC.
func parseEntry(line []byte) (entry, error) {
	rest := string(line)
	var fields [4]string
	for i := range fields {
		var found bool
		fields[i], rest, found = strings.Cut(strings.TrimLeft(rest, " "), " ")
		if !found {
			return entry{}, fmt.Errorf("not a line of a listing: %q", line)
		}
	}
	mode, date, clock := fields[0], fields[2], fields[3]
	size, err := strconv.ParseInt(strings.ReplaceAll(fields[1], ",", ""), 10, 64)
	if err != nil || len(mode) < 10 || rest == "" {
		return entry{}, fmt.Errorf("not a line of a listing: %q", line)
	}
	when, err := time.Parse("2006/01/02 15:04:05", date+" "+clock)
	if err != nil {
		return entry{}, fmt.Errorf("not a line of a listing: %q", line)
	}
	return entry{mode: mode[:10], size: size, mtime: when.Unix(), name: unescape(rest)}, nil
}

// unescape undoes rsync's \#ooo, which stands for one byte that would disturb a terminal.
func unescape(name string) string {
	if !strings.Contains(name, `\#`) {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if strings.HasPrefix(name[i:], `\#`) && i+5 <= len(name) {
			if c, err := strconv.ParseUint(name[i+2:i+5], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 4
				continue
			}
		}
		b.WriteByte(name[i])
	}
	return b.String()
}

// runStats are the figures of one run.
type runStats struct {
	// files and bytes count what the run looked at, regular files only.
	files, bytes             int64
	filesCopied, bytesCopied int64
}

var (
	progressLine = regexp.MustCompile(`^\s*([\d,.]+)\s+\d+%.*`)
	checkedFiles = regexp.MustCompile(`(to-chk|ir-chk)=(\d+)/(\d+)`)
	regularFiles = regexp.MustCompile(`^Number of files: .*\breg: ([\d,.]+)`)
	digits       = strings.NewReplacer(",", "", ".", "")
)

// snapshot is a line of --info=progress2.
type snapshot struct {
	bytes int64
	// done and total count files and directories; total is 0 while rsync is still finding files.
	done, total int64
}

func parseProgress(line []byte) (snapshot, bool) {
	m := progressLine.FindSubmatch(line)
	if m == nil {
		return snapshot{}, false
	}
	s := snapshot{bytes: number(m[1])}
	if c := checkedFiles.FindSubmatch(line); c != nil {
		left, total := number(c[2]), number(c[3])
		s.done = total - left
		if string(c[1]) == "to-chk" {
			s.total = total
		}
	}
	return s, true
}

// parseStats takes what a line of --stats says into st.
func parseStats(line []byte, st *runStats) {
	if m := regularFiles.FindSubmatch(line); m != nil {
		st.files = number(m[1])
		return
	}
	for prefix, to := range map[string]*int64{
		"Number of regular files transferred: ": &st.filesCopied,
		"Total file size: ":                     &st.bytes,
		"Total transferred file size: ":         &st.bytesCopied,
	} {
		if rest, ok := bytes.CutPrefix(line, []byte(prefix)); ok {
			value, _, _ := bytes.Cut(rest, []byte(" "))
			*to = number(value)
		}
	}
}

func number(b []byte) int64 {
	n, _ := strconv.ParseInt(digits.Replace(string(b)), 10, 64)
	return n
}
