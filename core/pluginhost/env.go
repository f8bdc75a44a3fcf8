package pluginhost

import (
	"strings"

	"github.com/barman-go/barman/sdk/plugin"
)

// passed are the environment variables that every plugin gets, because tools need them to find their files, to reach
// other hosts, and to speak the user's language. Passwords and everything else stay with the host; a hook's
// environment travels inside its request. A trailing "*" stands for any end.
var passed = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TZ", "TMPDIR",
	"LANG", "LANGUAGE", "LC_*",
	"SSH_AUTH_SOCK", "KRB5CCNAME", "KRB5_CONFIG",
	"PGPASSFILE", "PGSERVICEFILE", "PGSYSCONFDIR", "PGSSLCERT", "PGSSLKEY", "PGSSLROOTCERT", "PGSSLCRL",
}

// pluginEnv filters an environment.
func pluginEnv(environ, passEnv []string) []string {
	var out []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "PLUGIN_") || name == plugin.CookieKey || name == plugin.LivenessKey {
			// The handshake's own: a host that is itself started by a plugin must not pass them on.
			continue
		}
		if matches(passed, name) || matches(passEnv, name) {
			out = append(out, entry)
		}
	}
	return out
}

func matches(patterns []string, name string) bool {
	for _, p := range patterns {
		if start, any := strings.CutSuffix(p, "*"); p == name || any && strings.HasPrefix(name, start) {
			return true
		}
	}
	return false
}
