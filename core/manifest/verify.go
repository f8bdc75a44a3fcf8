package manifest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Kind is what is wrong with a file.
type Kind string

// Kinds of problems.
const (
	Missing    Kind = "missing"
	Extra      Kind = "extra"
	WrongSize  Kind = "size"
	WrongSum   Kind = "checksum"
	Unreadable Kind = "unreadable"
	NotAFile   Kind = "not a file"
	Twice      Kind = "listed twice"
)

// Problem is a difference between a backup and its manifests.
type Problem struct {
	// Path is as in the manifest.
	Path string
	Kind Kind
	// Text is a sentence, in the words of pg_verifybackup.
	Text string
}

// MaxProblems is how many problems a Report names; further ones are counted.
const MaxProblems = 1000

// Report is the outcome of a verification.
type Report struct {
	// Files and Bytes are what the manifests list.
	Files, Bytes int64
	// Problems are the first MaxProblems; Count is how many there are.
	Problems []Problem
	Count    int64
	// SystemID is what the manifest says about the cluster, empty before PostgreSQL 17.
	SystemID string
	// Unlisted are tablespaces, by OID, that have files and are not in any manifest: Barman's leave tablespaces out.
	Unlisted []string
}

func (r *Report) add(p Problem) {
	if r.Count++; r.Count <= MaxProblems {
		r.Problems = append(r.Problems, p)
	}
}

// unlistedByDesign is what may be in a data directory without being in its manifest: pg_verifybackup ignores it too.
var unlistedByDesign = []string{Name, "postgresql.auto.conf", "recovery.signal", "standby.signal"}

func ignored(path string) bool {
	return slices.Contains(unlistedByDesign, path) || strings.HasPrefix(path, "pg_wal/")
}

// Verify compares a backup with its manifests, and reads every byte that they list. The error is about the verification itself:
// it matches fs.ErrNotExist when there is no manifest, ErrDamaged when one cannot be believed, and ErrArchives for a backup of tar
// archives. What is wrong with the backup stands in the report.
func Verify(ctx context.Context, tree Tree, o Options) (*Report, error) {
	if err := tree.checkFormat(); err != nil {
		return nil, err
	}
	v := &verifier{tree: tree, meter: newMeter(o.Progress, o.Total), workers: o.Workers, report: &Report{}}
	if err := v.verifyFiles(ctx, tree.ManifestPath()); err != nil {
		return nil, err
	}
	err := v.verifyFiles(ctx, tree.TablespacesPath())
	if err == nil {
		v.tablespaces = true
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	v.sortListed()
	if err := v.findExtra(ctx); err != nil {
		return nil, err
	}
	return v.report, nil
}

// verifier is one verification.
type verifier struct {
	tree    Tree
	meter   *meter
	workers int
	report  *Report
	// listed has a mark for each path of the manifests: 16 bytes, whatever its length.
	listed []mark
	// tablespaces tells that files of tablespaces are listed.
	tablespaces bool
}

// mark stands for a path: half of its SHA-256, which no two paths share.
type mark [16]byte

func markOf(path string) mark {
	sum := sha256.Sum256([]byte(path))
	return mark(sum[:16])
}

func (m mark) compare(other mark) int { return bytes.Compare(m[:], other[:]) }

// verifyFiles compares all files that a manifest lists.
func (v *verifier) verifyFiles(ctx context.Context, path string) error {
	return ordered(ctx, v.workers,
		func(ctx context.Context, yield func(File) error) error {
			systemID, err := read(ctx, path, yield)
			if systemID != "" {
				v.report.SystemID = systemID
			}
			return err
		},
		func(ctx context.Context) func(File) (*Problem, error) {
			d := newDigester(ctx, v.meter)
			return func(f File) (*Problem, error) { return v.compare(d, f) }
		},
		func(f File, p *Problem) error {
			v.report.Files++
			v.report.Bytes += f.Size
			v.listed = append(v.listed, markOf(f.Path))
			v.tablespaces = v.tablespaces || strings.HasPrefix(f.Path, tablespacePrefix)
			if p != nil {
				v.report.add(*p)
			}
			return nil
		})
}

// compare looks at one file. The error is only that of a cancelled run.
func (v *verifier) compare(d *digester, want File) (*Problem, error) {
	problem := func(kind Kind, format string, args ...any) *Problem {
		return &Problem{Path: want.Path, Kind: kind, Text: fmt.Sprintf(format, args...)}
	}
	f, info, err := open(v.tree.locate(want.Path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return problem(Missing, "%q is present in the manifest but not on disk", want.Path), nil
	case errors.Is(err, errNotRegular):
		return problem(NotAFile, "%q is not a file or directory", want.Path), nil
	case err != nil:
		return problem(Unreadable, "could not open file %q: %s", want.Path, reason(err)), nil
	}
	defer f.Close() //nolint:errcheck // read only
	if info.Size() != want.Size {
		return problem(WrongSize, "%q has size %d on disk but size %d in the manifest", want.Path, info.Size(), want.Size), nil
	}
	if want.Algorithm == "" {
		return nil, nil
	}
	sum, size, err := d.sum(f, want.Algorithm)
	switch {
	case d.ctx.Err() != nil:
		return nil, context.Cause(d.ctx)
	case err != nil:
		return problem(Unreadable, "could not read file %q: %s", want.Path, reason(err)), nil
	case size != want.Size:
		return problem(WrongSize, "file %q should contain %d bytes, but read %d bytes", want.Path, want.Size, size), nil
	case !bytes.Equal(sum, want.Checksum):
		return problem(WrongSum, "checksum mismatch for file %q", want.Path), nil
	}
	return nil, nil
}

// reason is an error without the path, which the message has already.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// sortListed prepares for lookups.
func (v *verifier) sortListed() {
	slices.SortFunc(v.listed, mark.compare)
	before := len(v.listed)
	if v.listed = slices.Compact(v.listed); len(v.listed) < before {
		v.report.add(Problem{Kind: Twice, Text: fmt.Sprintf("%d paths stand in the manifest more than once", before-len(v.listed))})
	}
}

// findExtra reports files that no manifest lists.
func (v *verifier) findExtra(ctx context.Context) error {
	unlisted := func(f found) bool {
		_, ok := slices.BinarySearchFunc(v.listed, markOf(f.name), mark.compare)
		return !ok && !ignored(f.name)
	}
	report := func(f found) error {
		switch {
		case f.kind != 0:
			v.report.add(Problem{Path: f.name, Kind: NotAFile, Text: fmt.Sprintf("%q is not a file or directory", f.name)})
		case unlisted(f):
			v.report.add(Problem{Path: f.name, Kind: Extra, Text: fmt.Sprintf("%q is present on disk but not in the manifest", f.name)})
		}
		return nil
	}
	if err := v.tree.walkData(ctx, report); err != nil {
		return err
	}
	for _, oid := range v.tree.oids() {
		if v.tablespaces {
			if err := v.tree.walkTablespace(ctx, oid, report); err != nil {
				return err
			}
			continue
		}
		err := v.tree.walkTablespace(ctx, oid, func(found) error { return fs.SkipAll })
		if errors.Is(err, fs.SkipAll) {
			v.report.Unlisted = append(v.report.Unlisted, oid)
		} else if err != nil {
			return err
		}
	}
	return nil
}
