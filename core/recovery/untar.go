package recovery

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// untar unpacks one archive of pg_basebackup into a directory.
//
// Nothing leaves the directory, whatever the archive says: names are checked, and files are made through an os.Root, which
// follows no link out of it. There are only files and directories; the links of pg_tblspc are made afterwards, by
// linkTablespaces.
type untar struct {
	// exclude tells which names are left out.
	exclude func(name string) bool
	// rename gives a file another name; nil for none.
	rename map[string]string
	// need are the names that the archive must have.
	need []string
	// written is called with every piece that was written, and with files 1 when a file is complete.
	written func(bytes, files int64)
}

// unpackBuffer is how much is moved at a time, in bytes.
const unpackBuffer = 1 << 20

// unpack reads the archive to its end.
func (u *untar) unpack(ctx context.Context, src io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // nothing was written through it
	in := &counted{ctx: ctx, r: src}
	archive := tar.NewReader(in)
	missing := map[string]bool{}
	for _, name := range u.need {
		missing[name] = true
	}
	buffer := make([]byte, unpackBuffer)
	// end is where the last entry ends, from the beginning of the archive.
	var end int64
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return explain(err)
		}
		end = in.n + (header.Size+tarBlock-1)/tarBlock*tarBlock
		if err := u.entry(root, header, archive, buffer); err != nil {
			return fmt.Errorf("%s: %w", header.Name, explain(err))
		}
		delete(missing, path.Clean(header.Name))
	}
	if in.n < end+2*tarBlock {
		// The reader takes the end of the file for the end of the archive.
		return errors.New("the archive is cut short: its end is missing")
	}
	for _, name := range u.need {
		if missing[name] {
			return fmt.Errorf("the archive has no %s", name)
		}
	}
	return nil
}

// explain puts a cut archive into words.
func explain(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, tar.ErrHeader) {
		return fmt.Errorf("the archive is cut short or damaged: %w", err)
	}
	return err
}

// entry unpacks one file or directory.
func (u *untar) entry(root *os.Root, header *tar.Header, content io.Reader, buffer []byte) error {
	name := path.Clean(header.Name)
	if !filepath.IsLocal(name) || strings.ContainsRune(name, 0) {
		return errors.New("the name leads out of the directory; nothing of this kind is ever in a backup")
	}
	if name == "." || u.exclude(name) {
		return nil
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return makeDir(root, name, header.FileInfo().Mode().Perm())
	case tar.TypeReg:
		if renamed := u.rename[name]; renamed != "" {
			name = renamed
		}
		return u.file(root, name, header, content, buffer)
	}
	return fmt.Errorf("an entry of type %q; a backup has files and directories only", header.Typeflag)
}

// makeDir makes a directory with its mode; the archive has the parents before, but nobody depends on that.
func makeDir(root *os.Root, name string, mode os.FileMode) error {
	if err := root.MkdirAll(name, 0o700); err != nil {
		return err
	}
	return root.Chmod(name, mode)
}

func (u *untar) file(root *os.Root, name string, header *tar.Header, content io.Reader, buffer []byte) error {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	f, err := root.OpenFile(name, flags, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
			return err
		}
		f, err = root.OpenFile(name, flags, 0o600)
	}
	if err != nil {
		return err
	}
	// Hidden, so that io.CopyBuffer uses the buffer.
	_, err = io.CopyBuffer(writing{f, u.written}, struct{ io.Reader }{content}, buffer)
	if err == nil {
		// After the content, for as long as the file is written it is private.
		err = f.Chmod(header.FileInfo().Mode().Perm())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	u.written(0, 1)
	return root.Chtimes(name, time.Time{}, header.ModTime)
}

// writing tells what is written.
type writing struct {
	w       io.Writer
	written func(bytes, files int64)
}

func (w writing) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	w.written(int64(n), 0)
	return n, err
}

// counted counts what is read, and ends when ctx does.
type counted struct {
	ctx context.Context
	r   io.Reader
	n   int64
}

func (c *counted) Read(p []byte) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// matches tells whether patterns such as "/log/*" and "/postmaster.pid" match a name or a directory on the way to it. They
// are anchored, and a star stands for anything but a slash, as rsync has it.
func matches(patterns []string, name string) bool {
	for part := "/" + name; part != "/"; part = path.Dir(part) {
		for _, pattern := range patterns {
			if ok, _ := path.Match(pattern, part); ok {
				return true
			}
		}
	}
	return false
}
