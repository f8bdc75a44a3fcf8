package main

import (
	"archive/tar"
	"bufio"
	"crypto/md5" //nolint:gosec // --md5: old versions of Barman know nothing else, and it guards against accidents only
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// copyBuffer is how much is read at once.
const copyBuffer = 256 << 10

// errChanged means that a WAL file is being written to, so that what was read of it may be neither old nor new.
var errChanged = errors.New("its size changed while it was read")

// member is the WAL file as it goes into the stream.
type member struct {
	header  tar.Header
	content *os.File
	// unchanged is called when all of content was read, and tells whether that was the whole file.
	unchanged func() error
}

// openMember opens the file at path and compresses it if a format is wanted. The caller closes content.
func openMember(path string, f *format, l level) (*member, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	m := &member{content: file, header: tar.Header{
		Name: filepath.Base(path), Typeflag: tar.TypeReg, Size: info.Size(), Mode: int64(info.Mode().Perm()),
		// Nanoseconds need the format PAX. Barman records this time in its index.
		ModTime: info.ModTime(), Format: tar.FormatPAX,
	}}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		m.header.Uid, m.header.Gid = int(st.Uid), int(st.Gid)
	}
	m.unchanged = func() error { return sizeIsStill(file, info.Size()) }
	if f == nil {
		return m, nil
	}
	defer file.Close() //nolint:errcheck // only read
	packed, err := pack(file, info.Size(), f, l)
	if err != nil {
		return nil, fmt.Errorf("compress %s: %w", path, err)
	}
	size, err := packed.Seek(0, io.SeekCurrent)
	if err == nil {
		_, err = packed.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, packed.Close())
	}
	m.content, m.header.Size = packed, size
	m.unchanged = func() error { return nil } // pack has seen to it
	return m, nil
}

// pack compresses size bytes of a file into a temporary file, which has no name any more, so that nothing is left of it however
// this program ends. The tar header before the content tells its size, so it must be known before anything is sent.
func pack(file *os.File, size int64, f *format, l level) (*os.File, error) {
	temp, err := os.CreateTemp("", "barman-wal-archive-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(temp.Name()); err != nil {
		return nil, errors.Join(err, temp.Close())
	}
	out := bufio.NewWriterSize(temp, copyBuffer)
	z, err := f.writer(out, f.number(l))
	if err == nil {
		// Only a Reader, so that no encoder finds a file in it and reads beyond size.
		_, err = io.CopyBuffer(struct{ io.Writer }{z}, exactly(file, size), make([]byte, copyBuffer))
		if cerr := z.Close(); err == nil {
			err = cerr
		}
	}
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		err = sizeIsStill(file, size)
	}
	if err != nil {
		return nil, errors.Join(err, temp.Close())
	}
	return temp, nil
}

// exactly reads n bytes of r; fewer are errChanged.
func exactly(r io.Reader, n int64) io.Reader { return &exactReader{r, n} }

type exactReader struct {
	r    io.Reader
	left int64
}

func (e *exactReader) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	if errors.Is(err, io.EOF) && e.left > 0 {
		err = errChanged
	}
	return n, err
}

func sizeIsStill(f *os.File, size int64) error {
	info, err := f.Stat()
	if err == nil && info.Size() != size {
		err = errChanged
	}
	return err
}

// writeStream writes the stream that put-wal reads: the file, and the checksum of what was written of it. It does not get as
// far as the checksum when the file has changed.
func (m *member) writeStream(w io.Writer, withMD5 bool) error {
	sumsName, sum := "SHA256SUMS", sha256.New()
	if withMD5 {
		sumsName, sum = "MD5SUMS", hash.Hash(md5.New()) //nolint:gosec // see the import
	}
	tw := tar.NewWriter(w)
	if err := tw.WriteHeader(&m.header); err != nil {
		return err
	}
	_, err := io.CopyBuffer(io.MultiWriter(tw, sum), exactly(m.content, m.header.Size), make([]byte, copyBuffer))
	if err != nil {
		return err
	}
	if err := m.unchanged(); err != nil {
		return err
	}
	line := hex.EncodeToString(sum.Sum(nil)) + " *" + m.header.Name + "\n"
	header := &tar.Header{
		Name: sumsName, Typeflag: tar.TypeReg, Size: int64(len(line)), Mode: 0o600, ModTime: time.Now(), Format: tar.FormatPAX,
	}
	if err := tw.WriteHeader(header); err != nil {
		return err
	}
	if _, err := io.WriteString(tw, line); err != nil {
		return err
	}
	return tw.Close()
}
