package main

import (
	"bytes"
	"strings"

	"github.com/barman-go/barman/sdk/hook"
)

// maxLine is the length in bytes at which a line without an end is cut in two.
const maxLine = 64 << 10

// lines hands on standard output line by line. It is written to from one goroutine.
type lines struct {
	out     hook.Output
	partial []byte
}

// Write never fails.
func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		text, rest, ended := bytes.Cut(p, []byte("\n"))
		l.partial = append(l.partial, text...)
		p = rest
		if ended || len(l.partial) >= maxLine {
			l.emit()
		}
	}
	return n, nil
}

// finish hands on a last line that has no end.
func (l *lines) finish() {
	if len(l.partial) > 0 {
		l.emit()
	}
}

func (l *lines) emit() {
	l.out.Line(printable(strings.TrimSuffix(string(l.partial), "\r")), false)
	l.partial = l.partial[:0]
}

// printable replaces what is not UTF-8, which neither gRPC nor a log file takes.
func printable(line string) string { return strings.ToValidUTF8(line, "\uFFFD") }
