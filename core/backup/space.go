package backup

import (
	"fmt"

	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/core/report"
	"github.com/barman-go/barman/sdk/transfer"
)

// checkSpace refuses a backup that cannot fit on the disk, before anything is copied. Where it may take less than the
// cluster does, too little space is only a reason for a warning. The size of the cluster is that of its tablespaces, as
// PostgreSQL sums them up.
func (s *session) checkSpace() error {
	need := s.info.ClusterSize
	if !need.Valid {
		return nil // the role may not know
	}
	space, err := fsx.SpaceOf(s.Catalog.Layout.Base)
	if err != nil || space.Free >= need.N {
		return err
	}
	text := fmt.Sprintf("the cluster's size is %s, and %s has %s of free space",
		report.Size(need.N), s.Catalog.Layout.Base, report.Size(space.Free))
	if why := s.savesSpace(space); why != "" {
		s.Out.Warning("The backup may not fit: %s; %s", text, why)
		return nil
	}
	return fmt.Errorf("not enough space: %s; delete backups, or make the disk larger", text)
}

// savesSpace says why the backup may take less than the size of the cluster; empty when it does not.
func (s *session) savesSpace(space fsx.Space) string {
	if b, err := s.reusable(); err == nil && b != nil && s.Reuse == transfer.ReuseLink {
		return "it shares files with backup " + b.ID
	}
	if s.Parent != "" {
		return "it has only what was changed since backup " + s.Parent
	}
	if s.Mode == transfer.SelfContained && s.Compression != nil && s.Compression.Algorithm != "none" {
		return "it is compressed"
	}
	if space.Compresses {
		return "the file system may compress it"
	}
	return ""
}
