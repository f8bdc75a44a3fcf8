package recovery

import "strings"

// plainInShell are the characters besides letters and digits that mean nothing to a POSIX shell, nor to PostgreSQL's
// configuration or its commands' % escapes.
const plainInShell = "/._-+,@:="

// shellWord writes text as one word of a shell command. A word that needs no quotes gets none, so that ordinary paths
// look as in Barman 3.17.
func shellWord(text string) string {
	plain := strings.IndexFunc(text, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune(plainInShell, c)
	}) < 0
	if plain && text != "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// commandWord is shellWord for restore_command and recovery_end_command, in which PostgreSQL replaces %f and the like
// before the shell sees the command; %% stands for a percent sign.
func commandWord(text string) string { return strings.ReplaceAll(shellWord(text), "%", "%%") }

// configValue writes a string value of postgresql.conf. Its lexer takes a backslash for an escape and a doubled quote
// for a quote (PostgreSQL manual, section "Parameter Interaction via the Configuration File").
func configValue(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(text) + "'"
}
