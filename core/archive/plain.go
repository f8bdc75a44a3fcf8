package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/wal"
	"github.com/barman-go/barman/sdk/compress"
	"github.com/barman-go/barman/sdk/diag"
)

// DamagedError means that the content of a file cannot be decoded.
type DamagedError struct {
	Path, Format string
	Err          error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("%s cannot be decoded as %s: %v", e.Path, e.Format, e.Err)
}

// Unwrap gives what the plugin said.
func (e *DamagedError) Unwrap() error { return e.Err }

// isVerdict tells an error that says something about a file from one that says something about this machine.
func isVerdict(err error) bool {
	var damaged *DamagedError
	var found *wal.VerifyError
	return errors.As(err, &damaged) || errors.As(err, &found)
}

// aboutContent tells whether a plugin's error is about what it read. Errors that plugins have a word for, such as a full
// disk or a tool that failed, are not; nor are those that come from the connection.
func aboutContent(ctx context.Context, err error) bool {
	var d diag.Diagnostic
	return ctx.Err() == nil && errors.As(err, &d) && (d.Code == "" || d.Code == diag.CodeCorrupt)
}

// Plain returns a path of an archived file's uncompressed content: path itself when it is not compressed, and otherwise a
// temporary file in dir, which the caller removes with the returned function.
func (c *Codecs) Plain(ctx context.Context, path, dir string) (plain string, remove func(), err error) {
	format, err := c.FormatOf(ctx, path)
	if err != nil {
		return "", nil, err
	}
	return c.plainOf(ctx, path, format, dir)
}

func (c *Codecs) plainOf(ctx context.Context, path, format, dir string) (plain string, remove func(), err error) {
	if format == "" {
		return path, func() {}, nil
	}
	temp := fsx.TempPath(filepath.Join(dir, filepath.Base(path)))
	if err := c.Decode(ctx, path, format, temp); err != nil {
		_ = os.Remove(temp)
		return "", nil, err
	}
	return temp, func() { _ = os.Remove(temp) }, nil
}

// Verify checks that a delivered file is sound WAL of a server. What is compressed is decoded to its end; dir is where that may leave
// a file meanwhile. The error is a *wal.VerifyError or *DamagedError when it is not, and of another kind when that could not be
// found out.
func (c *Codecs) Verify(ctx context.Context, path string, name wal.FileName, expect wal.Expect, dir string) error {
	head, info, err := readHead(path)
	if err != nil {
		return err
	}
	size := info.Size()
	format, err := c.Format(ctx, head)
	if err != nil {
		return err
	}
	if format != "" {
		if head, size, err = c.plainHead(ctx, path, format, dir); err != nil {
			return err
		}
	}
	_, err = wal.Verify(head, size, name, expect)
	return err
}

// plainHead decodes a whole file and returns the first bytes of its content, as readHead does, and how long that is. Nothing of it is
// kept, except where Decode may have to try a second plugin.
func (c *Codecs) plainHead(ctx context.Context, path, format, dir string) (head []byte, size int64, err error) {
	if c.LastResort != "" {
		plain, remove, err := c.plainOf(ctx, path, format, dir)
		if err != nil {
			return nil, 0, err
		}
		defer remove()
		head, info, err := readHead(plain)
		if err != nil {
			return nil, 0, err
		}
		return head, info.Size(), nil
	}
	p, id, err := c.decoder(ctx, format)
	if err != nil {
		return nil, 0, err
	}
	// Both are less work than looking through all that comes out.
	whole, err := p.TestFile(ctx, compress.FileRequest{Source: path, Options: compress.Options{Format: id}})
	if err != nil {
		if aboutContent(ctx, err) {
			err = &DamagedError{Path: path, Format: format, Err: err}
		}
		return nil, 0, err
	}
	err = c.Stream(ctx, path, format, "", func(plain io.Reader) (err error) {
		if head, err = readFirst(plain); err != nil {
			return err
		}
		return errEnough
	})
	if !errors.Is(err, errEnough) {
		return nil, 0, err
	}
	return head, whole.PlainBytes, nil
}

// errEnough ends a stream that is not to be read to its end.
var errEnough = errors.New("nothing more is wanted")

// Comparison of a delivered file with the archive.
type Comparison int

// Comparisons.
const (
	NotArchived Comparison = iota
	SameContent
	// OtherContent: the archived file is sound, and differs.
	OtherContent
	// ArchivedDamaged: the archived file is not sound, or blank, and the delivered one, which was verified, can replace it.
	ArchivedDamaged
)

// CompareArchived compares a delivered file, which was verified, with the file of its name in the archive, by their plain
// contents. Temporary files go to dir. An encrypted archived file, into which nobody can look, counts as another. A blank file, delivered or
// archived, never stands in the way of one that is not.
func (c *Codecs) CompareArchived(ctx context.Context, name wal.FileName, path, archived, dir string) (Comparison, error) {
	head, _, err := readHead(archived)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return NotArchived, nil
	case err != nil:
		return NotArchived, err
	case catalog.IsPGPEncrypted(head):
		return OtherContent, nil
	}
	plainArchived, remove, err := c.Plain(ctx, archived, dir)
	var damaged *DamagedError
	if errors.As(err, &damaged) {
		return ArchivedDamaged, nil
	}
	if err != nil {
		return NotArchived, err
	}
	defer remove()
	head, info, err := readHead(plainArchived)
	if err != nil {
		return NotArchived, err
	}
	// Without expectations: WAL of an earlier cluster of this server is sound, and older backups need it.
	if _, err := wal.Verify(head, info.Size(), name, wal.Expect{}); err != nil {
		return ArchivedDamaged, nil
	}
	same, err := c.samePlain(ctx, path, plainArchived, dir)
	switch {
	case err != nil:
		return NotArchived, err
	case same:
		return SameContent, nil
	case wal.IsBlank(head, info.Size(), name):
		return ArchivedDamaged, nil
	}
	head, info, err = readHead(path)
	switch {
	case err != nil:
		return NotArchived, err
	case wal.IsBlank(head, info.Size(), name):
		return SameContent, nil // it holds nothing that the archive has not
	}
	return OtherContent, nil
}

// samePlain tells whether two delivered files have the same plain content.
func (c *Codecs) samePlain(ctx context.Context, a, b, dir string) (bool, error) {
	if same, err := fsx.EqualFiles(a, b); same || err != nil {
		return same, err
	}
	var plain [2]string
	for i, path := range []string{a, b} {
		head, _, err := readHead(path)
		if err != nil {
			return false, err
		}
		format, err := c.Format(ctx, head)
		if err != nil {
			return false, err
		}
		var remove func()
		if plain[i], remove, err = c.plainOf(ctx, path, format, dir); err != nil {
			return false, err
		}
		defer remove()
	}
	if plain[0] == a && plain[1] == b {
		return false, nil // neither is compressed
	}
	return fsx.EqualFiles(plain[0], plain[1])
}
