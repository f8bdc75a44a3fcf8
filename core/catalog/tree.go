package catalog

import "slices"

// Incremental backups form trees: a full backup is the root, each backup points to its parent, and a parent lists its
// children. The pointer of the child is what counts here, because it never changes; the list of the parent can name
// children that are gone, or lack one, after a crash.

// Children are the backups whose parent is id, ascending.
func (l *Backups) Children(id string) []*BackupInfo {
	var found []*BackupInfo
	for _, b := range l.All {
		if b.ParentID == id && id != "" {
			found = append(found, b)
		}
	}
	return found
}

// Descendants are all backups that depend on id, each after those that depend on it: the order in which they can be
// deleted. id itself is not among them.
func (l *Backups) Descendants(id string) []*BackupInfo {
	return l.descend(id, map[string]bool{id: true}, nil)
}

// descend appends the descendants of id; seen stops at a cycle, which only a damaged catalog has.
func (l *Backups) descend(id string, seen map[string]bool, found []*BackupInfo) []*BackupInfo {
	for _, child := range l.Children(id) {
		if seen[child.ID] {
			continue
		}
		seen[child.ID] = true
		found = append(l.descend(child.ID, seen, found), child)
	}
	return found
}

// Chain is what a restore of the backup needs: its root first, itself last. complete is false when an ancestor is
// missing from the catalog; then the chain begins below it.
func (l *Backups) Chain(b *BackupInfo) (chain []*BackupInfo, complete bool) {
	seen := map[string]bool{}
	for {
		chain = append(chain, b)
		seen[b.ID] = true
		if b.ParentID == "" {
			slices.Reverse(chain)
			return chain, true
		}
		parent := l.byID[b.ParentID]
		if parent == nil || seen[parent.ID] {
			slices.Reverse(chain)
			return chain, false
		}
		b = parent
	}
}

// Root is the full backup that b depends on, b itself if it is one, nil when it is missing from the catalog.
func (l *Backups) Root(b *BackupInfo) *BackupInfo {
	chain, complete := l.Chain(b)
	if !complete {
		return nil
	}
	return chain[0]
}

// AddChild records in the parent that a child exists, and saves it. It does nothing when the parent lists the child
// already.
func (c *Catalog) AddChild(parentID, childID string) error {
	_, err := c.Update(parentID, func(b *BackupInfo) error {
		if !slices.Contains(b.ChildrenIDs, childID) {
			b.ChildrenIDs = append(slices.Clone(b.ChildrenIDs), childID)
		}
		return nil
	})
	return err
}

// RemoveChild is the opposite of AddChild, for a child that was deleted.
func (c *Catalog) RemoveChild(parentID, childID string) error {
	_, err := c.Update(parentID, func(b *BackupInfo) error {
		b.ChildrenIDs = slices.DeleteFunc(slices.Clone(b.ChildrenIDs), func(id string) bool { return id == childID })
		return nil
	})
	return err
}
