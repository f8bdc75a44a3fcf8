package manifest

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/barman-go/barman/core/fsx"
)

// writer writes a manifest into a temporary file.
type writer struct {
	temp  *os.File
	sum   hash.Hash
	out   *bufio.Writer
	line  []byte
	files int64
}

// create begins a manifest. The temporary file lies beside beside, not in the data directory, where it would be one more file.
func create(beside string) (*writer, error) {
	temp, err := fsx.CreateTemp(beside, 0o600)
	if err != nil {
		return nil, err
	}
	w := &writer{temp: temp, sum: sha256.New()}
	w.out = bufio.NewWriterSize(io.MultiWriter(temp, w.sum), 1<<16)
	w.print("{\"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n")
	return w, nil
}

// print leaves errors to finish: a bufio.Writer keeps the first.
func (w *writer) print(text string) { _, _ = w.out.WriteString(text) }

// add writes an entry: the members in the order of their names, as Barman does.
func (w *writer) add(f File) error {
	b := w.line[:0]
	if w.files > 0 {
		b = append(b, ",\n"...)
	}
	b = append(b, `{"Checksum": "`...)
	b = hex.AppendEncode(b, f.Checksum)
	b = append(b, `", "Checksum-Algorithm": "`...)
	b = append(b, f.Algorithm...)
	b = append(b, '"')
	if !utf8.ValidString(f.Path) {
		b = append(b, `, "Encoded-Path": "`...)
		b = hex.AppendEncode(b, []byte(f.Path))
		b = append(b, '"')
	}
	b = append(b, `, "Last-Modified": "`...)
	b = f.Modified.UTC().AppendFormat(b, "2006-01-02 15:04:05")
	b = append(b, '"')
	if utf8.ValidString(f.Path) {
		b = append(b, `, "Path": `...)
		b = appendString(b, f.Path)
	}
	b = append(b, `, "Size": `...)
	b = strconv.AppendInt(b, f.Size, 10)
	b = append(b, '}')
	w.line = b
	w.files++
	_, err := w.out.Write(b)
	return err
}

// appendString writes a JSON string in ASCII, as Python does.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r == '\b':
			b = append(b, `\b`...)
		case r == '\f':
			b = append(b, `\f`...)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, hi, lo)
		case r < 0x20 || r > 0x7e:
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = append(b, byte(r))
		}
	}
	return append(b, '"')
}

// finish completes the manifest under its final name, durably. The error matches fs.ErrExist when there is one already.
func (w *writer) finish(final string, replace bool) error {
	w.print("],\n")
	err := w.out.Flush()
	if err == nil {
		_, err = fmt.Fprintf(w.temp, "\"Manifest-Checksum\": \"%x\"}\n", w.sum.Sum(nil))
	}
	if err == nil {
		// Through the descriptor that has written: another one could miss an error of the write-back.
		err = fsx.Sync(w.temp)
	}
	if err = errors.Join(err, w.temp.Close()); err != nil {
		return errors.Join(err, os.Remove(w.temp.Name()))
	}
	publish := fsx.PublishNew
	if replace {
		publish = fsx.Publish
	}
	if err := publish(w.temp.Name(), final); err != nil {
		if removeErr := os.Remove(w.temp.Name()); !errors.Is(removeErr, os.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
		return err
	}
	return nil
}

// discard ends a manifest that will not be completed.
func (w *writer) discard() error { return errors.Join(w.temp.Close(), os.Remove(w.temp.Name())) }
