package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// conninfoKeywords are the parameter names of libpq. Source: PostgreSQL manual, "Parameter Key Words", versions 9.6 to 18.
var conninfoKeywords = []string{
	"host", "hostaddr", "port", "dbname", "user", "password", "passfile", "require_auth", "channel_binding",
	"connect_timeout", "client_encoding", "options", "application_name", "fallback_application_name", "keepalives",
	"keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout", "replication", "gssencmode", "sslmode",
	"requiressl", "sslnegotiation", "sslcompression", "sslcert", "sslkey", "sslkeylogfile", "sslpassword", "sslcertmode",
	"sslrootcert", "sslcrl", "sslcrldir", "sslsni", "requirepeer", "ssl_min_protocol_version", "ssl_max_protocol_version",
	"min_protocol_version", "max_protocol_version", "krbsrvname", "gsslib", "gssdelegation", "scram_client_key",
	"scram_server_key", "service", "servicefile", "target_session_attrs", "load_balance_hosts", "oauth_issuer", "oauth_client_id",
	"oauth_client_secret", "oauth_scope",
}

// CheckConnInfo tells whether libpq could read a connection string. The error names the problem without the string.
func CheckConnInfo(s string) error {
	if strings.HasPrefix(s, "postgresql://") || strings.HasPrefix(s, "postgres://") {
		return checkConnURI(s)
	}
	pairs, err := splitConnInfo(s)
	if err != nil {
		return err
	}
	for _, kv := range pairs {
		if err := checkConnKeyword(kv[0]); err != nil {
			return err
		}
	}
	return nil
}

func checkConnKeyword(keyword string) error {
	if slices.Contains(conninfoKeywords, keyword) {
		return nil
	}
	if near := nearest(keyword, conninfoKeywords); near != "" {
		return fmt.Errorf("invalid connection option %q, did you mean %q", keyword, near)
	}
	return fmt.Errorf("invalid connection option %q", keyword)
}

// checkConnURI checks a URI. Several hosts separated by commas are allowed by libpq and unknown to net/url, so the
// authority is cut off before parsing.
func checkConnURI(s string) error {
	_, rest, _ := strings.Cut(s, "://")
	authority := rest
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, rest = rest[:i], rest[i:]
	} else {
		rest = ""
	}
	if strings.ContainsAny(s, " \t\r\n") {
		return fmt.Errorf("blank in connection URI")
	}
	if _, err := url.PathUnescape(authority); err != nil {
		return fmt.Errorf("invalid percent-encoding in connection URI")
	}
	path, query, _ := strings.Cut(rest, "?")
	if _, err := url.PathUnescape(path); err != nil {
		return fmt.Errorf("invalid percent-encoding in connection URI")
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return fmt.Errorf("invalid parameters in connection URI")
	}
	for _, keyword := range sortedKeys(values) {
		if keyword == "ssl" {
			continue // a JDBC spelling that libpq accepts in URIs
		}
		if err := checkConnKeyword(keyword); err != nil {
			return err
		}
	}
	return nil
}

// splitConnInfo reads keyword = value pairs: blanks may surround "=", a value with blanks stands in single quotes, and a
// backslash escapes the next character. Source: PostgreSQL manual, "Keyword/Value Connection Strings".
func splitConnInfo(s string) ([][2]string, error) {
	const blanks = " \t\r\n\f\v"
	var out [][2]string
	for {
		s = strings.TrimLeft(s, blanks)
		if s == "" {
			return out, nil
		}
		i := strings.IndexAny(s, blanks+"=")
		if i < 0 {
			return nil, fmt.Errorf("missing %q after a word", "=")
		}
		keyword := s[:i]
		s = strings.TrimLeft(s[i:], blanks)
		if !strings.HasPrefix(s, "=") || keyword == "" {
			return nil, fmt.Errorf("missing %q or keyword in connection string", "=")
		}
		value, rest, err := connValue(strings.TrimLeft(s[1:], blanks))
		if err != nil {
			return nil, err
		}
		out = append(out, [2]string{keyword, value})
		s = rest
	}
}

func connValue(s string) (value, rest string, err error) {
	quoted := strings.HasPrefix(s, "'")
	if quoted {
		s = s[1:]
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case quoted && c == '\'':
			return b.String(), s[i+1:], nil
		case !quoted && strings.IndexByte(" \t\r\n\f\v", c) >= 0:
			return b.String(), s[i:], nil
		default:
			b.WriteByte(c)
		}
	}
	if quoted {
		return "", "", fmt.Errorf("unterminated quoted value in connection string")
	}
	return b.String(), "", nil
}
