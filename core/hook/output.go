package hook

import (
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// maxDetails bounds what is kept of each output stream for the report of a failure, in bytes. The last lines are kept;
// all of them are in the log one by one anyway.
const maxDetails = 64 << 10

// output logs the lines of a hook and keeps the last ones for the report of a failure.
type output struct {
	log   hclog.Logger
	title string

	mu             sync.Mutex
	stdout, stderr tail
}

// Line logs one line: standard output is of interest when something has to be found out, standard error always.
func (o *output) Line(text string, warning bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if warning {
		o.stderr.add(text)
		o.log.Warn(text, "script", o.title)
		return
	}
	o.stdout.add(text)
	o.log.Debug(text, "script", o.title)
}

// details is standard output followed by standard error.
func (o *output) details() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.stdout.text() + o.stderr.text()
}

// tail is the last lines of a stream.
type tail struct {
	lines []string
	size  int
}

func (t *tail) add(line string) {
	t.lines = append(t.lines, line+"\n")
	t.size += len(line) + 1
	for t.size > maxDetails && len(t.lines) > 1 {
		t.size -= len(t.lines[0])
		t.lines = t.lines[1:]
	}
}

func (t *tail) text() string { return strings.Join(t.lines, "") }
