package passive

import (
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/barman-go/barman/core/catalog"
	"github.com/barman-go/barman/core/fsx"
	"github.com/barman-go/barman/sdk/transfer"
)

// items are the copy of a whole backup: one item, and one more for each tablespace that has a limit of its own. The links of pg_tblspc
// are left out, because they would be followed, and the tablespaces be copied twice; linkTablespaces makes them anew.
func (s *BackupSync) items(b *catalog.BackupInfo, list *catalog.Backups, source, dir string) []transfer.Item {
	whole := transfer.Item{
		Label: b.ID, Kind: transfer.Directory, Source: source, Destination: dir, DeleteExtra: true,
		ExcludeAndProtect: []string{"/backup.info", "/.backup.lock"}, Reuse: transfer.ReuseOff,
	}
	for _, t := range b.Tablespaces {
		whole.ExcludeAndProtect = append(whole.ExcludeAndProtect, fmt.Sprintf("/data/pg_tblspc/%d", t.OID))
	}
	other := reusable(b, list)
	if mode := s.reuseMode(b); mode != transfer.ReuseOff && other != nil {
		whole.Reuse, whole.ReuseDirectory = mode, s.Catalog.Layout.BackupPath(other.ID)
		if empty, err := fsx.IsEmptyDir(dir); err == nil && empty {
			// A file that changed while the earlier backup ran, or in the second it began, may look unchanged and differ. What an
			// interrupted run has left here is not trusted at all.
			whole.SafeHorizon = older(other, b).BeginTime
		}
	}
	var limited []transfer.Item
	for _, t := range b.Tablespaces {
		limit := s.TablespaceLimits[t.Name]
		if limit <= 0 || b.Compression != "" {
			continue // archives lie together in one directory
		}
		oid := strconv.FormatUint(uint64(t.OID), 10)
		item := whole
		item.Label, item.Source, item.Destination = t.Name, filepath.Join(source, oid), filepath.Join(dir, oid)
		item.ExcludeAndProtect, item.BandwidthLimit = nil, limit
		if item.ReuseDirectory != "" {
			item.ReuseDirectory = filepath.Join(item.ReuseDirectory, oid)
		}
		limited = append(limited, item)
	}
	for _, item := range limited {
		whole.ExcludeAndProtect = append(whole.ExcludeAndProtect, "/"+filepath.Base(item.Source))
	}
	return append([]transfer.Item{whole}, limited...)
}

// older is the older of two backups.
func older(a, b *catalog.BackupInfo) *catalog.BackupInfo {
	if a.ID < b.ID {
		return a
	}
	return b
}

func (s *BackupSync) reuseMode(b *catalog.BackupInfo) transfer.Reuse {
	switch {
	case s.Reuse == "link", s.Reuse == "" && sharesFiles(b):
		return transfer.ReuseLink
	case s.Reuse == "copy":
		return transfer.ReuseCopy
	}
	return transfer.ReuseOff
}

// reusable is a backup here whose files a backup can share: the one before it, or else the one after it, if it was copied file by file
// from the same cluster.
func reusable(b *catalog.BackupInfo, list *catalog.Backups) *catalog.BackupInfo {
	for _, other := range []*catalog.BackupInfo{list.Previous(b.ID, catalog.Usable...), list.Next(b.ID, catalog.Usable...)} {
		// Python passive nodes write the mode "passive" instead of how it was taken.
		if other != nil && b.Type() == catalog.TypeRsync && (other.Type() == catalog.TypeRsync || other.Mode == catalog.ModePassive) &&
			other.SystemID == b.SystemID && other.Version/10000 == b.Version/10000 {
			return other
		}
	}
	return nil
}
