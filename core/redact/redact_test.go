package redact

import (
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"host=x password=secret user=y":                "host=x password=*REDACTED* user=y",
		"password='it''s a secret' host=x":             "password=*REDACTED* host=x",
		`password='a\'b c' host=x`:                     "password=*REDACTED* host=x",
		"dsn 'host=x password=secret'":                 "dsn 'host=x password=*REDACTED*'",
		"password=a&b host=x":                          "password=*REDACTED* host=x",
		"postgresql://u:se@cret@h/db":                  "postgresql://u:*REDACTED*@h/db",
		"postgresql://u@h/db":                          "postgresql://u@h/db",
		"sslpassword=secret oauth_client_secret=other": "sslpassword=*REDACTED* oauth_client_secret=*REDACTED*",
		"no secret here":                               "no secret here",
	} {
		if got := Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("host=x password=", "s3cr3t", " user=y")
	f.Fuzz(func(t *testing.T, before, secret, after string) {
		if len(secret) < 4 || strings.ContainsAny(secret, " '\"\\\t\n\r\v\f&@/") || strings.Contains(before+after+Mark, secret) || strings.ContainsFunc(secret, func(r rune) bool { return r > 0x7e || r <= ' ' }) {
			t.Skip()
		}
		if strings.ContainsAny(before, "'\"\\") {
			t.Skip()
		}
		if got := Text(before + " password=" + secret + " " + after); strings.Contains(got, secret) {
			t.Errorf("Text shows %q: %q", secret, got)
		}
	})
}
