package recovery

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

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
	}
	return defaultStaging
}

// deprecatedStaging tells whether the work area is given by options that staging_path has replaced.
func deprecatedStaging(o *Options) bool {
	return o.StagingPath == "" && (o.RecoveryStagingPath != "" || o.LocalStagingPath != "")
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
	if b.Compression == "" || !deprecatedStaging(o) || o.RecoveryStagingPath != "" {
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

// staging is a private directory in the work area, with the layout of a backup in the catalog: data, and one directory for
// each tablespace. It is locked while it is in use.
type staging struct {
	dir  string
	lock *os.File
}

const (
	// stagingName is followed by the process id, as in Barman, and something random.
	stagingName = "barman-decompress"
	stagingLock = ".lock"
)

// newStaging makes a staging directory below path, and removes those that killed restores have left there.
func newStaging(path string) (_ *staging, err error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	sweepStaging(path)
	// Private, because /tmp belongs to everybody. It gets the name that is swept only once it is locked.
	dir, err := os.MkdirTemp(path, ".barman-")
	if err != nil {
		return nil, err
	}
	s := &staging{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.remove())
		}
	}()
	if s.lock, err = os.OpenFile(filepath.Join(dir, stagingLock), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, err
	}
	if err := unix.Flock(int(s.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, fmt.Errorf("lock %s: %w", s.lock.Name(), err)
	}
	if err := os.Mkdir(s.data(), 0o700); err != nil {
		return nil, err
	}
	name := filepath.Join(path, stagingName+strconv.Itoa(os.Getpid())+strings.TrimPrefix(filepath.Base(dir), ".barman"))
	if err := os.Rename(dir, name); err != nil {
		return nil, err
	}
	s.dir = name
	return s, nil
}

func (s *staging) data() string { return filepath.Join(s.dir, "data") }

// tablespace is the directory of a tablespace.
func (s *staging) tablespace(oid uint32) string {
	return filepath.Join(s.dir, strconv.FormatUint(uint64(oid), 10))
}

// remove removes everything.
func (s *staging) remove() error {
	err := os.RemoveAll(s.dir)
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

// sweepStaging removes what restores of this user that were killed have left: theirs nobody holds the lock of. Whatever
// cannot be removed is left alone.
func sweepStaging(path string) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), stagingName) {
			continue
		}
		dir := filepath.Join(path, e.Name())
		lock, err := os.OpenFile(filepath.Join(dir, stagingLock), os.O_RDWR|unix.O_NOFOLLOW, 0)
		if err != nil {
			continue
		}
		if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.RemoveAll(dir)
		}
		_ = lock.Close()
	}
}
