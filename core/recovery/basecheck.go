package recovery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/manifest"
)

// checkBase looks for files of the backup that were lost or cut, when it has a manifest. Their content is not read: that is what
// `barman verify-backup` is for.
func (p *Plan) checkBase(ctx context.Context, layout catalog.Layout) error {
	if p.Way != CopyFiles || !p.sound {
		return nil
	}
	found, err := manifest.Glance(ctx, manifest.TreeOf(layout, p.Backup))
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, fs.ErrNotExist):
		return nil // a backup need not have one
	case err != nil:
		p.warn("The manifest of the backup cannot be read, so that its files cannot be compared with it: %v", err)
	case found.Count > 0:
		more := ""
		if found.Count > 1 {
			more = fmt.Sprintf(" (and %d more)", found.Count-1)
		}
		p.refuse(fmt.Sprintf("Backup %s is damaged: %s%s", p.Backup.ID, found.Problems[0].Text, more),
			fmt.Sprintf("Choose another backup. barman verify-backup %s %s finds all that is wrong with this one. To restore what there is of it, move %s away first.",
				p.Server, p.Backup.ID, manifest.TreeOf(layout, p.Backup).ManifestPath()))
	}
	return nil
}
