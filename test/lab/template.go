package lab

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"
)

// template is an untouched data directory. initdb takes twenty times the processor time of a copy, so each kind of cluster is
// initialized once per test process.
type template struct {
	once sync.Once
	data string
	err  error
}

// templateKey is what makes the files of two new clusters differ, besides their system identifiers.
type templateKey struct {
	bin       string
	segment   int
	checksums bool
}

// templates are one for the whole process.
var templates sync.Map // templateKey → *template

// fill makes PGDATA: a copy of a template that says of itself that it is another cluster.
func (c *Cluster) fill(ctx context.Context, o ClusterOptions) error {
	entry, _ := templates.LoadOrStore(templateKey{c.Bin, o.WALSegmentSizeMB, o.DataChecksums}, &template{})
	made := entry.(*template)
	made.once.Do(func() {
		var dir string
		if dir, made.err = NewScratchDir(); made.err == nil {
			made.data = filepath.Join(dir, "data")
			// Not with the context of the one test that happens to be the first.
			made.err = c.initdb(context.WithoutCancel(ctx), made.data, o)
		}
	})
	if made.err != nil {
		return made.err
	}
	// As the owner, so that everything is his.
	if _, err := mustRun(c.Owner.Command(ctx, c.home(), "cp", "-a", made.data, c.Data)); err != nil {
		return err
	}
	return newIdentity(c.Data)
}

// newIdentity gives a cluster that was never started a system identifier of its own. It stands in the control file, and in the
// header of the first page of each WAL segment (PostgreSQL sources: pg_control.h, xlog_internal.h).
func newIdentity(data string) error {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	id[7] &= 0x7f           // SQL shows it as a bigint
	control := filepath.Join(data, "global", "pg_control")
	content, err := os.ReadFile(control)
	if err != nil {
		return err
	}
	at, err := controlChecksum(content)
	if err != nil {
		return fmt.Errorf("%s: %w", control, err)
	}
	copy(content, id[:])
	binary.LittleEndian.PutUint32(content[at:], crc32.Checksum(content[:at], castagnoli))
	segments, err := filepath.Glob(filepath.Join(data, "pg_wal", "00000001*"))
	if err != nil || len(segments) == 0 {
		return errors.Join(err, errors.New("no WAL in a new cluster"))
	}
	errs := []error{overwrite(control, content, 0)}
	for _, segment := range segments {
		errs = append(errs, overwrite(segment, id[:], 24))
	}
	return errors.Join(errs...)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// controlChecksum finds the checksum of a control file: it follows the fields that it covers, whose number depends on the version.
func controlChecksum(content []byte) (at int, err error) {
	for at = 8; at+4 <= len(content); at += 4 {
		if crc32.Checksum(content[:at], castagnoli) == binary.LittleEndian.Uint32(content[at:]) {
			return at, nil
		}
	}
	return 0, errors.New("no checksum found")
}

// overwrite changes bytes of a file, which keeps its owner and mode.
func overwrite(path string, content []byte, offset int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, offset)
	return errors.Join(err, f.Close())
}
