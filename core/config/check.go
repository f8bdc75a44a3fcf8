package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/barman-go/barman/core/redact"
)

// serverError adds a message to a server, which disables it. The text is the one that `check` and `diagnose` show.
func (l *loader) serverError(s *Server, sec *section, format string, args ...any) {
	text := redact.Text(fmt.Sprintf(format, args...))
	s.Messages = append(s.Messages, text)
	l.diags = append(l.diags, Diagnostic{
		Severity: Error, Summary: text, Server: s.Name, Block: sec.title(), Range: rangeOf(sec.at),
	})
}

// optionError is serverError for a mistake in one option; the diagnostic points at it.
func (l *loader) optionError(s *Server, sec *section, option, format string, args ...any) {
	l.serverError(s, sec, format, args...)
	d := &l.diags[len(l.diags)-1]
	d.Option = option
	l.point(d, sec, s.values.of(option).Source)
}

// point moves a diagnostic to the attribute that a value comes from.
func (l *loader) point(d *Diagnostic, sec *section, source Source) {
	for _, place := range []*section{sec, l.barman} {
		if attr, ok := place.attrs[d.Option]; ok && rangeOf(attr.SrcRange) == source.Range {
			p := attr.file.diagnostic(d.Severity, attr.SrcRange, "%s", d.Summary)
			d.Range, d.Snippet, d.masked, d.Block = p.Range, p.Snippet, p.masked, source.Block
			return
		}
	}
}

// warn is a warning about a server that every command shows.
func (l *loader) warn(s *Server, sec *section, format string, args ...any) {
	l.diags = append(l.diags, Diagnostic{
		Severity: Warning, Summary: fmt.Sprintf(format, args...), Server: s.Name, Block: sec.title(), Range: rangeOf(sec.at),
	})
}

// force changes a value because a rule says so.
func (s *Server) force(option string, value any) {
	v := s.values.of(option)
	v.Go, v.Source = value, Source{Origin: FromRule}
	s.values.own[option] = v
}

// checkRules applies the rules that join several options. Each failed rule disables the server.
func (l *loader) checkRules(s *Server, sec *section) {
	l.checkDirectories(s, sec)
	l.checkConflictsWithin(s, sec)
	if s.Passive() {
		if !splitsLikeShell(s.PrimarySSHCommand) {
			l.optionError(s, sec, "primary_ssh_command", "Invalid primary_ssh_command in barman configuration for server %s", s.Name)
		}
		return
	}
	l.checkConnections(s, sec)
	l.checkMethod(s, sec)
	l.checkArchivers(s, sec)
	if reason, bad := s.Rejected("custom_compression_magic"); bad && s.Compression == "custom" {
		l.optionError(s, sec, "custom_compression_magic", "Invalid custom_compression_magic for server %s: %s", s.Name, reason)
	}
}

func (l *loader) checkDirectories(s *Server, sec *section) {
	for _, o := range table().all {
		if o.Area != AreaDirectories {
			continue
		}
		if reason, bad := s.Rejected(o.Name); bad {
			l.optionError(s, sec, o.Name, "Invalid %s for server %s: %s", o.Name, s.Name, reason)
		}
	}
}

func (l *loader) checkConnections(s *Server, sec *section) {
	check := func(label, option, value string) {
		if value == "" {
			l.serverError(s, sec, "%s connection: Missing '%s' parameter for server '%s'", label, option, s.Name)
			return
		}
		if err := CheckConnInfo(value); err != nil {
			l.optionError(s, sec, option, "%s connection: Cannot connect to postgres: \"%s\" is not a valid connection string", label, value)
			l.diags[len(l.diags)-1].Detail = err.Error()
		}
	}
	check("PostgreSQL", "conninfo", s.ConnInfo)
	if s.BackupMethod == "postgres" || s.StreamingArchiver {
		check("Streaming", "streaming_conninfo", s.StreamingConnInfo)
	}
}

func (l *loader) checkArchivers(s *Server, sec *section) {
	switch {
	case !s.Archiver && !s.StreamingArchiver:
		l.warn(s, sec, "No archiver enabled for server '%s'. Please turn on 'archiver', 'streaming_archiver' or both", s.Name)
		l.warn(s, sec, "Forcing 'archiver = on'")
		s.force("archiver", true)
	case !s.Archiver && (s.SlotName == "" || s.StreamingConnInfo == ""):
		l.optionError(s, sec, "streaming_archiver",
			"Streaming-only archiver requires 'streaming_conninfo' and 'slot_name' options to be properly configured")
	}
}

// checkMethod applies the rules of the backup methods that Barman has always had. Other methods are plugins and check
// their own options.
func (l *loader) checkMethod(s *Server, sec *section) {
	switch s.BackupMethod {
	case "rsync", "local-rsync":
		l.checkRsync(s, sec)
	case "postgres":
		l.checkPostgres(s, sec)
	case "snapshot":
		l.checkSnapshot(s, sec)
	default:
		l.chooseStrategy(s)
	}
}

func (l *loader) checkRsync(s *Server, sec *section) {
	l.requireStrategy(s, sec)
	if s.BackupMethod == "rsync" && strings.TrimSpace(s.SSHCommand) == "" {
		l.serverError(s, sec, "Missing or invalid ssh_command in barman configuration for server %s", s.Name)
	}
	if s.BackupMethod == "local-rsync" && s.SSHCommand != "" {
		l.optionError(s, sec, "ssh_command",
			"Local copy requires ssh_command in barman configuration to be empty for server %s", s.Name)
	}
	if s.BackupCompression != "" {
		l.optionError(s, sec, "backup_compression", "backup_compression option is not supported by rsync backup_method")
	}
}

func (l *loader) checkPostgres(s *Server, sec *section) {
	if s.BackupOptions.Has("exclusive_backup") {
		l.warn(s, sec, "'exclusive_backup' is not a valid backup_option using postgres backup_method. "+
			"Overriding with 'concurrent_backup'.")
		rest := slices.DeleteFunc(slices.Clone(s.BackupOptions), func(w string) bool { return w == "exclusive_backup" })
		s.BackupOptions = rest
	}
	l.chooseStrategy(s)
	unsupported := func(option string) {
		l.optionError(s, sec, option, "%s option is not supported by postgres backup_method", option)
	}
	if len(s.TablespaceBandwidthLimit) > 0 {
		unsupported("tablespace_bandwidth_limit")
	}
	if s.ReuseBackup == "link" || s.ReuseBackup == "copy" {
		unsupported("reuse_backup")
	}
	if s.NetworkCompression {
		unsupported("network_compression")
	}
	l.checkBackupCompression(s, sec)
}

func (l *loader) checkSnapshot(s *Server, sec *section) {
	l.requireStrategy(s, sec)
	if strings.TrimSpace(s.SSHCommand) == "" {
		l.serverError(s, sec, "Missing or invalid ssh_command in barman configuration for server %s", s.Name)
	}
	for _, rule := range []struct {
		option string
		isSet  bool
	}{
		{"backup_compression", s.BackupCompression != ""},
		{"bandwidth_limit", s.BandwidthLimit != 0},
		{"network_compression", s.NetworkCompression},
		{"tablespace_bandwidth_limit", len(s.TablespaceBandwidthLimit) > 0},
		{"reuse_backup", s.ReuseBackup == "link" || s.ReuseBackup == "copy"},
	} {
		if rule.isSet {
			l.optionError(s, sec, rule.option, "%s option is not supported by snapshot backup_method", rule.option)
		}
	}
	for _, rule := range []struct {
		option string
		isSet  bool
	}{
		{"snapshot_disks", len(s.SnapshotDisks) > 0},
		{"snapshot_instance", s.SnapshotInstance != ""},
		{"snapshot_provider", s.SnapshotProvider != ""},
	} {
		if !rule.isSet {
			l.serverError(s, sec, "%s option is required by snapshot backup_method", rule.option)
		}
	}
	l.checkProvider(s, sec)
}

func (l *loader) checkProvider(s *Server, sec *section) {
	if _, bad := s.Rejected("snapshot_provider"); bad {
		l.optionError(s, sec, "snapshot_provider",
			"Error initialising snapshot provider %s: Unsupported snapshot provider: %s", s.SnapshotProvider, s.SnapshotProvider)
	}
	switch {
	case s.SnapshotProvider == "azure" && s.AzureSubscriptionID == "":
		l.serverError(s, sec, "azure_subscription_id option is required by snapshot provider azure")
	case s.SnapshotProvider == "aws" && s.AWSSnapshotLockMode != "":
		l.checkSnapshotLock(s, sec)
	}
}

// lockDate is the form of aws_snapshot_lock_expiration_date.
const lockDate = "2006-01-02T15:04:05.000Z"

func (l *loader) checkSnapshotLock(s *Server, sec *section) {
	if _, bad := s.Rejected("aws_snapshot_lock_mode"); bad {
		l.optionError(s, sec, "aws_snapshot_lock_mode",
			"Invalid aws_snapshot_lock_mode '%s' for server %s (use 'governance' or 'compliance')", s.AWSSnapshotLockMode, s.Name)
		return
	}
	duration, date, coolOff := s.AWSSnapshotLockDuration, s.AWSSnapshotLockExpirationDate, s.AWSSnapshotLockCoolOffPeriod
	if (duration == nil) == (date == "") {
		l.optionError(s, sec, "aws_snapshot_lock_mode",
			"Exactly one of aws_snapshot_lock_duration and aws_snapshot_lock_expiration_date is required by aws_snapshot_lock_mode")
	}
	if duration != nil && (*duration < 1 || *duration > 36500) {
		l.optionError(s, sec, "aws_snapshot_lock_duration", "aws_snapshot_lock_duration must be between 1 and 36500 days")
	}
	if _, err := time.Parse(lockDate, date); date != "" && err != nil {
		l.optionError(s, sec, "aws_snapshot_lock_expiration_date",
			"aws_snapshot_lock_expiration_date must have the form YYYY-MM-DDTHH:MM:SS.sssZ")
	}
	switch {
	case coolOff == nil:
	case s.AWSSnapshotLockMode == "governance":
		l.optionError(s, sec, "aws_snapshot_lock_cool_off_period", "aws_snapshot_lock_cool_off_period is not supported in governance mode")
	case *coolOff < 1 || *coolOff > 72:
		l.optionError(s, sec, "aws_snapshot_lock_cool_off_period", "aws_snapshot_lock_cool_off_period must be between 1 and 72 hours")
	}
}

// requireStrategy warns when neither strategy was chosen, as Barman always did, and chooses the only safe one.
func (l *loader) requireStrategy(s *Server, sec *section) {
	if !s.BackupOptions.Has("concurrent_backup") && !s.BackupOptions.Has("exclusive_backup") {
		l.warn(s, sec, "No backup strategy set for server '%s' (using default 'concurrent_backup').", s.Name)
	}
	l.chooseStrategy(s)
}

func (l *loader) chooseStrategy(s *Server) {
	if !s.BackupOptions.Has("exclusive_backup") && !s.BackupOptions.Has("concurrent_backup") {
		s.force("backup_options", s.BackupOptions.With("concurrent_backup"))
	}
}
