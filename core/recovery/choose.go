package recovery

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/barman-go/barman/core/catalog"
)

// choose finds the backup that the user means, and says why. The error is a *PlanError.
func choose(o *Options, t Target, backups *catalog.Backups) (*catalog.BackupInfo, string, error) {
	if o.Backup == BackupAuto {
		return chooseBest(t, backups)
	}
	b, err := backups.Resolve(o.Backup)
	if err != nil {
		return nil, "", refuse(err.Error(), "")
	}
	if o.Backup == b.ID {
		return b, "asked for", nil
	}
	return b, fmt.Sprintf("asked for as %q", o.Backup), nil
}

// chooseBest finds the newest backup from which the target can be reached. As in Barman, this is decided by the
// backup's end and, if a timeline is asked for, by the timeline on which it was taken.
func chooseBest(t Target, backups *catalog.Backups) (*catalog.BackupInfo, string, error) {
	var fits func(b *catalog.BackupInfo) bool
	reason := "the newest backup"
	switch t.Kind {
	case ToEnd:
		fits = func(*catalog.BackupInfo) bool { return true }
	case ToTime:
		fits = func(b *catalog.BackupInfo) bool { return !b.EndTime.IsZero() && !b.EndTime.After(t.Time) }
		reason = "the newest backup that ended before the target time"
	case ToLSN:
		fits = func(b *catalog.BackupInfo) bool { return b.EndLSN != 0 && b.EndLSN <= t.LSN }
		reason = "the newest backup that ended before the target LSN"
	default:
		return nil, "", refuse("For PITR without a backup_id, the only possible recovery targets are target_time and target_lsn. "+
			fmt.Sprintf("'target_%s' recovery target is not allowed without a backup_id.", t.Kind), "")
	}
	if t.Timeline == TimelineCurrent {
		return nil, "", refuse("The target timeline 'current' is that of the backup, so it needs a backup_id", "Give a number or latest.")
	}
	if t.TimelineID != 0 {
		reason += fmt.Sprintf(", on timeline %d", t.TimelineID)
	}
	for _, b := range slices.Backward(backups.With(catalog.Usable...)) {
		if fits(b) && (t.TimelineID == 0 || b.Timeline == t.TimelineID) {
			return b, reason, nil
		}
	}
	return nil, "", refuse("Cannot find any candidate backup for recovery.", "")
}

// checkOptions returns the first thing that is wrong with the request as such. The order is Barman's.
func checkOptions(o *Options, b *catalog.BackupInfo) error {
	for _, check := range []func(*Options, *catalog.BackupInfo) error{
		checkStaging, checkStatus, checkKind, checkDeprecatedStaging, checkTablespaceRules, checkDestination, checkDelta, checkSnapshot,
	} {
		if err := check(o, b); err != nil {
			return err
		}
	}
	return nil
}

func checkStaging(o *Options, _ *catalog.BackupInfo) error {
	for _, p := range []struct{ name, path string }{
		{"staging path", o.StagingPath}, {"recovery staging path", o.RecoveryStagingPath}, {"local staging path", o.LocalStagingPath},
	} {
		if p.path != "" && !filepath.IsAbs(p.path) {
			return refuse(fmt.Sprintf("Cannot parse %s: Invalid value : '%s' (must be an absolute path)", p.name, p.path), "")
		}
	}
	if o.LocationTyped && o.StagingLocation == "remote" && !o.remote() {
		return refuse("--staging-location as remote requires --remote-ssh-command to be set", "")
	}
	return nil
}

func checkStatus(_ *Options, b *catalog.BackupInfo) error {
	if b.Status.In(catalog.Usable...) {
		return nil
	}
	return refuse(fmt.Sprintf("Cannot restore from backup '%s' of server '%s': backup status is not DONE", b.ID, b.ServerName), "")
}

// checkKind refuses backups that are neither a tree of files nor tar archives of a known compression, and incremental ones that
// would have to be combined on another host.
func checkKind(o *Options, b *catalog.BackupInfo) error {
	var what string
	_, known := tarFormats[b.Compression]
	switch {
	case b.SnapshotsInfo != nil:
		return nil // checkSnapshot
	case b.IsIncremental() && o.remote() && stagingLocation(o) == stagingRemote:
		return refuse(fmt.Sprintf("Cannot restore backup '%s' of server '%s': it is incremental, and such backups are combined on this host only",
			b.ID, b.ServerName), "Use --staging-location local.")
	case b.Encryption != "":
		what = "encrypted"
	case b.Compression != "" && !known:
		what = "compressed with " + b.Compression
	default:
		return nil
	}
	return refuse(fmt.Sprintf("Cannot restore backup '%s' of server '%s': it is %s", b.ID, b.ServerName, what),
		"This version cannot do that. Choose another backup, or restore this one with Barman 3.17, which reads the same catalog.")
}

func checkTablespaceRules(o *Options, b *catalog.BackupInfo) error {
	if _, err := parseRules(o.Tablespaces, b); err != nil {
		return err
	}
	return nil
}

// parseRules reads relocation rules: the new location of tablespaces by name.
func parseRules(rules []string, b *catalog.BackupInfo) (map[string]string, error) {
	names := make([]string, 0, len(b.Tablespaces))
	for _, t := range b.Tablespaces {
		names = append(names, t.Name)
	}
	locations := map[string]string{}
	for _, rule := range rules {
		name, location, found := strings.Cut(rule, ":")
		switch {
		case !found || name == "" || location == "":
			return nil, refuse(fmt.Sprintf("Invalid tablespace relocation rule '%s'", rule),
				"HINT: The valid syntax for a relocation rule is NAME:LOCATION")
		case len(names) == 0:
			return nil, refuse(fmt.Sprintf("Invalid tablespace name '%s'", name), "HINT: The backup has no tablespaces")
		case !slices.Contains(names, name):
			return nil, refuse(fmt.Sprintf("Invalid tablespace name '%s'", name),
				"HINT: Please use any of the following tablespaces: "+strings.Join(names, ", "))
		case !filepath.IsAbs(location):
			return nil, refuse(fmt.Sprintf("The location of tablespace '%s' is not an absolute path: '%s'", name, location), "")
		case locations[name] != "":
			return nil, refuse(fmt.Sprintf("There are two relocation rules for tablespace '%s'", name), "")
		}
		locations[name] = filepath.Clean(location)
	}
	return locations, nil
}

func checkDestination(o *Options, _ *catalog.BackupInfo) error {
	switch {
	case strings.Contains(o.Destination, ":"):
		return refuse("The destination directory parameter cannot contain the ':' character",
			"HINT: If you want to do a remote recovery you have to use the --remote-ssh-command option")
	case !filepath.IsAbs(o.Destination):
		return refuse(fmt.Sprintf("The destination directory '%s' is not an absolute path", o.Destination), "")
	case filepath.Clean(o.Destination) == "/":
		return refuse("The destination directory cannot be /", "")
	case strings.ContainsAny(o.Destination+o.StagingWALDirectory+strings.Join(o.Tablespaces, ""), "\n\r\x00"):
		return refuse("A directory name contains a line break, which PostgreSQL's configuration cannot hold", "")
	case o.StagingWALDirectory != "" && !filepath.IsAbs(o.StagingWALDirectory):
		return refuse(fmt.Sprintf("The staging WAL directory '%s' is not an absolute path", o.StagingWALDirectory), "")
	case o.ConfFilename != "" && !filepath.IsLocal(o.ConfFilename):
		return refuse(fmt.Sprintf("The recovery configuration file '%s' is not inside the destination directory", o.ConfFilename),
			"Give a path relative to the destination.")
	case o.NetworkCompression && !o.remote():
		return refuse("Network compression requires a remote restore", "HINT: It is for use with --remote-ssh-command")
	}
	return nil
}

func checkDelta(o *Options, b *catalog.BackupInfo) error {
	plain := b.Compression == "" && b.Encryption == "" && !b.IsIncremental()
	switch {
	case !o.Delta || plain:
		return nil
	case !o.remote():
		return refuse("Cannot restore a backup locally with delta mode when the backup is not plain.",
			"Restore it into an empty directory, without --delta-restore.")
	case stagingLocation(o) == stagingRemote:
		return refuse("Cannot restore a backup remotely with delta mode when 'staging_location=remote'.",
			"Use --staging-location local, or restore it into an empty directory.")
	}
	return nil
}

func checkSnapshot(o *Options, b *catalog.BackupInfo) error {
	switch {
	case b.SnapshotsInfo != nil && o.SnapshotInstance == "":
		return refuse(fmt.Sprintf("Backup %s is a snapshot backup and the following required arguments have not been provided: "+
			"--snapshot-recovery-instance", b.ID), "")
	case b.SnapshotsInfo != nil:
		return refuse(fmt.Sprintf("Cannot restore backup '%s' of server '%s': it is a snapshot backup", b.ID, b.ServerName),
			"This version cannot do that.")
	case len(o.SnapshotArguments) > 0:
		return refuse(fmt.Sprintf("Backup %s is not a snapshot backup but the following snapshot arguments have been used: %s",
			b.ID, strings.Join(o.SnapshotArguments, ", ")), "")
	}
	return nil
}
