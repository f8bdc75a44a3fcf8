package recovery

import (
	"slices"
	"strings"
	"time"

	"github.com/barman-go/barman/core/report"
)

// Setting is a line of a configuration file that a restore changed or warns about.
type Setting struct {
	// File is relative to the destination.
	File string
	// Line counts from 1, in the restored file; of a changed setting it is the line with the new value.
	Line int
	Key  string
	// Value is the new value of a changed setting, empty when it was switched off; of a warning it is the rest of the
	// line.
	Value string
}

// Result is a restore that succeeded. It implements report.Result.
type Result struct {
	Plan *Plan
	// Changes are settings that would be dangerous in a copy of the server, Warnings those to be looked at.
	Changes, Warnings []Setting
	// MissingFiles are configuration files that the backup does not have.
	MissingFiles []string
	// GetWALFile is the file with the restore_command that fetches WAL from Barman; empty when there is none.
	GetWALFile string
	Started    time.Time
	Elapsed    time.Duration
}

// Console writes the report of Barman 3.17.
func (r *Result) Console(p *report.Printer) {
	if len(r.Changes) > 0 {
		p.Line("")
		p.Line("IMPORTANT")
		p.Line("These settings have been modified to prevent data losses")
		p.Line("")
		settingLines(p, r.Changes)
	}
	if len(r.Warnings) > 0 {
		p.Line("")
		p.Line("WARNING")
		p.Line("You are required to review the following options as potentially dangerous")
		p.Line("")
		settingLines(p, r.Warnings)
	}
	if len(r.MissingFiles) > 0 {
		p.Line("")
		p.Line("WARNING")
		for _, line := range missingNotice {
			p.Line("%s", line)
		}
		p.Line("")
		for _, file := range r.MissingFiles {
			p.Line("    %s", file)
		}
	}
	if r.GetWALFile != "" {
		p.Line("")
		for i, line := range r.getWALNotice() {
			if i == 0 {
				line = "WARNING: " + line
			}
			p.Line("%s", line)
		}
	}
	if r.archivesNothing() {
		p.Line("")
		p.Line("NOTE")
		for _, line := range archivesNothingNotice {
			p.Line("%s", line)
		}
	}
	p.Line("")
	p.Line("Restore operation completed (start time: %s, elapsed time: %s)", report.Timestamp(r.Started), report.Duration(r.Elapsed))
	p.Line("Your PostgreSQL server has been successfully prepared for recovery!")
}

func settingLines(p *report.Printer, settings []Setting) {
	for _, s := range settings {
		value := s.Value
		if value == "" {
			value = "None"
		}
		p.Line("%s line %d: %s = %s", s.File, s.Line, s.Key, value)
	}
}

var missingNotice = []string{
	"The following configuration files have not been saved during backup, hence they have not been restored.",
	"You need to manually restore them in order to start the restored PostgreSQL instance:",
}

var archivesNothingNotice = []string{
	"This server archives no WAL until you set archive_command again: do that when it has taken the place",
	"of the old one, and then take a new backup.",
}

// archivesNothing tells whether the restore has switched archiving off.
func (r *Result) archivesNothing() bool {
	return slices.ContainsFunc(r.Changes, func(s Setting) bool { return s.Key == "archive_command" || s.Key == "archive_library" })
}

func (r *Result) getWALNotice() []string {
	return []string{
		"'get-wal' is in the specified 'recovery_options'.",
		"Before you start up the PostgreSQL server, please review the " + r.GetWALFile + " file",
		"inside the target directory. Make sure that 'restore_command' can be executed by the PostgreSQL user.",
	}
}

// JSON returns the members of Barman 3.17. The notices are among the messages of the document: see Notices.
func (r *Result) JSON() map[string]any {
	missing := make([]any, 0, len(r.MissingFiles))
	for _, file := range r.MissingFiles {
		missing = append(missing, file)
	}
	return map[string]any{
		"changes":                       settingRows(r.Changes),
		"changes_count":                 len(r.Changes),
		"warnings":                      settingRows(r.Warnings),
		"warnings_count":                len(r.Warnings),
		"missing_files":                 missing,
		"recovery_start_time":           report.Timestamp(r.Started),
		"recovery_start_time_timestamp": report.Epoch(r.Started),
		"recovery_elapsed_time":         report.Duration(r.Elapsed),
		"recovery_elapsed_time_seconds": r.Elapsed.Seconds(),
	}
}

func settingRows(settings []Setting) []any {
	rows := make([]any, 0, len(settings))
	for _, s := range settings {
		var value any
		if s.Value != "" {
			value = s.Value
		}
		rows = append(rows, []any{s.File, s.Line, s.Key, value})
	}
	return rows
}

// Notices are the warnings and the closing information that the JSON document carries in _WARNING and _INFO; the
// console has them in its layout. A command that writes JSON passes them to its writer.
func (r *Result) Notices() (warnings, infos []string) {
	if len(r.Changes) > 0 {
		warnings = append(warnings, "IMPORTANT! Some settings have been modified to prevent data losses. See 'changes' key.")
	}
	if len(r.Warnings) > 0 {
		warnings = append(warnings, "WARNING! You are required to review the options as potentially dangerous. See 'warnings' key.")
	}
	if len(r.MissingFiles) > 0 {
		warnings = append(warnings, strings.Join(missingNotice, " ")+" See 'missing_files' key.")
	}
	if r.GetWALFile != "" {
		warnings = append(warnings, strings.Join(r.getWALNotice(), " "))
	}
	if r.archivesNothing() {
		warnings = append(warnings, strings.Join(archivesNothingNotice, " "))
	}
	infos = append(infos, "Restore operation completed (start time: "+report.Timestamp(r.Started)+", elapsed time: "+
		report.Duration(r.Elapsed)+")", "Your PostgreSQL server has been successfully prepared for recovery!")
	return warnings, infos
}
