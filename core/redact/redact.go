// Package redact keeps secrets out of what people see: logs, errors, console output.
//
// It knows the two forms of libpq connection strings (PostgreSQL manual, chapter "libpq", section "Connection Strings") and
// finds them anywhere in a text. It would rather mask too much than too little.
package redact

import (
	"regexp"
	"strings"
	"sync"
)

// Mark stands in for a secret. It is the word that Barman prints.
const Mark = "*REDACTED*"

// patterns are compiled when the first text that may hold a secret comes by: most runs see none.
var patterns = sync.OnceValue(func() (p struct{ keyword, uri *regexp.Regexp }) {
	// A value stands in quotes with backslash escapes, or ends at a blank; a closing quote of the surrounding text is left
	// alone. In a URI the parameters that follow are masked as well.
	p.keyword = regexp.MustCompile(`(?i)((?:password|oauth_client_secret|scram_client_key|scram_server_key)\s*=\s*)` +
		`('(?:[^'\\]|\\.|'')*'?|"(?:[^"\\]|\\.)*"|(?:[^\s\\]|\\.)*(?:[^\s\\'"]|\\.))`)
	// The password of user:password@ in a URI goes up to the last @ of the authority.
	p.uri = regexp.MustCompile(`(?i)(postgres(?:ql)?://[^\s:@/?"']*:)([^\s/?"]*)(@)`)
	return p
})

// mayHoldSecret tells quickly that most texts have none of the words of the patterns.
func mayHoldSecret(text string) bool {
	lower := strings.ToLower(text)
	for _, word := range []string{"password", "secret", "scram_", "://"} {
		if strings.Contains(lower, word) {
			return true
		}
	}
	return false
}

// Text masks the secrets of all connection strings in a text.
func Text(text string) string {
	if !mayHoldSecret(text) {
		return text
	}
	p := patterns()
	text = p.uri.ReplaceAllString(text, "${1}"+Mark+"${3}")
	return p.keyword.ReplaceAllString(text, "${1}"+Mark)
}
