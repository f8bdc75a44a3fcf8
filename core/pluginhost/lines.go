package pluginhost

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"sort"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
)

const (
	// maxLine is the length after which a line of a plugin's output is cut, in bytes.
	maxLine = 64 << 10
	// tailLines is the number of lines kept for the report of a crash.
	tailLines = 10
	// panicLines bounds the text of a panic.
	panicLines = 5
)

// eachLine calls fn for every line until the end, cutting long ones. It always drains r, so that a plugin that prints
// without end is not blocked by a full pipe.
func eachLine(r io.Reader, fn func(string)) {
	br := bufio.NewReaderSize(r, maxLine)
	cut := false
	for {
		part, err := br.ReadSlice('\n')
		text := strings.TrimRight(string(part), "\r\n")
		if !cut && text != "" {
			fn(text)
		}
		cut = errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !cut {
			return
		}
	}
}

// pluginLog takes the lines of a plugin's standard error: it passes them to the host's log and remembers the last ones.
type pluginLog struct {
	log hclog.Logger

	mu    sync.Mutex
	tail  []string
	panic []string
	// dying is set from the start of a Go panic on: everything after it is its stack.
	dying, stack bool
}

func (l *pluginLog) line(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var entry map[string]any
	if strings.HasPrefix(text, "{") && json.Unmarshal([]byte(text), &entry) == nil {
		if message, ok := entry["@message"].(string); ok {
			l.keep(message)
			l.emit(message, entry)
			return
		}
	}
	if !l.dying && (strings.HasPrefix(text, "panic: ") || strings.HasPrefix(text, "fatal error: ")) {
		l.dying = true
	}
	if !l.dying {
		l.keep(text)
		l.log.Info(text)
		return
	}
	l.log.Error(text)
	if strings.HasPrefix(text, "goroutine ") || strings.HasPrefix(text, "[signal ") {
		l.stack = true
	}
	if !l.stack && len(l.panic) < panicLines {
		l.panic = append(l.panic, text)
	}
}

func (l *pluginLog) keep(text string) {
	l.tail = append(l.tail, text)
	if len(l.tail) > tailLines {
		l.tail = l.tail[1:]
	}
}

// emit logs an entry that the plugin's hclog wrote.
func (l *pluginLog) emit(message string, entry map[string]any) {
	names := make([]string, 0, len(entry))
	for name := range entry {
		if !strings.HasPrefix(name, "@") {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	var args []any
	for _, name := range names {
		args = append(args, name, entry[name])
	}
	level, _ := entry["@level"].(string)
	at := hclog.LevelFromString(level)
	if at == hclog.NoLevel {
		at = hclog.Info
	}
	l.log.Log(at, message, args...)
}

// last returns the text of a panic, and the last lines before it.
func (l *pluginLog) last() (panicText string, tail []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	panicText = strings.Join(l.panic, "; ")
	for _, prefix := range []string{"panic: ", "fatal error: "} {
		panicText = strings.TrimPrefix(panicText, prefix)
	}
	return panicText, append([]string(nil), l.tail...)
}
