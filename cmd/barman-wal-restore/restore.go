package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/barman-go/barman/cmd/internal/walclient"
	"github.com/barman-go/barman/core/wal"
)

// failure is why no file was delivered.
type failure struct {
	exit error
	// remote means that the other side could not deliver, and that --sleep applies.
	remote bool
}

func local(format string, args ...any) *failure {
	return &failure{exit: &walclient.ExitError{Code: walclient.ExitLocal, Text: fmt.Sprintf(format, args...)}}
}

// restore delivers one file to WAL_DEST, from the spool or from Barman, and sees to it that the next ones are fetched.
func restore(ctx context.Context, o *options, stderr io.Writer) *failure {
	name, err := wal.ParseFileName(o.wal)
	if err != nil {
		text := fmt.Sprintf("'%s' is not a valid wal file name", o.wal)
		return &failure{exit: &walclient.ExitError{Code: exitDestination, Text: text}}
	}
	dest, err := openDestination(o.dest)
	if err != nil {
		return &failure{exit: err}
	}
	defer dest.discard()
	s, err := openSpool(o)
	if err != nil {
		// Without it recovery is slower. An exit code would end it.
		fmt.Fprintf(stderr, "WARNING: nothing is fetched ahead: %s\n", err)
	}
	found, hit := s.await(ctx, name, dest.temp, stderr)
	if !hit {
		if ctx.Err() != nil {
			return &failure{exit: context.Cause(ctx)}
		}
		if err := fetch(ctx, o, name, dest.temp, stderr); err != nil {
			return err
		}
		if found, err = verify(dest.temp, name, o.partial); err != nil {
			return local("The file that Barman has sent is not the one wanted: %s", err)
		}
	}
	if err := dest.publish(); err != nil {
		return local("Cannot write WAL_DEST: %s", err)
	}
	if o.parallel > 0 && name.IsWAL() {
		s.fetchAhead(o, name, found.size, stderr)
	}
	return nil
}

// fetch has Barman send a file into the existing file at path, and decodes it there.
func fetch(ctx context.Context, o *options, name wal.FileName, path string, stderr io.Writer) *failure {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return local("Cannot write %s: %s", path, err)
	}
	s := walclient.Session{Args: o.getWAL(name.String()), Stdout: file, Stderr: stderr}
	code, err := s.Run(ctx)
	err = errors.Join(err, file.Close())
	switch {
	case err != nil:
		return local("%s", err)
	case code != 0:
		return &failure{exit: walclient.Failure(code, "barman get-wal", walclient.ExitLocal), remote: true}
	}
	if err := decodeInPlace(path); err != nil {
		return local("Cannot decode what Barman has sent: %s", err)
	}
	return nil
}
