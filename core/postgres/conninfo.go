package postgres

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/barman-go/barman/core/redact"
)

// ErrConninfo means that a connection string cannot be read. The error's text does not quote the string's values.
var ErrConninfo = errors.New("invalid connection string")

// Conninfo is a parsed libpq connection string: parameters by keyword (PostgreSQL manual, chapter "libpq", section
// "Parameter Key Words"). The zero value has no parameter, which means the defaults of the environment (PGHOST, …).
//
// A Conninfo is a value: methods that change something return a new one.
type Conninfo struct {
	params map[string]string
}

// ParseConninfo reads both forms of libpq connection strings: keyword/value ("host=pg1 application_name='a b'") and URI
// ("postgresql://barman@pg1:5432/postgres?sslmode=require"). It does not check that keywords exist. Errors wrap
// ErrConninfo.
func ParseConninfo(text string) (Conninfo, error) {
	if strings.IndexByte(text, 0) >= 0 {
		return Conninfo{}, fmt.Errorf("%w: it holds a zero byte", ErrConninfo)
	}
	trimmed := strings.TrimSpace(text)
	var params map[string]string
	var err error
	if strings.HasPrefix(trimmed, "postgres://") || strings.HasPrefix(trimmed, "postgresql://") {
		params, err = parseURI(trimmed)
	} else {
		params, err = parseKeywordValues(trimmed)
	}
	if err != nil {
		return Conninfo{}, fmt.Errorf("%w: %w", ErrConninfo, err)
	}
	return Conninfo{params}, nil
}

// parseKeywordValues follows conninfo_parse of libpq: blanks around "=" are allowed, a value is quoted with single
// quotes when it is empty or holds blanks, and a backslash escapes one character inside and outside quotes.
func parseKeywordValues(s string) (map[string]string, error) {
	params := map[string]string{}
	for s = trimBlanks(s); s != ""; s = trimBlanks(s) {
		key, rest, found := strings.Cut(s, "=")
		key = strings.TrimRight(key, blanks)
		if !found || key == "" || strings.ContainsAny(key, blanks) {
			// The text may be a misplaced part of a password, so only its place is told.
			return nil, fmt.Errorf(`missing "=" after keyword number %d`, len(params)+1)
		}
		value, rest, err := cutValue(trimBlanks(rest))
		if err != nil {
			return nil, fmt.Errorf("value of %q: %w", key, err)
		}
		params[key] = value
		s = rest
	}
	return params, nil
}

const blanks = " \t\n\r\v\f"

func trimBlanks(s string) string { return strings.TrimLeft(s, blanks) }

// cutValue reads one value, quoted or not, and returns it and the text behind it.
func cutValue(s string) (value, rest string, err error) {
	quoted := strings.HasPrefix(s, "'")
	if quoted {
		s = s[1:]
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		case quoted && c == '\'':
			return b.String(), s[i+1:], nil
		case !quoted && strings.IndexByte(blanks, c) >= 0:
			return b.String(), s[i:], nil
		default:
			b.WriteByte(c)
		}
	}
	if quoted {
		return "", "", errors.New("unterminated quoted string")
	}
	return b.String(), "", nil
}

// parseURI splits a libpq URI by hand: net/url refuses what libpq accepts (several hosts, ports per host, percent-encoded
// socket directories) and quotes the whole URI, password included, in its errors.
func parseURI(s string) (map[string]string, error) {
	params := map[string]string{}
	_, s, _ = strings.Cut(s, "://")
	s, query, _ := strings.Cut(s, "?")
	authority, dbname, _ := strings.Cut(s, "/")
	hosts := authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, password, hasPassword := strings.Cut(authority[:i], ":")
		hosts = authority[i+1:]
		if err := setDecoded(params, "user", user); err != nil {
			return nil, err
		}
		if hasPassword {
			if err := setDecoded(params, "password", password); err != nil {
				return nil, err
			}
		}
	}
	if err := setHosts(params, hosts); err != nil {
		return nil, err
	}
	if err := setDecoded(params, "dbname", dbname); err != nil {
		return nil, err
	}
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		key, value, found := strings.Cut(pair, "=")
		if !found {
			return nil, errors.New(`a query parameter of the URI has no "="`)
		}
		if key == "ssl" && value == "true" { // libpq keeps this spelling for JDBC's sake
			key, value = "sslmode", "require"
		}
		if err := setDecoded(params, key, value); err != nil {
			return nil, err
		}
	}
	return params, nil
}

// setHosts reads "host:port,[::1]:port,…" into the lists host and port.
func setHosts(params map[string]string, s string) error {
	if s == "" {
		return nil
	}
	var hosts, ports []string
	for host := range strings.SplitSeq(s, ",") {
		port := ""
		if strings.HasPrefix(host, "[") {
			end := strings.IndexByte(host, ']')
			if end < 0 {
				return errors.New(`missing "]" after an IPv6 address in the URI`)
			}
			port = strings.TrimPrefix(host[end+1:], ":")
			host = host[1:end]
		} else {
			host, port, _ = strings.Cut(host, ":")
		}
		hosts, ports = append(hosts, host), append(ports, port)
	}
	if err := setDecoded(params, "host", strings.Join(hosts, ",")); err != nil {
		return err
	}
	if strings.Trim(strings.Join(ports, ""), ",") == "" {
		return nil
	}
	return setDecoded(params, "port", strings.Join(ports, ","))
}

func setDecoded(params map[string]string, key, value string) error {
	if value == "" {
		return nil
	}
	decoded, err := url.PathUnescape(value)
	if err != nil {
		return fmt.Errorf("%s: invalid percent-encoding", key)
	}
	if strings.IndexByte(decoded, 0) >= 0 {
		return fmt.Errorf("%s: it holds a zero byte", key)
	}
	params[key] = decoded
	return nil
}

// Get returns a parameter's value, or an empty string when it is not set.
func (c Conninfo) Get(key string) string { return c.params[key] }

// Has tells whether a parameter is set, even to an empty value.
func (c Conninfo) Has(key string) bool {
	_, ok := c.params[key]
	return ok
}

// With returns a copy with one parameter set.
func (c Conninfo) With(key, value string) Conninfo {
	params := maps.Clone(c.params)
	if params == nil {
		params = map[string]string{}
	}
	params[key] = value
	return Conninfo{params}
}

// WithDefault returns a copy with one parameter set, unless it is set already.
func (c Conninfo) WithDefault(key, value string) Conninfo {
	if c.Has(key) {
		return c
	}
	return c.With(key, value)
}

// Without returns a copy that lacks some parameters.
func (c Conninfo) Without(keys ...string) Conninfo {
	params := maps.Clone(c.params)
	for _, key := range keys {
		delete(params, key)
	}
	return Conninfo{params}
}

// Streaming returns the connection string for physical replication, as Barman gives it to pg_basebackup and
// pg_receivewal: replication=true, dbname=replication, and dates in ISO form.
func (c Conninfo) Streaming() Conninfo {
	return c.With("replication", "true").With("dbname", "replication").With("options", "-cdatestyle=iso")
}

// ForTool returns what a PostgreSQL client tool needs to connect: the connection string without its secrets, for the
// command line that everybody can read in ps, and the environment variables ("NAME=value") that carry the password.
// The other secrets (sslpassword, oauth_client_secret) have no variable in libpq and are left out: such servers need a
// key without passphrase. applicationName is used unless the connection string has its own.
func (c Conninfo) ForTool(applicationName string) (dsn string, env []string) {
	if password := c.Get("password"); password != "" {
		env = []string{"PGPASSWORD=" + password}
	}
	c = c.Without(secretKeys...).WithDefault("application_name", applicationName).WithDefault("options", "-csearch_path=")
	return c.dsn(), env
}

// String returns the connection string in keyword/value form, sorted by keyword, with passwords masked.
func (c Conninfo) String() string {
	shown := c
	for _, key := range secretKeys {
		if c.Get(key) != "" {
			shown = shown.With(key, redact.Mark)
		}
	}
	return shown.dsn()
}

// GoString keeps passwords out of %#v.
func (c Conninfo) GoString() string { return "postgres.Conninfo{" + c.String() + "}" }

// dsn is String with the real secrets.
func (c Conninfo) dsn() string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(c.params)) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(key + "=" + quoteValue(c.params[key]))
	}
	return b.String()
}

// quoteValue writes a value so that every libpq reads it back.
func quoteValue(value string) string {
	if value != "" && !strings.ContainsAny(value, blanks+`'\`) {
		return value
	}
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}
