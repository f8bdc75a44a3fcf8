package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/barman-go/barman/cmd/internal/walclient"
)

// exitUnreachable is the exit code for "ssh has failed".
const exitUnreachable = 3

// archive sends the WAL file and returns nil when put-wal has accepted it.
func archive(ctx context.Context, o *options, stdout, stderr io.Writer) error {
	if info, err := os.Stat(o.path); err == nil && info.IsDir() {
		return local("WAL_PATH cannot be a directory: %s", o.path)
	}
	m, err := openMember(o.path, o.format, o.level)
	if err != nil {
		return local("Cannot read WAL_PATH: %s", err)
	}
	defer m.content.Close() //nolint:errcheck // only read
	code, sent, err := send(ctx, m, o, stdout, stderr)
	brokenPipe := errors.Is(sent, syscall.EPIPE)
	switch {
	case sent != nil && !brokenPipe:
		// It is the reason for whatever ssh says.
		return local("Cannot send %s: %s", o.path, sent)
	case err != nil:
		return local("%s", err)
	case code != 0:
		return walclient.Failure(code, "barman put-wal", exitUnreachable)
	case brokenPipe:
		// Whatever answers over there, it has not read the file.
		return local("Error executing ssh: the remote side ended without reading all of %s", o.path)
	}
	return nil
}

// send runs put-wal over there and streams the file into it. It returns the exit code of ssh, or err when there is none, and
// sent when the stream could not be written to its end.
func send(ctx context.Context, m *member, o *options, stdout, stderr io.Writer) (code int, sent, err error) {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return -1, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		err := m.writeStream(ours, o.md5)
		if err != nil && !errors.Is(err, syscall.EPIPE) {
			// Before the end of the stream is seen: nobody must take a part for the whole.
			cancel()
		}
		done <- errors.Join(err, ours.Close())
	}()
	s := walclient.Session{Args: o.Args(o.putWAL()...), Stdin: theirs, Stdout: stdout, Stderr: stderr}
	code, err = s.Run(ctx)
	// We hold the reading end as well: closing it makes a writer fail whose reader is gone.
	_ = theirs.Close()
	return code, <-done, err
}

func local(format string, args ...any) error {
	return &walclient.ExitError{Code: walclient.ExitLocal, Text: fmt.Sprintf(format, args...)}
}
