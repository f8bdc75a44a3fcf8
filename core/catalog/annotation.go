package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/barman-go/barman/core/fsx"
)

// Keep says whether a backup is kept beyond the retention policy, and what of it.
type Keep string

// Values of Keep.
const (
	// KeepNone: the retention policy decides.
	KeepNone Keep = ""
	// KeepFull: the backup and all WAL after it, so that any later moment can be recovered.
	KeepFull Keep = "full"
	// KeepStandalone: the backup and only the WAL that makes it consistent.
	KeepStandalone Keep = "standalone"
)

// Keys of annotations.
const (
	keepKey   = "keep"
	deleteKey = "delete_this"
)

// KeepOf returns the keep of a backup. Like Barman, it takes any unknown text for full. An empty file, which a crash
// can leave, is full too: Barman refuses to delete such a backup by hand, yet lets retention have it; here it is safe
// from both.
func (c *Catalog) KeepOf(id string) (Keep, error) {
	text, found, err := c.annotation(id, keepKey)
	switch {
	case err != nil || !found:
		return KeepNone, err
	case Keep(text) == KeepStandalone:
		return KeepStandalone, nil
	}
	return KeepFull, nil
}

// Keeps returns the keep of every backup that has one, by id: the same as KeepOf for each, with one look at the
// directory.
func (c *Catalog) Keeps() (map[string]Keep, error) {
	ids, err := c.annotated(keepKey)
	if err != nil {
		return nil, err
	}
	keeps := make(map[string]Keep, len(ids))
	for id := range ids {
		keep, err := c.KeepOf(id)
		if err != nil {
			return nil, err
		}
		if keep != KeepNone {
			keeps[id] = keep
		}
	}
	return keeps, nil
}

// SetKeep keeps a backup, durably. Whether it may be kept is the caller's question: only a DONE backup that is not
// incremental may. KeepNone releases it.
func (c *Catalog) SetKeep(id string, keep Keep) error {
	switch keep {
	case KeepNone:
		return c.removeAnnotation(id, keepKey)
	case KeepFull, KeepStandalone:
		return c.annotate(id, keepKey, string(keep))
	}
	return fmt.Errorf("unknown keep target %q: want full or standalone", keep)
}

// MarkDelete records, durably, that a delete of the backup has begun, so that one which is interrupted is completed
// later and its remains are not taken for a backup.
func (c *Catalog) MarkDelete(id string) error { return c.annotate(id, deleteKey, "delete") }

// UnmarkDelete takes the mark away: when the delete was refused before it removed anything, or when all is removed.
func (c *Catalog) UnmarkDelete(id string) error { return c.removeAnnotation(id, deleteKey) }

// MarkedForDelete tells whether a delete of the backup has begun.
func (c *Catalog) MarkedForDelete(id string) (bool, error) {
	_, found, err := c.annotation(id, deleteKey)
	return found, err
}

// Marked are the backups whose delete has begun.
func (c *Catalog) Marked() (map[string]bool, error) { return c.annotated(deleteKey) }

// annotated are the ids that have an annotation.
func (c *Catalog) annotated(key string) (map[string]bool, error) {
	names, err := listNames(c.Layout.Meta())
	if err != nil {
		return nil, err
	}
	ids := make(map[string]bool)
	for _, name := range names {
		if id, ok := strings.CutSuffix(name, "-"+key); ok && ValidID(id) {
			ids[id] = true
		}
	}
	bases, err := listNames(c.Layout.Base)
	if err != nil {
		return nil, err
	}
	for _, id := range bases {
		if ValidID(id) && !ids[id] {
			if found, err := exists(c.Layout.LegacyAnnotationPath(id, key)); err == nil && found {
				ids[id] = true
			}
		}
	}
	return ids, nil
}

// annotation reads an annotation from meta/, or from its legacy place. Barman moves a legacy one when it reads it;
// here reading changes nothing, and only a write moves it.
func (c *Catalog) annotation(id, key string) (text string, found bool, err error) {
	if !ValidID(id) {
		return "", false, fmt.Errorf("%q is not a backup id such as 20260111T100000", id)
	}
	for _, path := range []string{c.Layout.AnnotationPath(id, key), c.Layout.LegacyAnnotationPath(id, key)} {
		data, err := os.ReadFile(path)
		if err == nil {
			return strings.TrimSpace(string(data)), true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", false, err
		}
	}
	return "", false, nil
}

func (c *Catalog) annotate(id, key, value string) error {
	if !ValidID(id) {
		return fmt.Errorf("%q is not a backup id such as 20260111T100000", id)
	}
	if err := fsx.MkdirAll(c.Layout.Meta(), dirMode); err != nil {
		return err
	}
	if err := fsx.WriteFile(c.Layout.AnnotationPath(id, key), []byte(value), fileMode); err != nil {
		return err
	}
	// Barman renames a legacy annotation over the new one whenever it reads; without this, an old value would come
	// back.
	return c.removeLegacyAnnotation(id, key)
}

func (c *Catalog) removeAnnotation(id, key string) error {
	if !ValidID(id) {
		return fmt.Errorf("%q is not a backup id such as 20260111T100000", id)
	}
	if err := c.removeLegacyAnnotation(id, key); err != nil {
		return err
	}
	return fsx.Remove(c.Layout.AnnotationPath(id, key))
}

func (c *Catalog) removeLegacyAnnotation(id, key string) error {
	legacy := c.Layout.LegacyAnnotationPath(id, key)
	if found, err := exists(legacy); !found {
		return err
	}
	if err := fsx.Remove(legacy); err != nil {
		return err
	}
	// The directory is of no use when it is empty, and harmless when it is not.
	if err := os.Remove(filepath.Dir(legacy)); err != nil && !errors.Is(err, fs.ErrExist) && !isNotEmpty(err) {
		return err
	}
	return nil
}
