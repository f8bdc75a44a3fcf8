package config

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/barman-go/barman/core/fsx"
)

// conflictLabels are the directories that must not coincide, in the order in which they are compared.
var conflictLabels = []string{
	"backup_directory", "basebackups_directory", "errors_directory", "incoming_wals_directory", "streaming_wals_directory",
	"wals_directory",
}

// directories lists the server's directories with their real paths.
func (s *Server) directories(real fsx.RealPaths) []serverDirectory {
	dirs := make([]serverDirectory, 0, len(conflictLabels))
	for _, label := range conflictLabels {
		path := s.values.text(label)
		if filepath.IsAbs(path) {
			dirs = append(dirs, serverDirectory{label: label, path: path, real: real.Of(path)})
		}
	}
	return dirs
}

type serverDirectory struct{ label, path, real string }

// String is the directory as messages show it.
func (d serverDirectory) String() string {
	if d.real != filepath.Clean(d.path) {
		return fmt.Sprintf("%s=%s (symlink to: %s)", d.label, d.path, d.real)
	}
	return d.label + "=" + d.path
}

// checkConflictsWithin refuses a server whose directories coincide: one of them would be cleaned as the other.
func (l *loader) checkConflictsWithin(s *Server, sec *section) {
	taken := map[string]string{}
	for _, d := range s.directories(l.real) {
		if other, ok := taken[d.real]; ok {
			l.optionError(s, sec, d.label, "Conflicting path: %s conflicts with '%s' for server '%s'", d, other, s.Name)
			continue
		}
		taken[d.real] = d.label
	}
}

// checkConflictsBetweenServers finds directories that two servers share. Nobody is disabled, but nothing may run.
func (l *loader) checkConflictsBetweenServers(cfg *Config) {
	type owner struct{ label, server string }
	taken := map[string]owner{}
	for _, s := range cfg.Servers {
		for _, d := range s.directories(l.real) {
			other, ok := taken[d.real]
			switch {
			case !ok:
				taken[d.real] = owner{d.label, s.Name}
			case other.server != s.Name:
				text := fmt.Sprintf("Conflicting path: %s for server '%s' conflicts with '%s' for server '%s'",
					d, s.Name, other.label, other.server)
				cfg.Errors = append(cfg.Errors, text)
				l.diags = append(l.diags, Diagnostic{
					Severity: Error, Summary: text, Server: s.Name, Option: d.label, Range: s.Source(d.label).Range,
				})
			}
		}
	}
}

// splitsLikeShell tells whether a command line has balanced quotes and at least one word.
func splitsLikeShell(command string) bool {
	var quote byte
	for i := 0; i < len(command); i++ {
		switch c := command[i]; {
		case c == '\\' && quote != '\'':
			if i++; i >= len(command) {
				return false
			}
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case c == quote:
			quote = 0
		}
	}
	return quote == 0 && strings.TrimSpace(command) != ""
}
