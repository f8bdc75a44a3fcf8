package basebackup

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/barman-go/barman/sdk/diag"
	"github.com/barman-go/barman/sdk/toolexec"
)

// version is a version of PostgreSQL the way server_version_num writes it: 150008 is 15.8, 90624 is 9.6.24.
type version int

// major is what decides about compatibility: 15 for 15.8, 906 for 9.6.24.
func (v version) major() int {
	if v < 100000 {
		return int(v) / 100
	}
	return int(v) / 10000 * 100
}

func (v version) String() string {
	switch {
	case v == 0:
		return "None"
	case v < 100000:
		return fmt.Sprintf("%d.%d.%d", v/10000, v/100%100, v%100)
	}
	return fmt.Sprintf("%d.%d", v/10000, v%10000)
}

var versionText = regexp.MustCompile(`^pg_basebackup \([^)]*\) (\d+)(?:\.(\d+))?(?:\.(\d+))?`)

// parseVersion reads a line such as "pg_basebackup (PostgreSQL) 15.8 (Debian 15.8-1)", "… 18beta1" or "… 9.6.24".
func parseVersion(line string) (version, bool) {
	m := versionText.FindStringSubmatch(line)
	if m == nil {
		return 0, false
	}
	var n [3]int
	for i := range n {
		n[i], _ = strconv.Atoi(m[i+1])
	}
	if n[0] < 10 {
		return version(n[0]*10000 + n[1]*100 + n[2]), true
	}
	return version(n[0]*10000 + n[1]), true
}

// tool is a pg_basebackup that runs.
type tool struct {
	path    string
	version version
}

// serves tells whether the tool can back up a server of that version; 0 means that it is not known.
func (t tool) serves(server version) bool {
	return server == 0 || t.version.major() >= server.major()
}

// choose returns the first pg_basebackup, in path_prefix and then in PATH, that runs and suits the server. When none
// suits, it is the first that runs, and the error says why each was passed over.
func (e *Executor) choose(ctx context.Context, server version) (tool, error) {
	var first tool
	var passed []string
	for _, path := range toolexec.Candidates("pg_basebackup", e.env.PathPrefix) {
		t, err := e.ask(ctx, path)
		switch {
		case ctx.Err() != nil:
			return tool{}, ctx.Err()
		case err != nil:
			passed = append(passed, err.Error())
		case t.serves(server):
			return t, nil
		default:
			passed = append(passed, fmt.Sprintf("%s is version %s", path, t.version))
			if first.path == "" {
				first = t
			}
		}
	}
	if len(passed) == 0 {
		_, err := toolexec.LookPath("pg_basebackup", e.env.PathPrefix)
		return tool{}, diag.Diagnostic{
			Severity: diag.Error, Code: diag.CodeToolMissing, Summary: "pg_basebackup is not installed on the Barman host",
			Detail: fmt.Sprintf("%v; install PostgreSQL's client programs or name their directory in path_prefix", err),
		}
	}
	d := diag.Diagnostic{
		Severity: diag.Error, Code: diag.CodeToolMissing, Summary: "no pg_basebackup on the Barman host runs",
		Detail: strings.Join(passed, "; "),
	}
	if first.path != "" {
		d.Summary = fmt.Sprintf("no pg_basebackup for PostgreSQL %s on the Barman host", server)
		d.Detail += "; name the directory of a version that is at least the server's in path_prefix"
	}
	return first, d
}

// ask runs the candidate: Debian has a wrapper of this name that works only when a version of PostgreSQL is installed.
func (e *Executor) ask(ctx context.Context, path string) (tool, error) {
	var out bytes.Buffer
	if _, err := toolexec.Run(ctx, toolexec.Command{Name: path, Args: []string{"--version"}, PathPrefix: e.env.PathPrefix, Stdout: &out}); err != nil {
		return tool{}, fmt.Errorf("%s: %w", path, err)
	}
	v, ok := parseVersion(out.String())
	if !ok {
		return tool{}, fmt.Errorf("%s does not tell its version: %q", path, strings.TrimSpace(out.String()))
	}
	return tool{path: path, version: v}, nil
}
