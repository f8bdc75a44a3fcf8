package manifest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
)

// Tree is where the files of a backup lie. All paths are absolute.
type Tree struct {
	// Backup is the backup's directory.
	Backup string
	// Data is the copy of the data directory, below Backup.
	Data string
	// Tablespaces are the directories that stand for pg_tblspc/OID, by OID; those that do not exist do not count.
	Tablespaces map[string]string
}

// TreeOf returns where the files of a backup of the catalog lie.
func TreeOf(layout catalog.Layout, b *catalog.BackupInfo) Tree {
	t := Tree{Backup: layout.BackupPath(b.ID), Data: layout.DataPath(b.ID), Tablespaces: map[string]string{}}
	for _, space := range b.Tablespaces {
		t.Tablespaces[strconv.FormatUint(uint64(space.OID), 10)] = layout.TablespacePath(b.ID, space.OID)
	}
	return t
}

// checkFormat returns ErrArchives for a backup that is stored as tar archives.
func (t Tree) checkFormat() error {
	archives, err := filepath.Glob(filepath.Join(escapeGlob(t.Data), "base.tar*"))
	if err == nil && len(archives) > 0 {
		err = fmt.Errorf("%s: %w", archives[0], ErrArchives)
	}
	return err
}

// escapeGlob makes a path a pattern that fits only itself.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// ErrArchives means that the files of a backup lie in tar archives, which this package does not look into.
var ErrArchives = errors.New("the backup is stored as tar archives")

// tablespacePrefix begins the path of a file in a tablespace.
const tablespacePrefix = "pg_tblspc/"

// ManifestPath is where the manifest of the data directory lies.
func (t Tree) ManifestPath() string { return filepath.Join(t.Data, Name) }

// TablespacesPath is where the manifest of the tablespaces lies.
func (t Tree) TablespacesPath() string { return filepath.Join(t.Backup, TablespacesName) }

// locate returns where the file of an entry lies. pg_basebackup leaves a symbolic link in pg_tblspc, which leads nowhere once the
// backup was moved, and a copy file by file leaves nothing there; so the directory is always named directly.
func (t Tree) locate(path string) string {
	if rest, ok := strings.CutPrefix(path, tablespacePrefix); ok {
		oid, below, _ := strings.Cut(rest, "/")
		if dir, ok := t.Tablespaces[oid]; ok && below != "" {
			return filepath.Join(dir, below)
		}
	}
	return filepath.Join(t.Data, path)
}

// found is a file on disk, by its path as a manifest names it.
type found struct {
	name string
	// kind is of what the name leads to.
	kind fs.FileMode
}

// oids are the tablespaces in the order of their numbers as text.
func (t Tree) oids() []string {
	oids := make([]string, 0, len(t.Tablespaces))
	for oid := range t.Tablespaces {
		oids = append(oids, oid)
	}
	slices.Sort(oids)
	return oids
}

// walkData yields the files of the data directory, without those of tablespaces.
func (t Tree) walkData(ctx context.Context, yield func(found) error) error {
	return walk(ctx, t.Data, "", func(f found) error {
		if rest, ok := strings.CutPrefix(f.name, tablespacePrefix); ok {
			oid, _, _ := strings.Cut(rest, "/")
			if _, ok := t.Tablespaces[oid]; ok {
				return nil // pg_basebackup's link to the tablespace; or, in the oldest layout, the tablespace itself
			}
		}
		return yield(f)
	})
}

// walkTablespace yields the files of a tablespace.
func (t Tree) walkTablespace(ctx context.Context, oid string, yield func(found) error) error {
	err := walk(ctx, t.Tablespaces[oid], tablespacePrefix+oid+"/", yield)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// walk yields everything below dir that is not a directory, in the order of the directories themselves. Symbolic links to files
// count as files; those to directories, and those that lead nowhere, are yielded as what they are.
func walk(ctx context.Context, dir, prefix string, yield func(found) error) error {
	return fsx.Walk(ctx, dir, func(path string, entry fs.DirEntry) error {
		kind := entry.Type()
		if kind.IsDir() {
			return nil
		}
		if kind == fs.ModeSymlink {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				kind = 0
			}
		}
		return yield(found{prefix + strings.TrimPrefix(path[len(filepath.Clean(dir)):], "/"), kind})
	})
}
