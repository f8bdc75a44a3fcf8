package maintenance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/barman-go/barman/core/catalog"
)

// markSuffix ends the names of the marks in meta/.
const markSuffix = "-delete_this"

// keptAndMarked are warnings of deletes whose process died and that cannot be completed, because the backup is kept.
func (k *Keeper) keptAndMarked(s Situation) (warnings []string) {
	for _, b := range s.Backups.All {
		if s.Marked[b.ID] && s.Keeps[b.ID] != catalog.KeepNone {
			warnings = append(warnings, fmt.Sprintf("The delete of backup %s of server %s was interrupted, and the backup is kept: it is not "+
				"deleted. Release it to let the delete complete, or remove %s to have it back",
				b.ID, k.Server, k.Catalog.Layout.AnnotationPath(b.ID, strings.TrimPrefix(markSuffix, "-"))))
		}
	}
	return warnings
}

// removeStrayMarks removes the marks of backups that have no description any more, with any content that is left: the last
// steps of a delete were missing.
func (k *Keeper) removeStrayMarks(list *catalog.Backups) error {
	entries, err := os.ReadDir(k.Catalog.Layout.Meta())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	described := map[string]bool{}
	for _, b := range list.All {
		described[b.ID] = true
	}
	for _, u := range list.Unreadable {
		described[u.ID] = true
	}
	var errs []error
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), markSuffix)
		if !ok || !catalog.ValidID(id) || described[id] {
			continue
		}
		// Deleted meanwhile by somebody else, or described meanwhile: look again.
		if _, err := k.Catalog.Load(id); errors.Is(err, catalog.ErrNoBackup) {
			errs = append(errs, k.removeContent(id), k.Catalog.UnmarkDelete(id))
		}
	}
	return errors.Join(errs...)
}
