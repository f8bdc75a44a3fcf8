package catalog

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/barman-go/barman/core/wal"
)

// Layout says where the parts of one server's catalog lie. All directories are absolute paths; Server is the server's
// name, which is part of some file names. The functions only compute paths unless they say that they look.
type Layout struct {
	Server string
	// Backup is backup_directory; meta/ and identity.json lie in it whatever the other directories are.
	Backup string
	// Base is basebackups_directory: one directory for each backup.
	Base string
	// WALs is wals_directory, the archive.
	WALs string
	// Incoming is incoming_wals_directory, where archive_command delivers.
	Incoming string
	// Streaming is streaming_wals_directory, where receive-wal writes.
	Streaming string
	// Errors is errors_directory, where archive-wal puts what it cannot use.
	Errors string
	// XlogDB is xlogdb_directory, which holds the list of archived WAL files.
	XlogDB string
}

// DefaultLayout is the layout of a server that configures no directory: everything below home/server.
func DefaultLayout(home, server string) Layout {
	backup := filepath.Join(home, server)
	wals := filepath.Join(backup, "wals")
	return Layout{
		Server:    server,
		Backup:    backup,
		Base:      filepath.Join(backup, "base"),
		WALs:      wals,
		Incoming:  filepath.Join(backup, "incoming"),
		Streaming: filepath.Join(backup, "streaming"),
		Errors:    filepath.Join(backup, "errors"),
		XlogDB:    wals,
	}
}

// Directories are those that check, backup and a passive node create when they are missing, parents first. meta/ is
// not among them: the first backup.info creates it.
func (l Layout) Directories() []string {
	return []string{l.Backup, l.Base, l.Errors, l.Incoming, l.Streaming, l.WALs, l.XlogDB}
}

const (
	infoSuffix     = "-backup.info"
	legacyInfoName = "backup.info"
)

// Meta is the directory of backup.info files and annotations.
func (l Layout) Meta() string { return filepath.Join(l.Backup, "meta") }

// InfoPath is where the backup.info of a backup is written.
func (l Layout) InfoPath(id string) string { return filepath.Join(l.Meta(), id+infoSuffix) }

// LegacyInfoPath is where Barman up to 3.13.1 wrote it. It is still read when there is no file at InfoPath.
func (l Layout) LegacyInfoPath(id string) string {
	return filepath.Join(l.BackupPath(id), legacyInfoName)
}

// AnnotationPath is where an annotation of a backup is written.
func (l Layout) AnnotationPath(id, key string) string { return filepath.Join(l.Meta(), id+"-"+key) }

// LegacyAnnotationPath is where Barman up to 3.13.2 wrote it.
func (l Layout) LegacyAnnotationPath(id, key string) string {
	return filepath.Join(l.BackupPath(id), "annotations", key)
}

// IdentityPath is the file that ties the catalog to one PostgreSQL cluster.
func (l Layout) IdentityPath() string { return filepath.Join(l.Backup, "identity.json") }

// ActiveModelPath is the file with the name of the active configuration model.
func (l Layout) ActiveModelPath() string { return filepath.Join(l.Backup, ".active-model.auto") }

// PrimaryInfoPath is, on a passive node, the last answer of its primary.
func (l Layout) PrimaryInfoPath() string { return filepath.Join(l.Backup, "primary.info") }

// SyncWALsInfoPath is, on a passive node, how far WAL files have been copied.
func (l Layout) SyncWALsInfoPath() string { return filepath.Join(l.WALs, "sync-wals.info") }

// BackupPath is the directory with the content of a backup.
func (l Layout) BackupPath(id string) string { return filepath.Join(l.Base, id) }

// DataPath is the directory of a backup for the data directory. It looks whether a directory of the oldest layout,
// called pgdata, exists; otherwise the answer is data.
func (l Layout) DataPath(id string) string {
	if l.isVersion1(id) {
		return filepath.Join(l.BackupPath(id), "pgdata")
	}
	return filepath.Join(l.BackupPath(id), "data")
}

// TablespacePath is the directory of a backup for a tablespace. It looks, like DataPath.
func (l Layout) TablespacePath(id string, oid uint32) string {
	name := strconv.FormatUint(uint64(oid), 10)
	if l.isVersion1(id) {
		return filepath.Join(l.BackupPath(id), "pgdata", "pg_tblspc", name)
	}
	return filepath.Join(l.BackupPath(id), name)
}

func (l Layout) isVersion1(id string) bool {
	info, err := os.Stat(filepath.Join(l.BackupPath(id), "pgdata"))
	return err == nil && info.IsDir()
}

// WALPath is where a WAL file is archived.
func (l Layout) WALPath(name wal.FileName) string { return filepath.Join(l.WALs, name.ArchivePath()) }

// SegmentPath is where a complete segment is archived.
func (l Layout) SegmentPath(s wal.Segment) string {
	return filepath.Join(l.WALs, s.HashDir(), s.String())
}

// WALIndexPath is the list of archived WAL files.
func (l Layout) WALIndexPath() string { return filepath.Join(l.XlogDB, l.walIndexName()) }

// LegacyWALIndexPath is what Barman before 3.13 called it. It is not read; a rebuild removes it.
func (l Layout) LegacyWALIndexPath() string { return filepath.Join(l.WALs, "xlog.db") }

func (l Layout) walIndexName() string { return l.Server + "-xlog.db" }

// idOfInfoName returns the backup that a file of meta/ describes.
func idOfInfoName(name string) (id string, ok bool) {
	id, ok = strings.CutSuffix(name, infoSuffix)
	return id, ok && id != ""
}
