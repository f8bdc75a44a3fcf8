package maintenance

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/barman-go/barman/core/catalog"
)

// markSuffix ends the names of the marks in meta/.
const markSuffix = "-delete_this"

// resumeDeletes completes the deletes whose process died.
func (k *Keeper) resumeDeletes(ctx context.Context) error {
	list, keeps, err := k.backups()
	if err != nil {
		return err
	}
	var errs []error
	for _, b := range list.All {
		marked, err := k.Catalog.MarkedForDelete(b.ID)
		switch {
		case err != nil:
			errs = append(errs, err)
		case !marked:
		case keeps[b.ID] != catalog.KeepNone:
			k.Out.Warning("The delete of backup %s of server %s was interrupted, and the backup is kept: it is not deleted. "+
				"Release it to let the delete complete, or remove %s to have it back",
				b.ID, k.Server, k.Catalog.Layout.AnnotationPath(b.ID, strings.TrimPrefix(markSuffix, "-")))
		default:
			errs = append(errs, k.expire(ctx, b.ID, list, "Completing the interrupted delete of backup %s for server %s"))
		}
	}
	return errors.Join(append(errs, k.removeStrayMarks(list))...)
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
