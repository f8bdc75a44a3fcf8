package retention

import "fmt"

// trees is what depends on what.
type trees struct {
	// roots maps an incremental backup to the full one it depends on; one whose chain is not complete is not in it.
	roots map[string]string
	// needed says why a backup must stay for another one that depends on it, whatever the policy says of it.
	needed map[string]string
	// doomed maps a backup to the one whose delete takes it along; itself, when its own delete began.
	doomed map[string]string
}

// growTrees looks at every chain once.
func (e *evaluation) growTrees() {
	e.verdict = make(map[string]Verdict, len(e.backups))
	e.children = make(map[string]Verdict)
	e.trees = trees{roots: make(map[string]string), needed: make(map[string]string), doomed: make(map[string]string)}
	byID := make(map[string]*Backup, len(e.backups))
	for i := range e.backups {
		b := &e.backups[i]
		if b.Doomed && b.Keep != KeepNone {
			b.Doomed = false
		}
		if b.Doomed {
			b.Done = false
		}
		byID[b.ID] = b
	}
	chains := make(map[string][]*Backup, len(e.backups))
	for i := range e.backups {
		b := &e.backups[i]
		chain, complete := ancestors(b, byID)
		chains[b.ID] = chain
		if complete && len(chain) > 0 {
			e.roots[b.ID] = chain[len(chain)-1].ID
		}
		why := ""
		switch {
		case b.InProgress:
			why = fmt.Sprintf("incremental backup %s, which depends on it, is being taken", b.ID)
		case b.Parent != "" && b.Keep != KeepNone:
			why = fmt.Sprintf("incremental backup %s, which depends on it, is kept", b.ID)
		}
		for _, ancestor := range chain {
			if why != "" {
				e.needed[ancestor.ID] = why
			}
		}
	}
	for _, b := range e.backups {
		for _, above := range append([]*Backup{byID[b.ID]}, chains[b.ID]...) {
			if above.Doomed && e.needed[above.ID] == "" && !above.InProgress {
				e.doomed[b.ID] = above.ID
				break
			}
		}
	}
}

// ancestors are the backups that b depends on, its parent first. complete is false when one of them is missing, or when
// they form a cycle, as only a damaged catalog has.
func ancestors(b *Backup, byID map[string]*Backup) (chain []*Backup, complete bool) {
	seen := map[string]bool{b.ID: true}
	for b.Parent != "" {
		parent := byID[b.Parent]
		if parent == nil || seen[parent.ID] {
			return chain, false
		}
		seen[parent.ID] = true
		chain = append(chain, parent)
		b = parent
	}
	return chain, true
}
