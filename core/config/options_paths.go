package config

import "github.com/barman-go/barman/sdk/hook"

// The option table, part 3: directories, hook scripts and clouds.

func directoryOptions() []Option {
	rows := area(AreaDirectories,
		Option{
			Name: "backup_directory", Derived: "<barman_home>/<server name>",
			Help: "Root of the server's data.",
		},
		Option{Name: "basebackups_directory", Derived: "<backup_directory>/base", Help: "Base backups."},
		Option{
			Name: "errors_directory", Derived: "<backup_directory>/errors",
			Help: "WAL files that could not be archived.",
		},
		Option{
			Name: "incoming_wals_directory", Derived: "<backup_directory>/incoming",
			Help: "Where `archive_command` delivers WAL files.",
		},
		Option{
			Name: "streaming_wals_directory", Derived: "<backup_directory>/streaming",
			Help: "Where `receive-wal` writes WAL files.",
		},
		Option{Name: "wals_directory", Derived: "<backup_directory>/wals", Help: "WAL archive."},
		Option{
			Name: "xlogdb_directory", Derived: "<wals_directory>",
			Help: "Directory of the WAL index, `<server name>-xlog.db`.",
		},
	)
	for i := range rows {
		rows[i].Scope, rows[i].Kind, rows[i].Invalid = ScopeServer, Path, Disable
		if rows[i].Name == "xlogdb_directory" {
			rows[i].Scope = ScopeShared
		}
	}
	return rows
}

// HookEvents are the events that hook scripts and hook blocks may name, in the order of the documentation.
func HookEvents() []string {
	return []string{hook.EventBackup, hook.EventDelete, hook.EventArchive, hook.EventWALDelete, hook.EventRecovery}
}

// HookOption is the name of the option that holds the script of a phase and event.
func HookOption(phase, event string, retry bool) string {
	if retry {
		return phase + "_" + event + "_retry_script"
	}
	return phase + "_" + event + "_script"
}

func hookOptions() []Option {
	what := map[string]string{
		hook.EventBackup: "a backup", hook.EventDelete: "the deletion of a backup",
		hook.EventArchive: "the archiving of a WAL file", hook.EventWALDelete: "the deletion of a WAL file",
		hook.EventRecovery: "a recovery",
	}
	type slot struct {
		phase string
		retry bool
		help  string
	}
	var rows []Option
	for _, event := range HookEvents() {
		for _, s := range []slot{
			{hook.PhasePre, false, "Shell command run once before "},
			{hook.PhasePre, true, "Shell command run before " + what[event] + " until it succeeds or aborts"},
			{hook.PhasePost, true, "Shell command run after " + what[event] + " until it succeeds or aborts"},
			{hook.PhasePost, false, "Shell command run once after "},
		} {
			if !s.retry {
				s.help += what[event]
			}
			rows = append(rows, Option{
				Name: HookOption(s.phase, event, s.retry), Scope: ScopeShared, Kind: Command, EmptyUnsets: true,
				AppliesTo: "event " + event, Help: s.help + ".",
			})
		}
	}
	return area(AreaHooks, rows...)
}

func cloudOptions() []Option {
	rows := shared(AreaCloud,
		Option{
			Name: "snapshot_provider", Kind: Choice, Invalid: Disable, EmptyUnsets: true,
			Choices: []string{"aws", "azure", "gcp"}, ExactCase: true, Help: "Cloud whose disks are snapshotted.",
		},
		Option{Name: "snapshot_instance", Kind: Text, EmptyUnsets: true, Help: "Name of the virtual machine."},
		Option{Name: "snapshot_disks", Kind: List, Invalid: Warn, Help: "Disks to snapshot: a list, or text separated by commas."},
		Option{
			Name: "snapshot_gcp_project", Kind: Text, EmptyUnsets: true, AppliesTo: "gcp", Deprecated: "use gcp_project",
			Help: "Project in Google Cloud.",
		},
		Option{Name: "gcp_project", Kind: Text, EmptyUnsets: true, AppliesTo: "gcp", Help: "Project in Google Cloud."},
		Option{
			Name: "snapshot_zone", Kind: Text, EmptyUnsets: true, AppliesTo: "gcp", Deprecated: "use gcp_zone",
			Help: "Zone in Google Cloud.",
		},
		Option{Name: "gcp_zone", Kind: Text, EmptyUnsets: true, AppliesTo: "gcp", Help: "Zone in Google Cloud."},
		Option{Name: "azure_credential", Kind: Text, EmptyUnsets: true, AppliesTo: "azure", Help: "Kind of credential used with Azure."},
		Option{Name: "azure_resource_group", Kind: Text, EmptyUnsets: true, AppliesTo: "azure", Help: "Resource group in Azure."},
		Option{Name: "azure_subscription_id", Kind: Text, EmptyUnsets: true, AppliesTo: "azure", Help: "Subscription in Azure."},
		Option{Name: "aws_profile", Kind: Text, EmptyUnsets: true, AppliesTo: "aws", Help: "Profile in the AWS configuration."},
		Option{Name: "aws_region", Kind: Text, EmptyUnsets: true, AppliesTo: "aws", Help: "Region in AWS."},
		Option{
			Name: "aws_await_snapshots_timeout", Kind: Integer, Default: "3600", Invalid: Warn, Unit: "seconds",
			AppliesTo: "aws", Help: "How long to wait for snapshots to complete.",
		},
		Option{
			Name: "aws_snapshot_lock_mode", Kind: Choice, Invalid: Disable, EmptyUnsets: true,
			Choices: []string{"governance", "compliance"}, AppliesTo: "aws", Help: "Lock mode of snapshots.",
		},
		Option{
			Name: "aws_snapshot_lock_duration", Kind: Integer, Invalid: Warn, Unit: "days", AppliesTo: "aws",
			Help: "How long snapshots stay locked, 1 to 36500. Excludes aws_snapshot_lock_expiration_date.",
		},
		Option{
			Name: "aws_snapshot_lock_expiration_date", Kind: Text, EmptyUnsets: true, AppliesTo: "aws",
			Help: "Until when snapshots stay locked, as `2027-01-31T00:00:00.000Z`.",
		},
		Option{
			Name: "aws_snapshot_lock_cool_off_period", Kind: Integer, Invalid: Warn, Unit: "hours", AppliesTo: "aws",
			Help: "Time in which a compliance lock can still be changed, 1 to 72.",
		},
	)
	for i := range rows {
		if rows[i].AppliesTo == "all" {
			rows[i].AppliesTo = "snapshot"
		}
		switch rows[i].Name {
		case "snapshot_instance", "snapshot_disks", "snapshot_zone", "gcp_zone":
			rows[i].Scope = ScopeServer
		}
	}
	return rows
}
