package recovery

import (
	"fmt"
	"slices"
	"strings"

	"github.com/barman-go/barman/core/pattern"
)

// mangledPrefix marks lines of configuration files that a restore has switched off.
const mangledPrefix = "#BARMAN#"

// replaced are settings that would let the restored server damage the original's data, with their new value; an empty
// value only switches them off.
var replaced = map[string]string{
	// The copy must not write into the archive of the original.
	"archive_command": "false",
	"archive_library": "",
	// Settings of an earlier recovery would end this one early, or be a second target, which PostgreSQL refuses.
	"recovery_target":           "",
	"recovery_target_name":      "",
	"recovery_target_time":      "",
	"recovery_target_xid":       "",
	"recovery_target_lsn":       "",
	"recovery_target_inclusive": "",
	"recovery_target_timeline":  "",
	"recovery_target_action":    "",
}

// leftovers are settings that are switched off when an earlier restore by Barman wrote them: the directory that they
// name is gone, or, worse, belongs to another restore.
var leftovers = map[string]*pattern.Pattern{
	"restore_command":      pattern.New(`\bcp .*barman_wal|barman get-wal|barman-wal-restore`),
	"recovery_end_command": pattern.New(`rm -fr .*barman_wal`),
}

// dangerous are settings that name places or files of the original host.
var dangerous = []string{
	"data_directory", "config_file", "hba_file", "ident_file", "external_pid_file", "ssl_cert_file", "ssl_key_file", "ssl_ca_file",
	"ssl_crl_file", "unix_socket_directory", "unix_socket_directories", "include", "include_dir", "include_if_exists",
}

// setting is a line of postgresql.conf: a name, an optional equals sign, a value (src/backend/utils/misc/guc-file.l).
var setting = pattern.New(`^\s*([A-Za-z_][A-Za-z0-9_$]*)(?:\s*=\s*|\s+)(.*?)\s*$`)

// mangled is a configuration file after the dangerous settings were switched off.
type mangled struct {
	content           string
	changes, warnings []Setting
	// includes are the lines that include other files.
	includes []Setting
	// kept tells that at least one line is in force as it was.
	kept bool
}

// mangle switches dangerous settings off. Names are compared without case, as PostgreSQL does; line numbers are those
// of the result, which is what a person opens.
func mangle(file, content string) mangled {
	var m mangled
	var out strings.Builder
	number := 0
	emit := func(line string) {
		out.WriteString(line)
		number++
	}
	for line := range strings.Lines(content) {
		match := setting.FindStringSubmatch(line)
		if match == nil {
			emit(line)
			m.kept = true
			continue
		}
		key, value := strings.ToLower(match[1]), match[2]
		replacement, replace := replaced[key]
		if pattern := leftovers[key]; pattern != nil && pattern.MatchString(value) {
			replace = true
		}
		if !replace {
			emit(line)
			m.kept = true
			s := Setting{File: file, Line: number, Key: key, Value: value}
			if slices.Contains(dangerous, key) {
				m.warnings = append(m.warnings, s)
			}
			if strings.HasPrefix(key, "include") {
				m.includes = append(m.includes, s)
			}
			continue
		}
		emit(mangledPrefix + strings.TrimSuffix(line, "\n") + "\n")
		if replacement != "" {
			emit(fmt.Sprintf("%s = %s\n", key, replacement))
		}
		m.changes = append(m.changes, Setting{File: file, Line: number, Key: key, Value: replacement})
	}
	m.content = out.String()
	return m
}

// appendLines adds the recovery settings to a mangled file.
func (m *mangled) appendLines(lines []string) {
	if m.content != "" && !strings.HasSuffix(m.content, "\n") {
		m.content += "\n"
	}
	if m.kept {
		m.content += "\n"
	}
	m.content += strings.Join(lines, "\n") + "\n"
}

// unquote reads a value of postgresql.conf: quoted, or up to a comment.
func unquote(value string) string {
	if !strings.HasPrefix(value, "'") {
		value, _, _ = strings.Cut(value, "#")
		return strings.TrimSpace(value)
	}
	var out strings.Builder
	for i := 1; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\\' && i+1 < len(value):
			i++
			out.WriteByte(value[i])
		case c == '\'' && i+1 < len(value) && value[i+1] == '\'':
			i++
			out.WriteByte('\'')
		case c == '\'':
			return out.String()
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}
