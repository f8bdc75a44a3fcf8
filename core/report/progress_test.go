package report

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/creack/pty"

	"github.com/barman-go/barman/sdk/progress"
)

func TestMessagesSurviveAProgressBar(t *testing.T) {
	screen, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(tty, &pty.Winsize{Rows: 24, Cols: 100}); err != nil {
		t.Fatal(err)
	}
	var shown bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(&shown, screen) // ends with an error when the other side is closed
	}()
	w := New(Options{Stdout: tty, Stderr: tty})
	p := w.Progress("backup main")
	w.Info("before the first byte")
	p.Progress(progress.Progress{BytesDone: 1 << 20, BytesTotal: 4 << 20})
	w.Info("while it is drawn")
	w.Warning("a warning meanwhile")
	p.Progress(progress.Progress{BytesDone: 4 << 20, BytesTotal: 4 << 20})
	p.Done()
	p.Done()
	p.Progress(progress.Progress{BytesDone: 5 << 20})
	w.Info("afterwards")
	if err := tty.Close(); err != nil {
		t.Fatal(err)
	}
	<-read
	_ = screen.Close()

	order := []string{"before the first byte", "while it is drawn", "WARNING: a warning meanwhile", "afterwards"}
	text := shown.String()
	for _, line := range order {
		i := strings.Index(text, line+"\r\n")
		if i < 0 {
			t.Fatalf("%q is missing or out of order in %q", line, shown.String())
		}
		text = text[i:]
	}
	if !strings.Contains(shown.String(), "backup main 1.0 MiB / 4.0 MiB") && !strings.Contains(shown.String(), "backup main 4.0 MiB") {
		t.Errorf("no bar in %q", shown.String())
	}
}

func TestProgressIsQuietWithoutATerminal(t *testing.T) {
	var stdout, stderr bytes.Buffer
	w := New(Options{Stdout: &stdout, Stderr: &stderr})
	p := w.Progress("backup main")
	p.Progress(progress.Progress{BytesDone: 1, BytesTotal: 2})
	p.Done()
	if stdout.Len()+stderr.Len() != 0 {
		t.Errorf("stdout %q, stderr %q", stdout.String(), stderr.String())
	}
}
