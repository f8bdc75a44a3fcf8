package report

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/core/redact"
)

// Messenger takes the messages of long work. It is what the packages of core ask for; *Writer is one.
type Messenger interface {
	Info(format string, args ...any)
	Warning(format string, args ...any)
	Error(format string, args ...any)
}

// Result is the outcome of a command.
type Result interface {
	// Console writes the layout for people and scripts.
	Console(p *Printer)
	// JSON returns the members that the result adds to the document, such as {"main": {…}}.
	JSON() map[string]any
}

// Exit codes of barman.
const (
	ExitOK    = 0
	ExitError = 1
	// ExitUsage is for wrong arguments, and for a critical state with --nagios.
	ExitUsage = 2
)

// Options of a Writer.
type Options struct {
	// JSON selects the JSON writer.
	JSON   bool
	Stdout io.Writer
	Stderr io.Writer
	// Color colours warnings, errors, OK and FAILED.
	Color bool
	// Quiet drops information (and, in JSON, the document).
	Quiet bool
	// Debug also prints debug messages.
	Debug bool
	// Log receives every message as well.
	Log hclog.Logger
}

// Writer writes messages and results, and remembers whether an error was among them.
type Writer struct {
	*shared
	// label stands before every line of a message.
	label string
}

// shared is what a Writer and the labelled ones made of it have in common.
type shared struct {
	o        Options
	mu       sync.Mutex
	messages map[string][]string
	doc      map[string]any
	exit     int
	failed   bool
	// lost is why something could not be written to standard output.
	lost error
	// above takes what goes to a terminal while a progress bar is drawn there; nil when there is none.
	above io.Writer
	screen
}

// New makes a Writer. A nil Log discards.
func New(o Options) *Writer {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	return &Writer{shared: &shared{o: o, messages: map[string][]string{}, doc: map[string]any{}}}
}

// Labelled returns a Writer for one of several subjects that are worked on at the same time: the lines of its messages begin
// with the label. All else is shared.
func (w *Writer) Labelled(label string) *Writer {
	return &Writer{shared: w.shared, label: label + ": "}
}

// text formats a message.
func (w *Writer) text(format string, args []any) string {
	text := fmt.Sprintf(format, args...)
	if w.label == "" {
		return text
	}
	return w.label + strings.ReplaceAll(text, "\n", "\n"+w.label)
}

// Debug reports a detail that only --debug shows.
func (w *Writer) Debug(format string, args ...any) {
	text := w.text(format, args)
	w.o.Log.Debug(text)
	if w.o.Debug {
		w.message("_DEBUG", "DEBUG: ", text, colorNone)
	}
}

// Info reports progress of the work.
func (w *Writer) Info(format string, args ...any) {
	text := w.text(format, args)
	w.o.Log.Info(redact.Text(text))
	w.info(text)
}

// Print is Info without the log, for output that is data, such as a list of files.
func (w *Writer) Print(format string, args ...any) {
	w.info(fmt.Sprintf(format, args...))
}

func (w *Writer) info(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.o.JSON {
		w.messages["_INFO"] = append(w.messages["_INFO"], text)
		return
	}
	if !w.o.Quiet {
		fmt.Fprintln(w.results(), redact.Text(text))
	}
}

// Warning reports something that should be looked at.
func (w *Writer) Warning(format string, args ...any) {
	text := w.text(format, args)
	w.o.Log.Warn(redact.Text(text))
	w.message("_WARNING", "WARNING: ", text, colorYellow)
}

// Error reports a failure; the exit code becomes 1.
func (w *Writer) Error(format string, args ...any) {
	text := w.text(format, args)
	w.o.Log.Error(redact.Text(text))
	w.fail()
	w.message("_ERROR", "ERROR: ", text, colorRed)
}

// Exception reports an error that no one expected; the exit code becomes 1.
func (w *Writer) Exception(err error) {
	w.o.Log.Error(redact.Text(err.Error()))
	w.fail()
	w.message("_EXCEPTION", "EXCEPTION: ", err.Error()+"\nSee log file for more details.", colorRed)
}

func (w *Writer) fail() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = true
}

func (w *Writer) message(key, prefix, text, color string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.o.JSON {
		w.messages[key] = append(w.messages[key], text)
		return
	}
	line := prefix + redact.Text(text)
	if w.o.Color && color != colorNone {
		line = color + line + colorReset
	}
	fmt.Fprintln(w.console(w.o.Stderr), line)
}

// Result writes the outcome of a command: at once on the console, at the end in JSON.
func (w *Writer) Result(r Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.o.JSON {
		for k, v := range r.JSON() {
			w.doc[k] = v
		}
		return
	}
	if w.o.Quiet {
		return
	}
	r.Console(&Printer{w: w.results(), color: w.o.Color})
}

// console is where console output for a stream goes: the stream, or above the progress bar if that is drawn on the same
// screen.
func (w *Writer) console(stream io.Writer) io.Writer {
	if w.above != nil && isTerminal(stream) {
		return w.above
	}
	return stream
}

// results is standard output. That something could not be written is remembered until the end: work is not given up for it, but a script
// must not take half a list for the whole.
func (w *Writer) results() io.Writer { return remembering{w.console(w.o.Stdout), &w.lost} }

// remembering keeps the first error of a writer.
type remembering struct {
	io.Writer
	err *error
}

func (r remembering) Write(p []byte) (int, error) {
	n, err := r.Writer.Write(p)
	if err != nil && *r.err == nil {
		*r.err = err
	}
	return n, err
}

// SetExit sets the exit code to something other than 0 or 1; it stays in force.
func (w *Writer) SetExit(code int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.exit = code
}

// Failed tells whether an error was reported.
func (w *Writer) Failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

// JSON tells whether this is the JSON writer.
func (w *Writer) JSON() bool { return w.o.JSON }

// Close writes the JSON document and returns the exit code. The error is that of standard output, if not all could be written there.
func (w *Writer) Close() (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	code := w.exit
	if code == ExitOK && w.failed {
		code = ExitError
	}
	if !w.o.JSON || w.o.Quiet {
		return code, w.lost
	}
	for k, v := range w.messages {
		w.doc[k] = v
	}
	return code, EncodeJSON(w.o.Stdout, w.doc, 0)
}

// Printer writes the console layout of a result.
type Printer struct {
	w     io.Writer
	color bool
}

// Line writes one line. Passwords in connection strings are replaced.
func (p *Printer) Line(format string, args ...any) {
	fmt.Fprintln(p.w, redact.Text(fmt.Sprintf(format, args...)))
}

// Raw writes a text and a line break. The caller has seen to its passwords.
func (p *Printer) Raw(text string) { fmt.Fprintln(p.w, text) }

// State returns "OK" or "FAILED", in colour where that is on.
func (p *Printer) State(ok bool) string {
	text, color := "OK", colorGreen
	if !ok {
		text, color = "FAILED", colorRed
	}
	if !p.color {
		return text
	}
	return color + text + colorReset
}

const (
	colorNone   = ""
	colorRed    = "\x1b[31m"
	colorGreen  = "\x1b[32m"
	colorYellow = "\x1b[33m"
	colorReset  = "\x1b[0m"
)
