package backup

import (
	"errors"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/sdk/transfer"
)

// reuse is an earlier backup whose unchanged files need no transfer.
type reuse struct {
	backup *catalog.BackupInfo
	mode   transfer.Reuse
}

// of lets an item reuse a directory of the earlier backup.
func (r *reuse) of(item *transfer.Item, dir string) {
	// A file that changed while the earlier backup ran, or in the second it began, may look unchanged and differ.
	item.SafeHorizon = r.backup.BeginTime
	item.Reuse, item.ReuseDirectory = r.mode, dir
}

// chooseReuse returns what the copy reuses, nil for nothing, and warns where that is less than was asked for.
func (s *session) chooseReuse() *reuse {
	b, err := s.reusable()
	if err != nil {
		s.Out.Warning("Backup %s cannot be reused: %s. All files are copied.", s.previous.ID, err)
	}
	if b == nil {
		return nil
	}
	mode := s.Reuse
	if mode == transfer.ReuseLink {
		if err := s.tryLink(b); err != nil {
			s.Out.Warning("Hard links to backup %s are impossible (%s). All files are copied: this backup takes its full size on disk.",
				b.ID, err)
			mode = transfer.ReuseCopy
		}
	}
	return &reuse{b, mode}
}

// reusable is the backup whose files can be reused, nil when none was asked for or there is none: it must be a finished copy
// of the same cluster, made file by file, in the same major version. The error says why the previous one is not.
func (s *session) reusable() (*catalog.BackupInfo, error) {
	if s.Reuse != transfer.ReuseLink && s.Reuse != transfer.ReuseCopy {
		return nil, nil
	}
	p := s.previous
	switch {
	case p == nil:
		return nil, nil
	case p.Type() != catalog.TypeRsync, p.SystemID != "" && p.SystemID != s.info.SystemID, p.Version/10000 != s.info.Version/10000:
		return nil, errors.New("it is of another method, cluster or version")
	}
	if _, err := os.Stat(s.Catalog.Layout.DataPath(p.ID)); err != nil {
		return nil, err
	}
	return p, nil
}

// impossible are the errors of link(2) where a file can have no second name: on another file system, or on one that has no
// hard links.
var impossible = []error{unix.EXDEV, unix.EPERM, unix.EOPNOTSUPP, unix.ENOSYS, unix.EMLINK}

// tryLink returns an error when files of a backup cannot get another name in this one. Trying is the only way to know it.
func (s *session) tryLink(from *catalog.BackupInfo) error {
	const always = "PG_VERSION" // in every data directory, and never changed
	layout := s.Catalog.Layout
	trial := filepath.Join(layout.DataPath(s.info.ID), ".barman-link")
	err := os.Link(filepath.Join(layout.DataPath(from.ID), always), trial)
	if err == nil {
		return os.Remove(trial)
	}
	for _, reason := range impossible {
		if errors.Is(err, reason) {
			return reason
		}
	}
	return nil // the copy will find out what is wrong, and say so
}

func hasTablespace(b *catalog.BackupInfo, oid uint32) bool {
	return slices.ContainsFunc(b.Tablespaces, func(t catalog.Tablespace) bool { return t.OID == oid })
}
