package recovery

import (
	"fmt"
	"strings"

	"github.com/barman-go/barman/sdk/transfer"
)

// usesSettings tells whether recovery is configured at all. Without a target, get-wal and standby mode PostgreSQL
// replays what it finds in its own WAL directory, led by backup_label.
func usesSettings(t Target, getWAL, standby bool) bool { return t.PITR() || getWAL || standby }

// recoveryLines are the settings that make PostgreSQL recover as the plan says, in Barman's order.
func recoveryLines(p *Plan, o *Options, client WALClient) []string {
	var lines []string
	set := func(name, value string) { lines = append(lines, name+" = "+value) }
	switch {
	case o.GetWAL && o.remote():
		lines = append(lines, "# The 'barman-wal-restore' command is provided in the 'barman-cli' package")
		set("restore_command", configValue(client.remoteCommand(p.Server, o)))
	case o.GetWAL:
		lines = append(lines, fmt.Sprintf("# The 'barman get-wal' command must run as '%s' user", client.User))
		set("restore_command", configValue(client.localCommand(p.Server, o)))
	case !o.StandbyMode:
		dir := commandWord(p.WALDirectory)
		set("restore_command", configValue("cp "+dir+"/%f %p"))
		set("recovery_end_command", configValue("rm -fr "+dir))
	}
	switch p.Target.Kind {
	case ToTime, ToXID, ToLSN, ToName:
		set("recovery_target_"+string(p.Target.Kind), configValue(p.Target.Text))
	case ToImmediate:
		set("recovery_target", "'immediate'")
	}
	switch p.Target.Kind {
	case ToTime, ToXID, ToLSN:
		if p.Target.Exclusive {
			set("recovery_target_inclusive", "'False'")
		}
	}
	if p.TimelineSetting != "" {
		set("recovery_target_timeline", p.TimelineSetting)
	}
	switch {
	case p.Target.Action == "":
	case p.Backup.Version < versionAction:
		set("pause_at_recovery_target", "'on'")
	default:
		set("recovery_target_action", "'"+p.Target.Action+"'")
	}
	if o.StandbyMode && p.Backup.Version < versionSignals {
		set("standby_mode", "'on'")
	}
	return lines
}

// localCommand is the restore_command of a server on this host.
func (c WALClient) localCommand(server string, o *Options) string {
	words := []string{"barman"}
	if c.Program != "" {
		words[0] = commandWord(c.Program)
	}
	if c.ConfigFile != "" {
		words = append(words, "-c", commandWord(c.ConfigFile))
	}
	words = append(words, "get-wal")
	if !o.StandbyMode {
		// A standby gets the rest of a partial segment from its primary; it must not take the part for the whole.
		words = append(words, "-P")
	}
	return strings.Join(append(words, commandWord(server), "%f", ">", "%p"), " ")
}

// remoteCommand is the restore_command of a server on another host.
func (c WALClient) remoteCommand(server string, o *Options) string {
	words := []string{"barman-wal-restore"}
	if !o.StandbyMode {
		words = append(words, "-P")
	}
	words = append(words, "-U", commandWord(c.User))
	if o.OptionPort != 0 {
		words = append(words, "--port", fmt.Sprint(o.OptionPort))
	}
	words = append(words, commandWord(c.Host), commandWord(server), "%f", "%p")
	if c.Jobs > 1 {
		words = append(words, "-p", fmt.Sprint(c.Jobs))
	}
	return strings.Join(words, " ")
}

// recoveryFile is the file that receives the recovery settings, relative to the destination.
func recoveryFile(version int, o *Options) string {
	switch {
	case version < versionSignals:
		return "recovery.conf"
	case o.ConfFilename != "":
		return o.ConfFilename
	}
	return "postgresql.auto.conf"
}

// signalFile is the empty file that makes PostgreSQL 12 and later recover.
func signalFile(standby bool) string {
	if standby {
		return "standby.signal"
	}
	return "recovery.signal"
}

// write is a change that writes a private file.
func write(path, content string) transfer.FileChange {
	return transfer.FileChange{Action: transfer.Write, Path: path, Content: []byte(content), Mode: 0o600}
}
