package recovery

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/barman-go/barman/core/catalog"
)

// defaultStaging is the work area when none is configured.
const defaultStaging = "/tmp"

const stagingRemote = "remote"

// stagingPath is the directory below which archives are unpacked on their way to another host. Those who still set the
// deprecated options get the one for compressed backups.
func stagingPath(o *Options) string {
	switch {
	case o.StagingPath != "":
		return filepath.Clean(o.StagingPath)
	case o.RecoveryStagingPath != "":
		return filepath.Clean(o.RecoveryStagingPath)
	case o.LocalStagingPath != "":
		return filepath.Clean(o.LocalStagingPath) // of an incremental backup; for compressed ones it is refused
	}
	return defaultStaging
}

// deprecatedStaging tells whether the work area is given by options that staging_path has replaced.
func deprecatedStaging(o *Options) bool {
	return o.StagingPath == "" && (o.RecoveryStagingPath != "" || o.LocalStagingPath != "")
}

func (p *Plan) warnDeprecatedStaging(o *Options) {
	if deprecatedStaging(o) {
		p.warn("recovery_staging_path and local_staging_path are deprecated: use staging_path and staging_location.")
	}
}

// stagingLocation is "remote" when archives are unpacked on the other host. The deprecated options mean this one.
func stagingLocation(o *Options) string {
	if deprecatedStaging(o) {
		return "local"
	}
	return o.StagingLocation
}

// checkDeprecatedStaging wants the option that is about compressed backups, when one of its kind is set at all.
func checkDeprecatedStaging(o *Options, b *catalog.BackupInfo) error {
	if b.Compression == "" || b.IsIncremental() || !deprecatedStaging(o) || o.RecoveryStagingPath != "" {
		return nil
	}
	return refuse(fmt.Sprintf("Cannot restore backup '%s' of server '%s': it is compressed, and of the deprecated options only "+
		"local_staging_path is set, which is not for compressed backups", b.ID, b.ServerName),
		"Set staging_path and staging_location (--staging-path, --staging-location) in place of recovery_staging_path and local_staging_path.")
}

// checkStagingFound decides whether the work area on this host can be used.
func (p *Plan) checkStagingFound(place Place) {
	switch {
	case place.Exists && place.Type != "directory" && place.Type != "symlink":
		p.refuse(fmt.Sprintf("The staging path '%s' is not a directory", p.StagingPath), "Choose another one with --staging-path.")
	case !place.Writable:
		p.refuse(fmt.Sprintf("The staging path '%s' cannot be written by this user", p.StagingPath), "Choose another one with --staging-path.")
	}
}

// staging is a directory in the work area with the layout of a backup in the catalog: data, and one directory for each
// tablespace.
type staging struct{ *workDir }

// stagingName begins the names of staging directories, as in Barman.
const stagingName = "barman-decompress"

// newStaging makes a staging directory below path.
func newStaging(path string) (*staging, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	dir, err := newWorkDir(path, stagingName)
	if err != nil {
		return nil, err
	}
	return &staging{dir}, nil
}

// tablespace is the directory of a tablespace.
func (s *staging) tablespace(oid uint32) string {
	return filepath.Join(s.dir, strconv.FormatUint(uint64(oid), 10))
}
