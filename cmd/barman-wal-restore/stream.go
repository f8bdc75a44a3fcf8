package main

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/barman-go/barman/cmd/internal/walclient"
)

const (
	// streamed is how many files one session asks for. They are sent no faster than they are read.
	streamed = 1 << 16
	sumsName = "SHA256SUMS"
	maxSums  = 4 << 10
	// usageExit is how barman says that it does not know an option, and missingExit that a file is not there.
	usageExit, missingExit = 2, 1
)

// errStream means that the stream is not what get-wal --tar sends.
var errStream = errors.New("unexpected answer of get-wal --tar")

// stream fetches segments, from next.first on, through one connection, as long as PostgreSQL follows.
func (p *prefetcher) stream(ctx context.Context, next stretch) (outcome, error) {
	ours, theirs, err := os.Pipe()
	if err != nil {
		return again, err
	}
	defer ours.Close() //nolint:errcheck // only read
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type end struct {
		code int
		err  error
	}
	ended := make(chan end, 1)
	var said strings.Builder
	go func() {
		s := walclient.Session{
			Args: p.o.getWAL(next.first.String(), "--tar", walclient.Quote(strconv.Itoa(streamed))), Stdout: theirs, Stderr: &said,
		}
		code, err := s.Run(ctx)
		_ = theirs.Close()
		ended <- end{code, err}
	}()
	result, received, err := p.receive(ctx, ours, next)
	stopped := err == nil && result != archiveEnds
	if stopped || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		cancel()
	}
	// A remote side that still writes must not wait for us.
	_ = ours.Close()
	ssh := <-ended
	switch {
	case stopped:
		return result, nil
	case received == 0 && ssh.err == nil && (ssh.code == usageExit || errors.Is(err, errStream)):
		return unsupported, nil
	case received == 0 && ssh.err == nil && ssh.code == missingExit:
		return archiveEnds, nil
	case ssh.err == nil && ssh.code != 0:
		failed := walclient.Failure(ssh.code, "barman get-wal", walclient.ExitLocal)
		return again, errors.New(strings.TrimSpace(failed.Text + " " + said.String()))
	case err != nil:
		return again, err
	case ssh.err != nil:
		return again, ssh.err
	}
	return result, nil
}

// receive reads the stream and puts segments into the spool. It returns archiveEnds at the end of the stream, and how many
// segments have come.
func (p *prefetcher) receive(ctx context.Context, r io.Reader, next stretch) (result outcome, received int, err error) {
	tr := tar.NewReader(bufio.NewReaderSize(r, copyBuffer))
	for ; ; received++ {
		next.count = uint64(p.o.parallel)
		if err := p.announce(next); err != nil {
			return again, received, err
		}
		h, err := tr.Next()
		switch {
		case errors.Is(err, io.EOF):
			return archiveEnds, received, nil
		case errors.Is(err, tar.ErrHeader):
			return again, received, fmt.Errorf("%w: %w", errStream, err)
		case err != nil:
			return again, received, err
		case received > 0 && h.Name != next.first.String():
			// The other side does not know the segment size and may take the end of the archive for that of a log.
			return gap, received, nil
		case h.Name != next.first.String() || h.Typeflag != tar.TypeReg:
			return again, received, fmt.Errorf("%w: %q instead of %s", errStream, h.Name, next.first)
		}
		if ended, err := p.waitForRoom(ctx, next); err != nil || ended == idle {
			return ended, received, err
		}
		wanted := p.wanted()
		if wanted.size != next.size || !wanted.reaches(next.first, p.o.parallel) {
			return again, received, nil // PostgreSQL is elsewhere
		}
		if err := p.store(tr, next); err != nil {
			return again, received, err
		}
		p.brought[next.first] = true
		next.first = next.first.Next(next.size)
	}
}

// store puts one member of the stream into the spool, once its checksum, the member after it, has come.
func (p *prefetcher) store(tr *tar.Reader, next stretch) error {
	name, file, err := p.temp(next.first)
	if err != nil {
		return err
	}
	defer drop(file.Name())
	sum := sha256.New()
	in := io.TeeReader(tr, sum)
	err = decode(file, in)
	if err == nil {
		_, err = io.Copy(io.Discard, in) // a decoder need not read the very end
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("receive %s: %w", name, err)
	}
	if err := checkSum(tr, name.String(), hex.EncodeToString(sum.Sum(nil))); err != nil {
		return err
	}
	return p.keep(file.Name(), name)
}

// checkSum reads the checksum member of a file and compares.
func checkSum(tr *tar.Reader, name, sum string) error {
	h, err := tr.Next()
	if err != nil {
		return fmt.Errorf("checksum of %s: %w", name, err)
	}
	text, err := io.ReadAll(io.LimitReader(tr, maxSums))
	if err != nil {
		return fmt.Errorf("checksum of %s: %w", name, err)
	}
	if want := sum + " *" + name + "\n"; h.Name != sumsName || string(text) != want {
		return fmt.Errorf("%w: the checksum of %s does not fit", errStream, name)
	}
	return nil
}
