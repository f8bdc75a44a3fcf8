package archive

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/barman-go/barman/core/wal"
)

// SendTar writes up to n consecutive files, beginning with name, to w as a tar stream that put-wal understands: each file is
// followed by a member SHA256SUMS with its checksum, so that the reader can use it before the next one comes. Partial segments
// are not among them. A reader that stops reading holds up the stream; files are looked for when it is their turn.
//
// The error is ErrNotFound when the first file is not there; then nothing was written. The stream ends before its end-of-archive
// marker when there is another error; the files whose checksums were written are whole.
func (g *Getter) SendTar(ctx context.Context, name wal.FileName, n int, o GetOptions, w io.Writer) error {
	o.Partial = false
	tw := tar.NewWriter(w)
	sent := 0
	for next, err := range g.consecutive(name) {
		if err == nil {
			err = g.sendMember(ctx, next, o, tw)
		}
		if errors.Is(err, ErrNotFound) {
			break // removed since it was seen: the stream ends before it
		}
		if err != nil {
			return err
		}
		if sent++; sent == n {
			break
		}
	}
	if sent == 0 {
		return fmt.Errorf("%w: '%s' in server '%s'", ErrNotFound, name, g.Server)
	}
	return tw.Close()
}

func (g *Getter) sendMember(ctx context.Context, name wal.FileName, o GetOptions, tw *tar.Writer) error {
	f, err := g.openByName(ctx, name, o)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // read only
	info, err := f.Stat()
	if err != nil {
		return err
	}
	sum := sha256.New()
	if err := tw.WriteHeader(member(name.String(), info.Size(), info)); err != nil {
		return fmt.Errorf("send %s: %w", name, err)
	}
	if _, err := io.Copy(io.MultiWriter(tw, sum), f); err != nil {
		return fmt.Errorf("send %s: %w", name, err)
	}
	line := hexSum(sum) + " *" + name.String() + "\n"
	if err := tw.WriteHeader(member(sha256Member, int64(len(line)), info)); err != nil {
		return fmt.Errorf("send the checksum of %s: %w", name, err)
	}
	if _, err := io.WriteString(tw, line); err != nil {
		return fmt.Errorf("send the checksum of %s: %w", name, err)
	}
	// The padding too, or the reader waits for it.
	return tw.Flush()
}

func member(name string, size int64, info os.FileInfo) *tar.Header {
	return &tar.Header{
		Name: name, Typeflag: tar.TypeReg, Size: size, Mode: 0o600, ModTime: info.ModTime(), Format: tar.FormatPAX,
	}
}
