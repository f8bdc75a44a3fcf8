package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math/bits"
	"os"
	"path/filepath"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/compress"
)

// ErrNotFound means that a server has no WAL file of a name, in none of its directories.
var ErrNotFound = errors.New("WAL file not found")

// Getter hands out the WAL files of one server. It takes no locks: files only ever appear under their final names.
type Getter struct {
	Server string
	// WALs, Incoming and Streaming are the server's directories.
	WALs, Incoming, Streaming string
	Codecs                    *Codecs
}

// GetOptions say in which form a file is wanted.
type GetOptions struct {
	// Partial also accepts a segment that is not complete.
	Partial bool
	// Compression is the format wanted; empty means plain.
	Compression string
	// KeepCompression hands the file out as it is stored.
	KeepCompression bool
	// KeepKnown hands the file out as it is stored when it is in one of catalog.KnownFormats, which every client decodes.
	KeepKnown bool
}

// Find returns the path of a file: in the archive, or still waiting to be archived. The error is ErrNotFound.
func (g *Getter) Find(name wal.FileName, partial bool) (string, error) {
	for path := range g.places(name, partial) {
		info, err := os.Stat(path)
		if err == nil && info.Mode().IsRegular() {
			return path, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", fmt.Errorf("%w: '%s' in server '%s'", ErrNotFound, name, g.Server)
}

// places yields where a file may be, in the order in which it is looked for. The archive comes first and again last: a
// file may move there while the others are looked at.
func (g *Getter) places(name wal.FileName, partial bool) iter.Seq[string] {
	return func(yield func(string) bool) {
		archived := filepath.Join(g.WALs, filepath.FromSlash(name.ArchivePath()))
		all := []string{archived, filepath.Join(g.Incoming, name.String()), filepath.Join(g.Streaming, name.String())}
		if partial && name.Kind() == wal.KindSegment {
			all = append(all,
				filepath.Join(g.Streaming, name.String()+".partial"),
				filepath.Join(g.Streaming, name.String()),
				archived+".partial",
				filepath.Join(g.Incoming, name.String()+".partial"))
		}
		for _, path := range append(all, archived) {
			if !yield(path) {
				return
			}
		}
	}
}

// moves is how often a file may move while it is being opened: from streaming/ or incoming/ to wals/, and once more for
// good measure.
const moves = 3

// Send writes a file to w in the form wanted. A file that moves while it is being opened is found again; once the first
// byte is written, an error means that what was written is not whole.
func (g *Getter) Send(ctx context.Context, name wal.FileName, o GetOptions, w io.Writer) error {
	f, err := g.openByName(ctx, name, o)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // read only
	if _, err := io.Copy(w, f); err != nil {
		return fmt.Errorf("send %s: %w", name, err)
	}
	return nil
}

// openByName finds a file and opens it in the form wanted.
func (g *Getter) openByName(ctx context.Context, name wal.FileName, o GetOptions) (*os.File, error) {
	for try := 1; ; try++ {
		path, err := g.Find(name, o.Partial)
		if err != nil {
			return nil, err
		}
		f, err := g.open(ctx, path, o)
		if errors.Is(err, fs.ErrNotExist) && try < moves {
			continue
		}
		return f, err
	}
}

// SendFile writes a file to dest so that dest appears whole or not at all.
func (g *Getter) SendFile(ctx context.Context, name wal.FileName, o GetOptions, dest string) error {
	f, err := fsx.CreateTemp(dest, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // gone after a successful Publish
	err = g.Send(ctx, name, o, f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return fsx.Publish(f.Name(), dest)
}

// ErrEncrypted means that a stored file is encrypted, so that only the stored form can be handed out.
var ErrEncrypted = errors.New("the WAL file is encrypted")

// open opens a stored file in the form wanted.
func (g *Getter) open(ctx context.Context, path string, o GetOptions) (*os.File, error) {
	if o.KeepCompression {
		return os.Open(path)
	}
	head, _, err := readHead(path)
	if err != nil {
		return nil, err
	}
	if catalog.IsPGPEncrypted(head) {
		return nil, fmt.Errorf("%s: %w; this program has no key", path, ErrEncrypted)
	}
	stored, err := g.Codecs.StoredFormat(ctx, head)
	if err != nil {
		return nil, err
	}
	known := o.KeepKnown && catalog.IdentifyFormat(head) != ""
	if known || stored == o.Compression || stored != "" && catalog.SameFormat(stored, o.Compression) {
		return os.Open(path)
	}
	return g.convert(ctx, path, stored, o.Compression)
}

// convert decodes, and encodes again where that is wanted, through temporary files in wals/.
func (g *Getter) convert(ctx context.Context, path, stored, want string) (*os.File, error) {
	plain, removePlain, err := g.Codecs.plainOf(ctx, path, stored, g.WALs)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", path, err)
	}
	if want == "" {
		return openAndForget(plain, removePlain)
	}
	defer removePlain() // does nothing when plain is the stored file itself
	e, err := g.Codecs.encoderOf(ctx, want, "medium")
	if err != nil {
		return nil, err
	}
	encoded := fsx.TempPath(filepath.Join(g.WALs, filepath.Base(path)))
	removeEncoded := func() { _ = os.Remove(encoded) }
	req := compress.FileRequest{Source: plain, Destination: encoded, Options: e.options}
	if _, err := e.CompressFile(ctx, req); err != nil {
		removeEncoded()
		return nil, fmt.Errorf("encode %s: %w", path, err)
	}
	return openAndForget(encoded, removeEncoded)
}

// openAndForget opens a temporary file and removes its name at once, so that nothing is left behind even by a crash.
func openAndForget(path string, remove func()) (*os.File, error) {
	defer remove()
	return os.Open(path)
}

// Peek returns the names of up to n consecutive files that are there, beginning with name.
func (g *Getter) Peek(name wal.FileName, n int) ([]string, error) {
	var found []string
	for next, err := range g.consecutive(name) {
		if err != nil {
			return found, err
		}
		if found = append(found, next.String()); len(found) == n {
			break
		}
	}
	return found, nil
}

// consecutive yields the files from name on that are there, without a gap; a name that is no segment's has none after it. The
// segment size is not known here: when the next name of a log is missing, the first name of the next log is tried if the log may
// have ended. Each file is looked for when it is its turn.
func (g *Getter) consecutive(name wal.FileName) iter.Seq2[wal.FileName, error] {
	return func(yield func(wal.FileName, error) bool) {
		seg, ok := name.Segment()
		hasNext := ok && name.Kind() == wal.KindSegment
		for first := true; ; {
			ok, err := g.exists(name)
			switch {
			case err != nil:
				yield(name, err)
				return
			case ok:
				if !yield(name, nil) || !hasNext {
					return
				}
				first = false
				seg.Seg++
			case !first && seg.Seg > 0 && bits.OnesCount32(seg.Seg) == 1:
				// A power of two may be the number of segments in a log.
				seg = wal.Segment{Timeline: seg.Timeline, Log: seg.Log + 1}
			default:
				return
			}
			if name, err = wal.ParseFileName(seg.String()); err != nil {
				yield(name, err)
				return
			}
		}
	}
}

func (g *Getter) exists(name wal.FileName) (bool, error) {
	_, err := g.Find(name, false)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
