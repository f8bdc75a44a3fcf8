package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/core/wal"
)

// Limits of a put-wal stream. PostgreSQL sends one file per call; a client may send a few.
const (
	maxMemberSize   = int64(wal.MaxSegmentSize)
	maxChecksumSize = 1 << 20
	maxMembers      = 1024
)

// ErrRefused means that put-wal stored nothing of a stream, or not all of it; the reasons were reported.
var ErrRefused = errors.New("WAL refused")

// Putter receives the WAL files that PostgreSQL's archive_command sends: an uncompressed tar stream of regular files and
// a member with their checksums (SHA256SUMS or MD5SUMS) at any place.
type Putter struct {
	// Server is the name for messages.
	Server string
	// Incoming and Errors are the server's directories; missing ones are created.
	Incoming, Errors string
	// WALs is the archive, for files that are there already. It is only read.
	WALs   string
	Codecs *Codecs
	// Expect is what is known of the server's WAL; zero fields are not checked.
	Expect wal.Expect
	// Reserve is the space that has to stay free, for CheckSpace.
	Reserve *int64
	// SSHHost is the sender's address for messages, or empty.
	SSHHost string
	// Now is the clock for names in errors/.
	Now func() time.Time
	Out report.Messenger
	Log hclog.Logger
}

// received is one file of a stream, under a temporary name in incoming/.
type received struct {
	name wal.FileName
	temp string
	sum  string
	// placed means that temp was renamed, or is not wanted.
	placed bool
	// existing is the file that has the same content already, if there is one.
	existing string
}

// Run reads the stream to its end and stores its files. Either all members are sound, and then every file is in
// incoming/, durable, when Run returns nil; or nothing of the stream is stored. ErrRefused means that the reasons were
// reported as errors; any other error is one of the stream or of the disk.
//
// A file that is already there with the same content is accepted again: PostgreSQL repeats archive_command when it
// could not record its success. With other content it is kept in errors/ and the stream is refused, so that PostgreSQL
// keeps the segment and somebody looks.
func (p *Putter) Run(ctx context.Context, stream io.Reader) error {
	if err := fsx.MkdirAll(p.Incoming, 0o755); err != nil {
		return err
	}
	var sums checksums
	files, err := p.receive(ctx, stream, &sums)
	// Whatever happens, no temporary file stays: archive-wal would never look at it.
	defer func() {
		for _, f := range files {
			if !f.placed {
				_ = os.Remove(f.temp)
			}
		}
	}()
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the stream ended too early, and nothing of it was stored; PostgreSQL sends the segment again: %w", err)
	}
	if err != nil {
		return err
	}
	if err := p.verifySums(files, &sums); err != nil {
		return err
	}
	for _, f := range files {
		if err := p.verifySegment(ctx, f); err != nil {
			return err
		}
	}
	return p.store(ctx, files)
}

// receive extracts the members into temporary files in incoming/, and returns them also when it fails.
func (p *Putter) receive(ctx context.Context, stream io.Reader, sums *checksums) ([]*received, error) {
	var files []*received
	seen := map[string]bool{}
	tr := tar.NewReader(stream)
	for {
		if err := ctx.Err(); err != nil {
			return files, context.Cause(ctx)
		}
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			if len(files) == 0 && len(sums.order) == 0 {
				return files, p.refuse("The stream holds no file")
			}
			// The padding after the archive: a sender that cannot write all of it takes that for a failure.
			_, err := io.Copy(io.Discard, stream)
			return files, err
		}
		if err != nil {
			return files, fmt.Errorf("read tar stream: %w", err)
		}
		name := strings.TrimPrefix(h.Name, "./")
		if name == sha256Member || name == md5Member {
			err = p.receiveSums(name, h, tr, sums)
		} else if h.Typeflag != tar.TypeXGlobalHeader {
			var walName wal.FileName
			if walName, err = p.admit(name, h, seen); err == nil {
				seen[name] = true
				var f *received
				if f, err = p.extract(walName, h, tr); f != nil {
					files = append(files, f)
				}
			}
		}
		if err != nil {
			return files, err
		}
	}
}

// admit decides whether a member may be written at all. Only names of WAL files are let near a path, which refuses "../x"
// and absolute names too.
func (p *Putter) admit(name string, h *tar.Header, seen map[string]bool) (wal.FileName, error) {
	walName, err := wal.ParseFileName(name)
	switch {
	case h.Typeflag != tar.TypeReg:
		err = p.refuse("Unsupported file type '%c' for file %s", h.Typeflag, quoted(name))
	case err != nil:
		err = p.refuse("Unsupported filename %s", quoted(name))
	case seen[name]:
		err = p.refuse("Duplicate file '%s' in the stream", name)
	case len(seen) >= maxMembers:
		err = p.refuse("More than %d files in the stream", maxMembers)
	case h.Size > maxMemberSize:
		err = p.refuse("File '%s' has %d bytes, more than any WAL segment", name, h.Size)
	}
	return walName, err
}

func (p *Putter) receiveSums(name string, h *tar.Header, r io.Reader, sums *checksums) error {
	if h.Typeflag != tar.TypeReg {
		return p.refuse("Unsupported file type '%c' for file %s", h.Typeflag, quoted(name))
	}
	content, err := io.ReadAll(io.LimitReader(r, maxChecksumSize+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if len(content) > maxChecksumSize {
		return p.refuse("Unsupported size of '%s'", name)
	}
	for _, line := range sums.add(name, content) {
		p.Out.Warning("Bad checksum line %q ignored%s", line, p.suffix())
	}
	return nil
}

// extract writes one member beside its final place and hashes it on the way.
func (p *Putter) extract(name wal.FileName, h *tar.Header, r io.Reader) (*received, error) {
	switch err := CheckSpace(p.Incoming, h.Size, p.Reserve); {
	case errors.As(err, new(*NoSpaceError)):
		return nil, p.refuse("File '%s' was not stored: %s,", name, err)
	case err != nil:
		return nil, err
	}
	file, err := fsx.CreateTemp(filepath.Join(p.Incoming, name.String()), 0o644)
	if err != nil {
		return nil, err
	}
	f := &received{name: name, temp: file.Name()}
	sum := (&checksums{}).newHash()
	err = copyHashed(file, r, sum)
	f.sum = hexSum(sum)
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return f, fmt.Errorf("receive %s: %w", name, err)
	}
	if err := os.Chtimes(f.temp, h.ModTime, h.ModTime); err != nil {
		return f, fmt.Errorf("receive %s: %w", name, err)
	}
	return f, nil
}

func (p *Putter) verifySums(files []*received, sums *checksums) error {
	got := make(map[string]string, len(files))
	order := make([]string, 0, len(files))
	for _, f := range files {
		if sums.md5 {
			// The algorithm is known only when the checksum member has come, which is the last one.
			sum, err := hashFile(f.temp, sums)
			if err != nil {
				return err
			}
			f.sum = sum
		}
		got[f.name.String()] = f.sum
		order = append(order, f.name.String())
	}
	problems := sums.verify(got, order)
	if len(problems) == 0 {
		return nil
	}
	for _, text := range problems {
		_ = p.refuse("%s", text)
	}
	return ErrRefused
}

func hashFile(path string, sums *checksums) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // read only
	h := sums.newHash()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("hash %s: %w", path, err)
	}
	return hexSum(h), nil
}

// verifySegment refuses WAL that cannot be this server's. What the sender compressed is verified by archive-wal, so that
// no plugin has to be started here.
func (p *Putter) verifySegment(ctx context.Context, f *received) error {
	head, info, err := readHead(f.temp)
	if err != nil {
		return err
	}
	if format, err := p.Codecs.Format(ctx, head); err != nil || format != "" {
		return err
	}
	if _, err := wal.Verify(head, info.Size(), f.name, p.Expect); err != nil {
		return p.refuse("%s", err)
	}
	return nil
}

// refuse reports a reason and returns ErrRefused.
func (p *Putter) refuse(format string, args ...any) error {
	p.Out.Error("%s%s", fmt.Sprintf(format, args...), p.suffix())
	return ErrRefused
}

// quoted is a name from the network as messages show it: in Barman's quotes, and without characters that a terminal obeys.
func quoted(name string) string {
	text := strconv.Quote(name)
	return "'" + text[1:len(text)-1] + "'"
}

func (p *Putter) suffix() string {
	s := fmt.Sprintf(" in put-wal for server '%s'", p.Server)
	if p.SSHHost != "" {
		s += fmt.Sprintf(" (SSH host: %s)", p.SSHHost)
	}
	return s
}
