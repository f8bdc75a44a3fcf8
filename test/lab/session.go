package lab

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// Session is one connection of a psql that is fed with one batch of statements after the other. It is for one goroutine.
type Session struct {
	psql   *exec.Cmd
	input  io.WriteCloser
	output *bufio.Scanner
	errors bytes.Buffer
}

// ErrSessionEnded means that the server went away, or that a statement failed: psql stops at the first error.
var ErrSessionEnded = errors.New("the session has ended")

// NewSession connects as superuser to the database postgres.
func (c *Cluster) NewSession() (*Session, error) {
	s := &Session{psql: c.Tool(context.Background(), "psql", c.psqlArgs()...)}
	s.psql.Stderr = &s.errors
	var err error
	if s.input, err = s.psql.StdinPipe(); err != nil {
		return nil, err
	}
	output, err := s.psql.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.output = bufio.NewScanner(output)
	s.output.Buffer(nil, 1<<20)
	return s, s.psql.Start()
}

// Run sends statements, which may be psql's own, and returns the lines of their output, columns separated by "|". With
// ErrSessionEnded, it returns the lines until then.
func (s *Session) Run(batch string) (lines []string, err error) {
	const end = "-- end of the batch"
	if _, err := io.WriteString(s.input, batch+"\n\\echo '"+end+"'\n"); err != nil {
		return nil, s.ended()
	}
	for s.output.Scan() {
		if s.output.Text() == end {
			return lines, nil
		}
		lines = append(lines, s.output.Text())
	}
	return lines, s.ended()
}

// ended waits for psql, whose exit code only repeats what it says.
func (s *Session) ended() error {
	s.Close()
	return fmt.Errorf("%w: %s", ErrSessionEnded, strings.TrimSpace(s.errors.String()))
}

// Close ends the session. A second call does nothing.
func (s *Session) Close() {
	_ = s.input.Close()
	_ = s.psql.Wait()
}
