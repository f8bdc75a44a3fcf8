package report

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

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
	p.Progress(progress.Progress{BytesDone: 1 << 20, BytesTotal: 4 << 20, FilesDone: 3, FilesTotal: 9, Label: "pgdata"})
	w.Info("while it is drawn")
	w.Warning("a warning meanwhile")
	p.Progress(progress.Progress{BytesDone: 4 << 20, BytesTotal: 4 << 20, FilesDone: 3, FilesTotal: 9, Label: "pgdata"})
	other := w.Progress("backup twin")
	other.Progress(progress.Progress{BytesDone: 1, BytesTotal: 4})
	p.Done()
	p.Done()
	w.Info("while one is left")
	other.Done()
	p.Progress(progress.Progress{BytesDone: 5 << 20})
	w.Info("afterwards")
	if err := tty.Close(); err != nil {
		t.Fatal(err)
	}
	<-read
	_ = screen.Close()

	order := []string{"before the first byte", "while it is drawn", "WARNING: a warning meanwhile", "while one is left", "afterwards"}
	text := shown.String()
	for _, line := range order {
		i := strings.Index(text, line+"\r\n")
		if i < 0 {
			t.Fatalf("%q is missing or out of order in %q", line, shown.String())
		}
		text = text[i:]
	}
	for _, part := range []string{"backup main 4.0 MiB / 4.0 MiB ", "s, 3 / 9 files, pgdata"} {
		if !strings.Contains(shown.String(), part) {
			t.Errorf("no %q in %q", part, shown.String())
		}
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

func TestProgressOfLongWorkIsInTheLog(t *testing.T) {
	var logged bytes.Buffer
	w := New(Options{Stdout: io.Discard, Stderr: io.Discard, Log: hclog.New(&hclog.LoggerOptions{Output: &logged, DisableTime: true})})
	p := w.Progress("backup main")
	defer p.Done()
	for _, seconds := range []int{1, 9, 20, 21, 79, 80, 81} {
		p.now = func() time.Time { return p.begun.Add(time.Duration(seconds) * time.Second) }
		p.Progress(progress.Progress{BytesDone: int64(seconds) * 10, BytesTotal: 1000, FilesDone: 1, FilesTotal: 2, Label: "pgdata"})
	}
	want := "[INFO]  backup main: label=pgdata bytes=200 of_bytes=1000 files=1 of_files=2 bytes_per_second=10 left=1m20s\n" +
		"[INFO]  backup main: label=pgdata bytes=800 of_bytes=1000 files=1 of_files=2 bytes_per_second=10 left=20s\n"
	if diff := cmp.Diff(want, logged.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}
