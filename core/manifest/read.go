package manifest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/barman-go/barman/core/pattern"
)

// ErrDamaged means that a manifest itself is damaged, or none.
var ErrDamaged = errors.New("damaged manifest")

// maxLastLine is more than the line with the checksum ever has.
const maxLastLine = 4 << 10

var lastLine = pattern.New(`^\s*"Manifest-Checksum"\s*:\s*"([0-9A-Fa-f]{64})"\s*\}\s*$`)

// read checks a manifest against its own checksum and then yields its entries, one at a time. It returns the system identifier of
// the cluster, which manifests have from PostgreSQL 17 on, or an empty string. Faults of the manifest match ErrDamaged.
func read(ctx context.Context, path string, yield func(File) error) (systemID string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // read only
	if err := checkSum(ctx, f); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	systemID, err = parse(bufio.NewReaderSize(f, 1<<16), yield)
	if errors.Is(err, ErrDamaged) {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return systemID, err
}

// checkSum compares the checksum in the last line with that of everything before it.
func checkSum(ctx context.Context, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	end := make([]byte, min(info.Size(), maxLastLine))
	if _, err := f.ReadAt(end, info.Size()-int64(len(end))); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !bytes.HasSuffix(end, []byte("\n")) {
		return fmt.Errorf("%w: the last line is not terminated", ErrDamaged)
	}
	begin := bytes.LastIndexByte(end[:len(end)-1], '\n') + 1
	match := lastLine.FindStringSubmatch(string(end[begin:]))
	if begin == 0 || match == nil {
		return fmt.Errorf("%w: the last line is not its checksum", ErrDamaged)
	}
	want, err := hex.DecodeString(match[1])
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	sum := sha256.New()
	covered := info.Size() - int64(len(end)-begin)
	piece := make([]byte, pieceSize)
	for r := io.NewSectionReader(f, 0, covered); ; {
		n, err := r.Read(piece)
		sum.Write(piece[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
	}
	if !bytes.Equal(sum.Sum(nil), want) {
		return fmt.Errorf("%w: manifest checksum mismatch", ErrDamaged)
	}
	return nil
}

// parse reads the JSON. Members that are not known are skipped: later versions of PostgreSQL have more.
func parse(r io.Reader, yield func(File) error) (systemID string, err error) {
	d := json.NewDecoder(r)
	if err := expect(d, json.Delim('{')); err != nil {
		return "", err
	}
	version := ""
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return "", damaged(err)
		}
		var value json.Number
		switch key {
		case "PostgreSQL-Backup-Manifest-Version":
			err = damaged(d.Decode(&value))
			version = value.String()
			if err == nil && version != "1" && version != "2" {
				err = fmt.Errorf("%w: version %s is not known", ErrDamaged, version)
			}
		case "System-Identifier":
			err = damaged(d.Decode(&value))
			systemID = value.String()
		case "Files":
			err = parseFiles(d, yield)
		default:
			err = damaged(d.Decode(new(json.RawMessage)))
		}
		if err != nil {
			return "", err
		}
	}
	if version == "" {
		return "", fmt.Errorf("%w: it has no version", ErrDamaged)
	}
	return systemID, expect(d, json.Delim('}'))
}

func parseFiles(d *json.Decoder, yield func(File) error) error {
	if err := expect(d, json.Delim('[')); err != nil {
		return err
	}
	for d.More() {
		var e entry
		if err := d.Decode(&e); err != nil {
			return damaged(err)
		}
		f, err := e.file()
		if err != nil {
			return err
		}
		if err := yield(f); err != nil {
			return err
		}
	}
	return expect(d, json.Delim(']'))
}

func expect(d *json.Decoder, want json.Delim) error {
	got, err := d.Token()
	if err != nil {
		return damaged(err)
	}
	if got != want {
		return fmt.Errorf("%w: %v where %v should be", ErrDamaged, got, want)
	}
	return nil
}

func damaged(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// entry is a file as it stands in a manifest.
type entry struct {
	Path        *string `json:"Path"`
	EncodedPath *string `json:"Encoded-Path"`
	Size        *int64  `json:"Size"`
	Algorithm   string  `json:"Checksum-Algorithm"`
	Checksum    string  `json:"Checksum"`
}

func (e entry) file() (File, error) {
	var f File
	switch {
	case (e.Path == nil) == (e.EncodedPath == nil):
		return f, fmt.Errorf("%w: a file must have one path", ErrDamaged)
	case e.Path != nil:
		f.Path = *e.Path
	default:
		raw, err := hex.DecodeString(*e.EncodedPath)
		if err != nil {
			return f, fmt.Errorf("%w: path %q: %w", ErrDamaged, *e.EncodedPath, err)
		}
		f.Path = string(raw)
	}
	if !filepath.IsLocal(f.Path) || slices.Contains(strings.Split(f.Path, "/"), "..") || strings.ContainsRune(f.Path, 0) {
		return f, fmt.Errorf("%w: %q is not a path inside the backup", ErrDamaged, f.Path)
	}
	if e.Size == nil || *e.Size < 0 {
		return f, fmt.Errorf("%w: %q has no size", ErrDamaged, f.Path)
	}
	f.Size, f.Algorithm = *e.Size, e.Algorithm
	if f.Algorithm == "" && e.Checksum == "" {
		return f, nil // pg_basebackup --manifest-checksums=NONE
	}
	if algorithms[f.Algorithm] == nil {
		return f, fmt.Errorf("%w: %q has a checksum of the unknown algorithm %q", ErrDamaged, f.Path, f.Algorithm)
	}
	var err error
	if f.Checksum, err = hex.DecodeString(e.Checksum); err != nil || len(f.Checksum) != algorithms[f.Algorithm]().Size() {
		return f, fmt.Errorf("%w: %q has a checksum that is none of %s", ErrDamaged, f.Path, f.Algorithm)
	}
	return f, nil
}
