package report

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type greeting string

func (g greeting) Console(p *Printer)   { p.Line("hello %s", string(g)) }
func (g greeting) JSON() map[string]any { return map[string]any{"hello": string(g)} }

func TestWriter(t *testing.T) {
	type outcome struct {
		Stdout, Stderr string
		Exit           int
	}
	for name, tc := range map[string]struct {
		options Options
		work    func(*Writer)
		want    outcome
	}{
		"console": {
			work: func(w *Writer) {
				w.Info("starting %d", 1)
				w.Debug("hidden")
				w.Warning("careful")
				w.Result(greeting("world"))
			},
			want: outcome{Stdout: "starting 1\nhello world\n", Stderr: "WARNING: careful\n"},
		},
		"an error makes the exit code 1 and work goes on": {
			work: func(w *Writer) { w.Error("broken"); w.Info("next") },
			want: outcome{Stdout: "next\n", Stderr: "ERROR: broken\n", Exit: 1},
		},
		"an exit code that was set stays": {
			work: func(w *Writer) { w.SetExit(3); w.Error("bad name") },
			want: outcome{Stderr: "ERROR: bad name\n", Exit: 3},
		},
		"exception": {
			work: func(w *Writer) { w.Exception(errors.New("boom")) },
			want: outcome{Stderr: "EXCEPTION: boom\nSee log file for more details.\n", Exit: 1},
		},
		"quiet keeps warnings": {
			options: Options{Quiet: true},
			work:    func(w *Writer) { w.Info("x"); w.Warning("y"); w.Result(greeting("z")) },
			want:    outcome{Stderr: "WARNING: y\n"},
		},
		"debug": {
			options: Options{Debug: true},
			work:    func(w *Writer) { w.Debug("detail") },
			want:    outcome{Stderr: "DEBUG: detail\n"},
		},
		"json collects": {
			options: Options{JSON: true},
			work:    func(w *Writer) { w.Info("a"); w.Print("b"); w.Error("c"); w.Result(greeting("d")) },
			want:    outcome{Stdout: `{"_ERROR": ["c"], "_INFO": ["a", "b"], "hello": "d"}`, Exit: 1},
		},
		"color": {
			options: Options{Color: true},
			work:    func(w *Writer) { w.Error("red") },
			want:    outcome{Stderr: "\x1b[31mERROR: red\x1b[0m\n", Exit: 1},
		},
		"passwords": {
			work: func(w *Writer) {
				w.Info("conninfo: host=x password=secret user=y")
				w.Info("conninfo: password='it''s' host=x")
				w.Info("uri: postgresql://u:secret@h/db")
			},
			want: outcome{Stdout: "conninfo: host=x password=*REDACTED* user=y\nconninfo: password=*REDACTED* host=x\nuri: postgresql://u:*REDACTED*@h/db\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			o := tc.options
			o.Stdout, o.Stderr = &stdout, &stderr
			w := New(o)
			tc.work(w)
			exit, err := w.Close()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, outcome{stdout.String(), stderr.String(), exit}); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestLabelledMessagesTellWhatTheyAreAbout(t *testing.T) {
	var stdout, stderr bytes.Buffer
	w := New(Options{Stdout: &stdout, Stderr: &stderr})
	twin := w.Labelled("twin")
	w.Info("two servers")
	twin.Info("Backup start")
	twin.Error("Backup failed.\nDETAILS: %s", "no space")
	if got, want := stdout.String(), "two servers\ntwin: Backup start\n"; got != want {
		t.Errorf("stdout %q, want %q", got, want)
	}
	if got, want := stderr.String(), "ERROR: twin: Backup failed.\ntwin: DETAILS: no space\n"; got != want {
		t.Errorf("stderr %q, want %q", got, want)
	}
	if code, _ := w.Close(); code != ExitError {
		t.Errorf("exit code %d: the failure of one is a failure of all", code)
	}
}

// fullDisk takes a number of writes.
type fullDisk struct{ left int }

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.left == 0 {
		return 0, errDiskFull
	}
	d.left--
	return len(p), nil
}

var errDiskFull = errors.New("no space left on device")

// TestLostOutputIsAnError: half a list is not taken for the whole, whichever part is missing.
func TestLostOutputIsAnError(t *testing.T) {
	for name, say := range map[string]func(*Writer){
		"message": func(w *Writer) { w.Info("one"); w.Info("two") },
		"result":  func(w *Writer) { w.Result(twoLines{}) },
	} {
		for room, want := range []error{errDiskFull, errDiskFull, nil} {
			w := New(Options{Stdout: &fullDisk{room}, Stderr: io.Discard})
			say(w)
			if _, err := w.Close(); !errors.Is(err, want) {
				t.Errorf("%s, room for %d lines: %v, want %v", name, room, err, want)
			}
		}
	}
}

type twoLines struct{}

func (twoLines) Console(p *Printer)   { p.Line("one"); p.Line("two") }
func (twoLines) JSON() map[string]any { return nil }
