package recovery

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
)

// clusterDirectories are those that initdb makes in a data directory, and pg_xlog of PostgreSQL before 10. A tablespace or a staging
// WAL directory in their place would stand for their content.
var clusterDirectories = []string{
	"base", "global", "pg_clog", "pg_commit_ts", "pg_dynshmem", "pg_logical", "pg_multixact", "pg_notify", "pg_replslot", "pg_serial",
	"pg_snapshots", "pg_stat", "pg_stat_tmp", "pg_subtrans", "pg_tblspc", "pg_twophase", "pg_wal", "pg_xact", "pg_xlog",
}

const relocate = "Relocate it with --tablespace."

// checkLayout refuses directories that would end up in one another.
func (p *Plan) checkLayout() {
	for i, t := range p.Tablespaces {
		switch {
		case inside(p.Destination, t.Location):
			p.refuse(fmt.Sprintf("Tablespace '%s' would be restored over the destination directory: %s", t.Name, t.Location), relocate)
		case p.clusterOwns(t.Location):
			p.refuse(fmt.Sprintf("Tablespace '%s' would be restored over a directory of the cluster itself: %s", t.Name, t.Location), relocate)
		}
		for _, other := range p.Tablespaces[:i] {
			if inside(t.Location, other.Location) || inside(other.Location, t.Location) {
				p.refuse(fmt.Sprintf("Tablespaces '%s' and '%s' would be restored into one another: %s and %s",
					other.Name, t.Name, other.Location, t.Location), "Relocate one of them with --tablespace.")
			}
		}
	}
	if p.Target.PITR() && p.WALDirectory != "" {
		p.checkStagingWAL()
	}
}

// checkStagingWAL refuses a directory that cannot be removed at the end of recovery, as recovery_end_command does, without what was
// restored.
func (p *Plan) checkStagingWAL() {
	const advice = "Give --staging-wal-directory a directory of its own."
	if inside(p.Destination, p.WALDirectory) || p.clusterOwns(p.WALDirectory) {
		p.refuse(fmt.Sprintf("The staging WAL directory '%s' would be removed at the end of recovery with files of the restored cluster in it",
			p.WALDirectory), advice)
		return
	}
	for _, t := range p.Tablespaces {
		if inside(t.Location, p.WALDirectory) || inside(p.WALDirectory, t.Location) {
			p.refuse(fmt.Sprintf("The staging WAL directory '%s' and tablespace '%s' would be restored into one another: %s",
				p.WALDirectory, t.Name, t.Location), advice)
		}
	}
}

// checkOutside refuses to restore into a catalog, or around one: what retention removes, and what is archived, must not meet a
// running server. Links on the way are followed.
func (p *Plan) checkOutside(catalogs []catalog.Layout) {
	const advice = "Choose a different location."
	real := fsx.RealPaths{}
	for _, dir := range p.directories() {
		at := real.Of(dir)
		for _, c := range catalogs {
			lies, holds := false, false
			for _, owned := range c.Directories() {
				// A server that is not configured right may have any.
				if filepath.IsAbs(owned) {
					lies = lies || inside(at, real.Of(owned))
					holds = holds || inside(real.Of(owned), at)
				}
			}
			switch {
			case lies:
				p.refuse(fmt.Sprintf("The destination '%s' lies in the catalog of server %s", dir, c.Server), advice)
			case holds:
				p.refuse(fmt.Sprintf("The destination '%s' holds the catalog of server %s", dir, c.Server), advice)
			}
		}
	}
}

// clusterOwns tells whether dir is one of the cluster's own directories in the destination.
func (p *Plan) clusterOwns(dir string) bool {
	rel, err := filepath.Rel(p.Destination, dir)
	return err == nil && slices.Contains(clusterDirectories, rel)
}
