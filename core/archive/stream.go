package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/barman-go/barman/sdk/compress"
)

// pipeBytes is how much may be on its way from a plugin to its reader, so that neither waits for each other's every write.
// It is the most that Linux gives without privileges; less works too.
const pipeBytes = 1 << 20

// CanDecode returns nil when an installed plugin decodes the format, and otherwise why none can.
func (c *Codecs) CanDecode(ctx context.Context, format string) error {
	_, _, err := c.decoder(ctx, format)
	return err
}

// Stream decodes a file while read reads what comes out, so that content that is much larger than memory never lies on a
// disk. Between the plugin and read is a named pipe in a private directory below temp (empty: the system's).
//
// What read is given ends with io.EOF only when the plugin has vouched for the whole file; damage, and a plugin that dies,
// is an error there: a *DamagedError for content that cannot be decoded. What read leaves is decoded all the same, because
// checksums come last. Stream returns the error of read, of decoding, or nil.
func (c *Codecs) Stream(ctx context.Context, path, format, temp string, read func(io.Reader) error) (err error) {
	p, id, err := c.decoder(ctx, format)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(temp, "barman-stream-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	pipe, err := openPipe(filepath.Join(dir, "plain"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, decodeErr := p.DecompressFile(ctx, compress.FileRequest{
			Source: path, Destination: pipe.path, Options: compress.Options{Format: id},
		})
		if decodeErr != nil && aboutContent(ctx, decodeErr) {
			decodeErr = &DamagedError{Path: path, Format: format, Err: decodeErr}
		}
		pipe.end(decodeErr)
	}()
	err = read(pipe)
	if err == nil {
		_, err = io.Copy(io.Discard, pipe)
	}
	// Whoever has failed to read makes the plugin stop.
	cancel()
	pipe.close()
	return err
}

// pipe is the reading end of a named pipe that a plugin writes into.
type pipe struct {
	path string
	r, w *os.File
	// ended is closed when the plugin has answered; err is its answer.
	ended chan struct{}
	err   error
}

// openPipe makes a named pipe. It is held open for writing until the plugin has answered, so that it neither seems to be at
// its end before the plugin has opened it, nor stays open when the plugin dies.
func openPipe(path string) (*pipe, error) {
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return nil, fmt.Errorf("make a named pipe %s: %w", path, err)
	}
	r, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	w, err := os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	if conn, err := r.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeBytes) })
	}
	return &pipe{path: path, r: r, w: w, ended: make(chan struct{})}, nil
}

// Read gives what the plugin writes. Where the pipe ends the plugin has answered, and its error takes the place of io.EOF.
func (p *pipe) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	<-p.ended
	if p.err != nil {
		return n, p.err
	}
	return n, io.EOF
}

// end notes the plugin's answer and lets the pipe end.
func (p *pipe) end(err error) {
	p.err = err
	close(p.ended)
	_ = p.w.Close()
}

// close ends the reading, which ends the writing, and waits for the plugin.
func (p *pipe) close() {
	_ = p.r.Close()
	<-p.ended
}
