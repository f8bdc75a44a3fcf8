package passive

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/catalog/pyliteral"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/core/wal"
)

// Describer answers sync-info: it tells a passive node what this server has. The answer is, byte for byte, that of Barman 3.17, except
// that secrets in connection strings are masked (by the caller, in Config), and that nothing is said of an encryption that there is not.
type Describer struct {
	Catalog *catalog.Catalog
	Index   *catalog.WALIndex
	// Version is the version of Barman that this program stands for.
	Version string
	// Config are the server's options, with "name" as the last one.
	Config report.Object
}

// OutOfSyncError means that the mark a passive node has sent cannot be of this index. The text is Barman's.
type OutOfSyncError struct{ text string }

func (e *OutOfSyncError) Error() string { return e.text }

// errOlder is what a node gets whose last file comes before the first one here.
func errOlder(known, first string) error {
	return &OutOfSyncError{fmt.Sprintf("last_wal '%s' is older than the first available wal '%s'", known, first)}
}

// errNewer is what a node gets whose last file comes after the last one here; it has two blanks in Barman, too.
func errNewer(known, last string) error {
	return &OutOfSyncError{fmt.Sprintf("last_wal '%s' is newer than the last available wal  '%s'", known, last)}
}

// Write writes the answer for a node that knows the index up to a mark; the zero mark asks for everything. The memory that it takes does
// not depend on the number of WAL files, so it writes before it has seen all of them: after an error, what was written is of no use.
//
// Errors: *OutOfSyncError; catalog.ErrIndexRewritten; those of the file system and of w.
func (d *Describer) Write(ctx context.Context, w io.Writer, known catalog.WALMark) error {
	list, err := d.Catalog.List()
	if err != nil {
		return err
	}
	var first wal.Segment
	backups := report.Object{}
	for _, b := range list.With(catalog.Usable...) {
		if first == (wal.Segment{}) {
			first = b.BeginWAL
		}
		backups = append(backups, report.Field{Name: b.ID, Value: backupObject(b)})
	}
	out := bufio.NewWriterSize(w, 256<<10)
	err = d.Index.Since(ctx, known, func(last catalog.WALMark, isWhole bool, each func(func(catalog.WALLines)) error) error {
		head := report.Object{{Name: "last_position", Value: last.Position}, {Name: "last_name", Value: last.Name}, {Name: "backups", Value: backups}}
		if err := writeMembers(out, head); err != nil {
			return err
		}
		lines := walWriter{out: out, known: known.Name, first: first, isWhole: isWhole}
		if err := lines.run(last, each); err != nil {
			return err
		}
		return writeMembers(out, report.Object{{Name: "version", Value: d.Version}, {Name: "config", Value: d.Config}})
	})
	if err != nil {
		return err
	}
	if _, err := out.WriteString("\n}"); err != nil {
		return err
	}
	return out.Flush()
}

// writeMembers writes members of the document, each after a comma but the first, which opens it.
func writeMembers(out *bufio.Writer, members report.Object) error {
	for _, m := range members {
		var b bytes.Buffer
		if err := report.EncodeJSON(&b, m.Value, 4); err != nil {
			return err
		}
		separator := ",\n"
		if m.Name == "last_position" {
			separator = "{\n"
		}
		// Line breaks stand between members only: those in texts are escaped.
		value := bytes.ReplaceAll(b.Bytes(), []byte("\n"), []byte("\n    "))
		if _, err := fmt.Fprintf(out, "%s    \"%s\": %s", separator, m.Name, value); err != nil {
			return err
		}
	}
	return nil
}

// walWriter writes the list of WAL files.
type walWriter struct {
	out *bufio.Writer
	// known is the last file that the node knows, empty for none; first is the first that a backup here needs.
	known string
	first wal.Segment
	// isWhole tells that the index is read from its start.
	isWhole bool

	written, seen int
	line          []byte
	err           error
}

func (l *walWriter) run(last catalog.WALMark, each func(func(catalog.WALLines)) error) error {
	if l.known != "" && last.Name < l.known {
		return errNewer(l.known, last.Name)
	}
	if _, err := l.out.WriteString(",\n    \"wals\": ["); err != nil {
		return err
	}
	err := each(func(block catalog.WALLines) {
		for line, err := range block.All() {
			switch {
			case l.err != nil:
				return
			case err != nil:
				l.err = err
			default:
				l.take(line)
			}
		}
	})
	if err == nil {
		err = l.err
	}
	if err != nil {
		return err
	}
	end := "]"
	if l.written > 0 {
		end = "\n    ]"
	}
	_, err = l.out.WriteString(end)
	return err
}

// take selects as Barman does: by the text of the names.
func (l *walWriter) take(line *catalog.WALLine) {
	l.seen++
	switch {
	case l.known != "" && l.isWhole && l.seen == 1 && line.Name > l.known:
		l.err = errOlder(l.known, line.Name)
	case l.known != "" && line.Name <= l.known:
	case l.known == "" && l.first != (wal.Segment{}) && line.Name < l.first.String():
	default:
		l.write(line)
	}
}

func (l *walWriter) write(line *catalog.WALLine) {
	b := l.line[:0]
	if l.written > 0 {
		b = append(b, ',')
	}
	l.written++
	// Names of files and formats hold nothing that JSON would escape.
	b = append(b, "\n        {\n            \"compression\": "...)
	b = appendFormat(b, line.Compression)
	if line.Encryption != "" { // see backupObject
		b = append(b, ",\n            \"encryption\": "...)
		b = appendFormat(b, line.Encryption)
	}
	b = append(b, ",\n            \"name\": \""...)
	b = append(b, line.Name...)
	b = append(b, "\",\n            \"size\": "...)
	b = fmt.Append(b, line.Size)
	b = append(b, ",\n            \"time\": "...)
	b = append(b, pyliteral.FormatFloat(line.ModTime)...)
	b = append(b, "\n        }"...)
	l.line = b
	_, l.err = l.out.Write(b)
}

func appendFormat(b []byte, name string) []byte {
	if name == "" {
		return append(b, "null"...)
	}
	return fmt.Appendf(b, "%q", name)
}
