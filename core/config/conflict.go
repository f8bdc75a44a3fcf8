package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// conflictLabels are the directories that must not coincide, in the order in which they are compared.
var conflictLabels = []string{
	"backup_directory", "basebackups_directory", "errors_directory", "incoming_wals_directory", "streaming_wals_directory",
	"wals_directory",
}

// directories lists the server's directories with their real paths.
func (s *Server) directories(real realPaths) []serverDirectory {
	dirs := make([]serverDirectory, 0, len(conflictLabels))
	for _, label := range conflictLabels {
		path := s.values.text(label)
		if filepath.IsAbs(path) {
			dirs = append(dirs, serverDirectory{label: label, path: path, real: real.of(path)})
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

// realPaths remembers what the names of directories lead to: those of hundreds of servers have most of their path in common.
type realPaths map[string]string

// of resolves the symbolic links of an absolute path, as far as it exists. A dangling link is followed, too, or two servers could
// meet behind it once its target is created.
func (r realPaths) of(path string) string { return r.walk("/", filepath.Clean(path)) }

// walk goes along a path from a directory without links.
func (r realPaths) walk(from, path string) string {
	for name := range strings.SplitSeq(path, "/") {
		switch name {
		case "", ".":
		case "..":
			from = filepath.Dir(from)
		default:
			from = r.step(filepath.Join(from, name))
		}
	}
	return from
}

// step resolves the last name of a path.
func (r realPaths) step(path string) string {
	if real, ok := r[path]; ok {
		return real
	}
	r[path] = path // where links go in a circle
	target, err := os.Readlink(path)
	if err != nil {
		return path
	}
	from := filepath.Dir(path)
	if filepath.IsAbs(target) {
		from = "/"
	}
	r[path] = r.walk(from, target)
	return r[path]
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
