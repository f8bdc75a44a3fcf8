package config

import (
	"strings"
	"testing"

	"github.com/barman-go/barman/core/redact"
)

func TestRedactMasksEveryPassword(t *testing.T) {
	for in, want := range map[string]string{
		"host=a password=secret user=b":                    "host=a password=*REDACTED* user=b",
		"host=a password='sec ret' user=b":                 "host=a password=*REDACTED* user=b",
		`host=a password='it\'s secret' user=b`:            "host=a password=*REDACTED* user=b",
		"host=a password = secret":                         "host=a password = *REDACTED*",
		"PASSWORD=secret":                                  "PASSWORD=*REDACTED*",
		`password=sec\ ret host=a`:                         "password=*REDACTED* host=a",
		"password=se'cret,se;c&ret host=a":                 "password=*REDACTED* host=a",
		"sslpassword=secret":                               "sslpassword=*REDACTED*",
		`"host=a password=secret" is bad`:                  `"host=a password=*REDACTED*" is bad`,
		"postgresql://u:secret@h/db":                       "postgresql://u:*REDACTED*@h/db",
		"postgres://u:se:cr@et@h:5432/db":                  "postgres://u:*REDACTED*@h:5432/db",
		"postgresql://h/db?user=u&password=secret":         "postgresql://h/db?user=u&password=*REDACTED*",
		"host=a user=b":                                    "host=a user=b",
		"postgresql://u@h/db":                              "postgresql://u@h/db",
		"a password=secret\nb password=secret":             "a password=*REDACTED*\nb password=*REDACTED*",
		"primary 'host=x password=secret', 'host=y' other": "primary 'host=x password=*REDACTED* 'host=y' other",
	} {
		got := redact.Text(in)
		if got != want {
			t.Errorf("redact.Text(%q)\n got %q\nwant %q", in, got, want)
		}
		if strings.Contains(got, "secret") {
			t.Errorf("redact.Text(%q) leaks: %q", in, got)
		}
	}
}

func TestCheckConnInfo(t *testing.T) {
	for in, ok := range map[string]bool{
		"host=a user=b":                        true,
		" host = a  user='b c' dbname=it\\'s ": true,
		"host=a password=''":                   true,
		"":                                     true,
		"host":                                 false,
		"host a":                               false,
		"=a":                                   false,
		"host='a":                              false,
		"hots=a":                               false,
		"postgresql://u:p@h1:5432,h2/db":       true,
		"postgres:///db?host=/run/postgresql":  true,
		"postgresql://":                        true,
		"postgresql://h/db?sslmod=require":     false,
		"postgresql://h/%zz":                   false,
		"postgresql://h /db":                   false,
		"postgresql://h/db?connect_timeout=10": true,
	} {
		if err := CheckConnInfo(in); (err == nil) != ok {
			t.Errorf("CheckConnInfo(%q) = %v, want ok %v", in, err, ok)
		}
	}
}
