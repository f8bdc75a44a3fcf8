package postgres

import (
	"regexp"
	"strings"
)

// Redacted stands in for a secret in texts that people see. It is the word that Barman prints.
const Redacted = "*REDACTED*"

// secretKeys are the connection parameters whose values nobody may see.
var secretKeys = []string{"password", "sslpassword", "oauth_client_secret"}

var (
	redactKeyword = regexp.MustCompile(`(?i)\b(password|sslpassword|oauth_client_secret)(\s*=\s*)('(?:[^'\\]|\\.)*'?|(?:[^\s\\&]|\\.)+)`)
	redactURI     = regexp.MustCompile(`(?i)\b(postgres(?:ql)?://[^:/?#\s@]*:)(\S*)@`)
)

// Redact replaces the passwords of all connection strings, in both forms, that occur in any text.
func Redact(text string) string {
	text = redactURI.ReplaceAllString(text, "${1}"+Redacted+"@")
	return redactKeyword.ReplaceAllString(text, "${1}${2}"+Redacted)
}

// redact also replaces the secrets of this connection string wherever they occur literally.
func (c Conninfo) redact(text string) string {
	text = Redact(text)
	for _, key := range secretKeys {
		// A very short secret would turn the whole text into stars and tell its length by that.
		if value := c.Get(key); len(value) > 2 {
			text = strings.ReplaceAll(text, value, Redacted)
		}
	}
	return text
}
