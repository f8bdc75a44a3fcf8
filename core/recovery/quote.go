package recovery

import (
	"strings"

	"github.com/barman-go/barman/sdk/toolexec"
)

// commandWord is toolexec.ShellWord for restore_command and recovery_end_command, in which PostgreSQL replaces %f and the like
// before the shell sees the command; %% stands for a percent sign.
func commandWord(text string) string { return strings.ReplaceAll(toolexec.ShellWord(text), "%", "%%") }

// configValue writes a string value of postgresql.conf. Its lexer takes a backslash for an escape and a doubled quote
// for a quote (PostgreSQL manual, section "Parameter Interaction via the Configuration File").
func configValue(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(text) + "'"
}
