package plugin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/barman-go/barman/sdk/compress"
	"github.com/barman-go/barman/sdk/diag"
	compressv1 "github.com/barman-go/barman/sdk/pb/barman/compress/v1"
)

// bufferSize of reads and writes, in bytes. A 16 MiB segment is 64 system calls each way.
const bufferSize = 256 << 10

// fileCoder runs a compressor over files.
type fileCoder struct{ buffers sync.Pool }

func newFileCoder() *fileCoder {
	return &fileCoder{buffers: sync.Pool{New: func() any {
		return &buffers{in: bufio.NewReaderSize(nil, bufferSize), out: bufio.NewWriterSize(nil, bufferSize)}
	}}}
}

type buffers struct {
	in  *bufio.Reader
	out *bufio.Writer
}

// encode writes source, encoded, to the new file destination, or into the named pipe of that name.
func (c *fileCoder) encode(
	ctx context.Context, z compress.Compressor, o compress.Options, source, destination string,
) (*compressv1.FileResult, error) {
	plain, encoded := &meter{ctx: ctx, crc: crc32.NewIEEE()}, &meter{ctx: ctx}
	err := c.run(source, destination, 0, plain, encoded, func(dst io.Writer, src io.Reader) error {
		return z.Compress(ctx, o, dst, src)
	})
	return fileResult(plain, encoded), err
}

// decode writes source, decoded, to the new file destination, into the named pipe of that name, or to nowhere when it is
// empty. A file that is too short
// for the magic of its format was cut, which many decoders do not say of an empty one: it holds no frame, and each is
// whole.
func (c *fileCoder) decode(
	ctx context.Context, z compress.Compressor, f compress.Format, source, destination string,
) (*compressv1.FileResult, error) {
	plain, encoded := &meter{ctx: ctx, crc: crc32.NewIEEE()}, &meter{ctx: ctx}
	o, shortest := compress.Options{Format: f.ID}, int64(0)
	if len(f.Magic) > 0 {
		shortest = f.MagicOffset + int64(len(f.Magic))
	}
	err := c.run(source, destination, shortest, encoded, plain, func(dst io.Writer, src io.Reader) error {
		return z.Decompress(ctx, o, dst, src)
	})
	return fileResult(plain, encoded), err
}

func fileResult(plain, encoded *meter) *compressv1.FileResult {
	return &compressv1.FileResult{PlainBytes: plain.n, EncodedBytes: encoded.n, PlainCrc32: plain.crc.Sum32()}
}

// run opens source, which has at least shortest bytes or was cut, creates destination unless it is a named pipe, and lets
// transform copy from one to the other through two meters. On failure it removes the destination that it created, and only
// that one.
func (c *fileCoder) run(
	source, destination string, shortest int64, in, out *meter, transform func(dst io.Writer, src io.Reader) error,
) (err error) {
	if err := in.ctx.Err(); err != nil {
		return err
	}
	src, size, err := openRegular(source)
	if err != nil {
		return ioError(err)
	}
	defer func() { _ = src.Close() }()
	if size < shortest {
		return io.ErrUnexpectedEOF
	}
	in.r, out.w = src, io.Discard
	if destination != "" {
		dst, done, openErr := openDestination(in.ctx, destination)
		if openErr != nil {
			return ioError(openErr)
		}
		out.w = dst
		defer func() { err = done(err) }()
	}
	b := c.buffers.Get().(*buffers)
	defer c.buffers.Put(b)
	b.in.Reset(in)
	b.out.Reset(out)
	// Keep no reference to the files in the pool.
	defer func() { b.in.Reset(nil); b.out.Reset(nil) }()

	if destination == "" {
		// Nothing is written, so collecting it first would only be one more pass over the bytes.
		err = transform(out, b.in)
	} else if err = transform(b.out, b.in); err == nil {
		err = b.out.Flush()
	}
	if ctxErr := in.ctx.Err(); err != nil && ctxErr != nil {
		// Whatever the compressor said, it failed because it was told to stop.
		return ctxErr
	}
	// Whatever the compressor made of it: that a file cannot be read must not be taken for damage of its content.
	switch {
	case in.err != nil:
		err = ioError(in.err)
	case out.err != nil:
		err = ioError(out.err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	return nil
}

// ioError gives an error of the operating system its code.
func ioError(err error) error {
	d := diag.FromError(err)
	if d.Code == "" && errors.As(err, new(syscall.Errno)) {
		d.Code = diag.CodeIO
	}
	return d
}

// openDestination creates a file, or opens a named pipe that the host reads. done closes it with the outcome so far and
// returns the final one; a file that is not complete is removed.
func openDestination(ctx context.Context, path string) (dst *os.File, done func(error) error, err error) {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == os.ModeNamedPipe {
		// Not waiting for a reader: the host has the pipe open, and one that has gone will not come back.
		dst, err := os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			return nil, nil, err
		}
		// A reader that does not read must not outlive the call.
		stop := context.AfterFunc(ctx, func() { _ = dst.SetWriteDeadline(time.Unix(1, 0)) })
		return dst, func(outcome error) error {
			stop()
			return errors.Join(outcome, dst.Close())
		}, nil
	}
	dst, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, nil, err
	}
	return dst, func(outcome error) error {
		outcome = errors.Join(outcome, dst.Close())
		if outcome != nil {
			_ = os.Remove(path)
		}
		return outcome
	}, nil
}

func openRegular(path string) (f *os.File, size int64, err error) {
	f, err = os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		_ = f.Close()
		return nil, 0, diag.Diagnostic{Summary: path + ": not a regular file", Detail: "found " + info.Mode().Type().String()}
	}
	return f, info.Size(), nil
}

// meter counts the bytes that pass, in one direction, computes their digest if it has one, and stops when ctx ends.
type meter struct {
	ctx context.Context
	r   io.Reader
	w   io.Writer
	crc hash.Hash32
	n   int64
	// err is the first error of reading or writing; the end of a file is none.
	err error
}

func (m *meter) Read(p []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := m.r.Read(p)
	if m.err == nil && err != nil && !errors.Is(err, io.EOF) {
		m.err = err
	}
	m.count(p[:n])
	return n, err
}

func (m *meter) Write(p []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := m.w.Write(p)
	if m.err == nil {
		m.err = err
	}
	m.count(p[:n])
	return n, err
}

func (m *meter) count(p []byte) {
	m.n += int64(len(p))
	if m.crc != nil {
		// hash.Hash never returns an error.
		_, _ = m.crc.Write(p)
	}
}
