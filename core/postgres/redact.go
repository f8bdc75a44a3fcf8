package postgres

import (
	"strings"

	"github.com/barman-go/barman/core/redact"
)

// secretKeys are the connection parameters whose values nobody may see.
var secretKeys = []string{"password", "sslpassword", "oauth_client_secret"}

// redact also replaces the secrets of this connection string wherever they occur literally.
func (c Conninfo) redact(text string) string {
	text = redact.Text(text)
	for _, key := range secretKeys {
		// A very short secret would turn the whole text into stars and tell its length by that.
		if value := c.Get(key); len(value) > 2 {
			text = strings.ReplaceAll(text, value, redact.Mark)
		}
	}
	return text
}
