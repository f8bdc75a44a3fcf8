package basebackup

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/toolexec"
	"github.com/barman-go/barman/sdk/transfer"
)

// maxLabel is far more than a backup_label holds: a few lines and the user's label of at most 1 kB.
const maxLabel = 64 << 10

// label returns the text of backup_label, from the tree or, through the program codec, from the archive of the data directory.
func (e *Executor) label(ctx context.Context, req *transfer.TakeBackupRequest, codec string) (string, error) {
	c := req.Compression
	if c == nil || c.Algorithm == "" || c.Format == "plain" {
		text, err := os.ReadFile(filepath.Join(req.Destination, "backup_label"))
		if err != nil {
			return "", missingLabel(err)
		}
		return string(text), nil
	}
	a, _ := findAlgorithm(c.Algorithm)
	archive := filepath.Join(req.Destination, "base.tar"+a.extension)
	text, err := e.labelOf(ctx, archive, a, codec)
	if err != nil {
		return "", fmt.Errorf("%s: %w", archive, err)
	}
	return text, nil
}

func (e *Executor) labelOf(ctx context.Context, archive string, a algorithm, codec string) (string, error) {
	f, err := os.Open(archive)
	if err != nil {
		return "", missingLabel(err)
	}
	defer f.Close() //nolint:errcheck // only read
	switch {
	case a.decoder != nil:
		return e.labelThrough(ctx, f, codec, a.decoder[1:])
	case a.extension == ".gz":
		z, err := gzip.NewReader(f)
		if err != nil {
			return "", err
		}
		return findLabel(z)
	}
	return findLabel(f)
}

// labelThrough reads the archive through a decoder, which is stopped when the label is found: it comes first.
func (e *Executor) labelThrough(ctx context.Context, f *os.File, codec string, args []string) (string, error) {
	found := errors.New("label found")
	r, w := io.Pipe()
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := findLabel(r)
		answers <- answer{text, err}
		r.CloseWithError(found)
	}()
	_, err := toolexec.Run(ctx, toolexec.Command{
		Name: codec, Args: args, PathPrefix: e.env.PathPrefix, Stdin: f, Stdout: w,
	})
	w.CloseWithError(io.ErrUnexpectedEOF)
	if err != nil && !errors.Is(err, found) {
		<-answers
		return "", err
	}
	a := <-answers
	return a.text, a.err
}

func findLabel(r io.Reader) (string, error) {
	archive := tar.NewReader(r)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return "", missingLabel(fs.ErrNotExist)
		}
		if err != nil {
			return "", err
		}
		if header.Name == "backup_label" {
			text, err := io.ReadAll(io.LimitReader(archive, maxLabel))
			return string(text), err
		}
	}
}

func missingLabel(err error) error {
	return diag.Diagnostic{
		Severity: diag.Error, Code: diag.CodeCorrupt, Summary: "the backup has no backup_label", Detail: err.Error(),
	}
}

var endOfWAL = regexp.MustCompile(`"End-LSN":\s*"([0-9A-F]+/[0-9A-F]+)"`)

// endLSN returns where the WAL that the backup needs ends, from the last range of backup_manifest (PostgreSQL 13 and
// later; PostgreSQL manual, "Backup Manifest WAL Range Object"). It is empty when there is no manifest.
func endLSN(manifest string) (string, error) {
	f, err := os.Open(manifest)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	// The ranges are followed only by the manifest's checksum; the list of files before them may be long.
	tail := make([]byte, min(info.Size(), 64<<10))
	if _, err := f.ReadAt(tail, info.Size()-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	all := endOfWAL.FindAllSubmatch(tail, -1)
	if len(all) == 0 {
		return "", nil
	}
	return string(all[len(all)-1][1]), nil
}
