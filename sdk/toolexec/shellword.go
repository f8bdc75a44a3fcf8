package toolexec

import "strings"

// plainInShell are the characters besides letters and digits that mean nothing to a POSIX shell, nor to PostgreSQL's
// configuration or its commands' % escapes.
const plainInShell = "/._-+,@:="

// ShellWord writes text as one word of a command for a POSIX shell, such as the one that sshd starts on another host. A word that needs
// no quotes gets none, so that ordinary paths look as in Barman 3.17.
func ShellWord(text string) string {
	plain := strings.IndexFunc(text, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune(plainInShell, c)
	}) < 0
	if plain && text != "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
