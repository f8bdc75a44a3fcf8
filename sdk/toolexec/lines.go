package toolexec

import (
	"bytes"
	"sync"
)

const (
	// keepLines is the number of lines of standard error that an ExitError repeats.
	keepLines = 20
	// maxLine is the length at which a line without an end is cut.
	maxLine = 16 << 10
)

// lineKeeper splits what is written into lines, hands each on, and remembers the last ones.
type lineKeeper struct {
	onLine  func(string)
	mu      sync.Mutex
	partial []byte
	lines   []string
}

// Write never fails. Lines end in a line feed or, for the progress of tools that think of a terminal, a carriage return.
func (k *lineKeeper) Write(b []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := len(b)
	for len(b) > 0 {
		i := bytes.IndexAny(b, "\r\n")
		if i < 0 {
			k.partial = append(k.partial, b...)
			if len(k.partial) >= maxLine {
				k.flush()
			}
			break
		}
		k.partial = append(k.partial, b[:i]...)
		k.flush()
		b = b[i+1:]
	}
	return n, nil
}

func (k *lineKeeper) flush() {
	if len(k.partial) == 0 {
		return
	}
	line := string(k.partial[:min(len(k.partial), maxLine)])
	k.partial = k.partial[:0]
	if len(k.lines) == keepLines {
		copy(k.lines, k.lines[1:])
		k.lines = k.lines[:keepLines-1]
	}
	k.lines = append(k.lines, line)
	if k.onLine != nil {
		k.onLine(line)
	}
}

// finish hands on the line that has no end yet.
func (k *lineKeeper) finish() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.flush()
}

// last returns the last lines.
func (k *lineKeeper) last() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.lines...)
}
