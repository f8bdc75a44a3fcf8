package recovery

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
)

// combines tells whether the backup is made from a chain of backups.
func (p *Plan) combines() bool { return p.Way == CombineHere || p.Way == CombineStaged }

// planChain finds the backups that an incremental one is combined from, and looks at each as at a backup of its own.
func (p *Plan) planChain(o *Options, backups *catalog.Backups, c *catalog.Catalog) {
	p.Way = CombineHere
	if o.remote() {
		p.Way = CombineStaged
	}
	chain, complete := backups.Chain(p.Backup)
	if !complete {
		p.refuse(fmt.Sprintf("Backup %s is incremental, and backup %s, which it is based on, is not in the catalog", p.Backup.ID, chain[0].ParentID),
			"Choose another backup.")
		return
	}
	staged := p.Way == CombineStaged
	for _, b := range chain {
		member := p.planMember(b, c)
		p.chain = append(p.chain, member)
		p.adopt(member)
		staged = staged || len(member.Archives) > 0
	}
	if staged {
		p.warnDeprecatedStaging(o)
		p.StagingPath = stagingPath(o)
	}
	p.checkChecksums()
}

// planMember is the part of a plan that concerns the content of one backup of the chain.
func (p *Plan) planMember(b *catalog.BackupInfo, c *catalog.Catalog) *Plan {
	m := &Plan{Server: p.Server, Backup: b}
	for _, t := range b.Tablespaces {
		m.Tablespaces = append(m.Tablespaces, Tablespace{Name: t.Name, OID: t.OID, Source: c.Layout.TablespacePath(b.ID, t.OID)})
	}
	_, packed := tarFormats[b.Compression]
	switch {
	case !b.Status.In(catalog.Usable...):
		m.refuse(fmt.Sprintf("Backup %s, which backup %s is based on, is %s", b.ID, p.Backup.ID, b.Status), "Choose another backup.")
	case b.Encryption != "" || b.Compression != "" && !packed:
		m.refuse(fmt.Sprintf("Backup %s, which backup %s is based on, is encrypted or compressed in a way that is not known", b.ID, p.Backup.ID),
			"This version cannot restore that. Choose another backup, or restore this one with Barman 3.17, which reads the same catalog.")
	case b.Version/10000 != p.Backup.Version/10000 || b.SystemID != p.Backup.SystemID:
		m.refuse(fmt.Sprintf("Backup %s, which backup %s is based on, is of another cluster", b.ID, p.Backup.ID), "Choose another backup.")
	default:
		m.planArchives(&Options{}, c.Layout)
		if packed {
			m.Way = UnpackStaged
		}
		if m.sound = m.checkSource(c); m.sound && !packed {
			m.checkLinks(c.Layout)
		}
		m.readPlanContents(c.Layout.DataPath(b.ID))
	}
	return m
}

// adopt takes over what was found out about a backup of the chain.
func (p *Plan) adopt(member *Plan) {
	p.Problems, member.Problems = append(p.Problems, member.Problems...), nil
	p.Warnings, member.Warnings = append(p.Warnings, member.Warnings...), nil
	p.Tools, member.Tools = append(p.Tools, member.Tools...), nil
}

// checkLinks refuses a backup whose tablespaces are not where its links lead: the program that combines backups follows them.
func (p *Plan) checkLinks(layout catalog.Layout) {
	for _, t := range p.Tablespaces {
		link := tablespaceLink(layout.DataPath(p.Backup.ID), t.OID)
		leads, err := os.Stat(link)
		if err == nil {
			var is os.FileInfo
			if is, err = os.Stat(t.Source); err == nil && os.SameFile(leads, is) {
				continue
			}
		}
		p.refuse(fmt.Sprintf("%s does not lead to %s, which pg_combinebackup needs", link, t.Source),
			"Has the catalog been moved? Correct the link, or use the catalog where it was.")
	}
}

// tablespaceLink is the link to a tablespace in a data directory.
func tablespaceLink(data string, oid uint32) string {
	return filepath.Join(data, "pg_tblspc", strconv.FormatUint(uint64(oid), 10))
}

// checkChecksums warns of pages that got into a cluster with checksums before it had any.
func (p *Plan) checkChecksums() {
	if p.Backup.DataChecksums != "on" {
		return
	}
	for _, m := range p.chain {
		if m.Backup.DataChecksums == "off" {
			p.warn("You are restoring from an incremental backup where checksums were enabled on that backup, but not all backups in the chain: "+
				"backup %s has none. It is advised to disable, and optionally re-enable, checksums on the restored cluster to avoid failures.", m.Backup.ID)
			return
		}
	}
}

// filesOf is how the files of the backup itself lie in the catalog: CopyFiles for a tree.
func (p *Plan) filesOf() Way {
	if n := len(p.chain); n > 0 {
		return p.chain[n-1].Way
	}
	return p.Way
}

// checkBases looks for files that were lost in the backup, or in those that it is combined from.
func (p *Plan) checkBases(ctx context.Context, layout catalog.Layout) error {
	for _, member := range p.chain {
		if err := member.checkBase(ctx, layout); err != nil {
			return err
		}
		p.adopt(member)
	}
	return p.checkBase(ctx, layout)
}

// measureChain computes how much the data directory and the tablespaces take once they are combined: what PostgreSQL said that the
// cluster takes, and of each tablespace at least the most that a backup has of it.
func (p *Plan) measureChain(ctx context.Context, layout catalog.Layout) (data int64, tablespaces []int64) {
	var elsewhere int64
	for _, t := range p.Tablespaces {
		var most int64
		for _, member := range p.chain {
			if size, err := fsx.TreeSize(ctx, layout.TablespacePath(member.Backup.ID, t.OID)); err == nil {
				most = max(most, size.Bytes)
			}
			most = max(most, member.contents[t.OID].bytes)
		}
		elsewhere += most
		tablespaces = append(tablespaces, most)
	}
	for _, member := range p.chain {
		data = max(data, member.Backup.Size.N-elsewhere)
	}
	return max(data, p.Backup.ClusterSize.N-elsewhere), tablespaces
}
