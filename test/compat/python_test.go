package compat

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/barman-go/barman/test/e2e/backuphost"
	"github.com/barman-go/barman/test/lab"
)

// pythonVersions are the Python Barmans that catalogs are shared with: an older and a newer one than the 3.17 that is followed here.
var pythonVersions = []string{"3.13", "3.20"}

// withPython has a story told by one of the versions, which tell it alike. $BARMAN_TEST_EACH_PYTHON has each of them tell it, two at a
// time.
func withPython(t *testing.T, version string, story func(t *testing.T, version string)) {
	versions := []string{version}
	if os.Getenv("BARMAN_TEST_EACH_PYTHON") != "" {
		versions = pythonVersions
	}
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			lab.PythonBarman(t, version) // skips before anything is built
			story(t, version)
		})
	}
}

// patience is how long a command may take on a busy machine before it is taken for hung.
const patience = 5 * time.Minute

// python is a Python Barman on a backup host, with the host's barman_home and lock directory.
type python struct {
	version string
	argv    []string
	host    *backuphost.Host
	config  string
}

func newPython(t *testing.T, host *backuphost.Host, version string) *python {
	t.Helper()
	p := &python{version, lab.PythonBarman(t, version), host, filepath.Join(host.Dir, "barman.conf")}
	t.Cleanup(func() {
		if log, err := os.ReadFile(p.logFile()); err == nil && t.Failed() {
			lines := strings.Split(string(log), "\n")
			// The middle of a stack trace is of no use here.
			lines = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, " ") })
			t.Logf("end of Python's log:\n%s", strings.Join(lines[max(0, len(lines)-20):], "\n"))
		}
	})
	return p
}

func (p *python) logFile() string { return filepath.Join(p.host.Dir, "python.log") }

// configure writes the INI file: the [barman] section and the server "main".
func (p *python) configure(t *testing.T, bin string, options map[string]string) {
	t.Helper()
	global := map[string]string{
		"barman_user": p.host.User.Name, "barman_home": p.host.Home, "barman_lock_directory": p.host.Locks,
		"log_file": p.logFile(), "path_prefix": bin,
	}
	p.host.WriteFile(t, p.config, section("barman", global)+section("main", options), 0o644)
}

func section(name string, options map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[%s]\n", name)
	for _, option := range slices.Sorted(maps.Keys(options)) {
		fmt.Fprintf(&b, "%s = %s\n", option, options[option])
	}
	return b.String()
}

// command prepares a command of Python Barman.
func (p *python) command(ctx context.Context, args ...string) *exec.Cmd {
	return p.host.User.Command(ctx, p.host.Dir, slices.Concat(p.argv, []string{"-c", p.config}, args)...)
}

// run runs a command to its end.
func (p *python) run(t testing.TB, args ...string) lab.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := lab.Run(p.command(ctx, args...))
	if err != nil {
		t.Fatalf("Python's barman %s: %v\n%s%s", strings.Join(args, " "), err, result.Stdout, result.Stderr)
	}
	return result
}

// must runs a command that has to succeed, and returns its standard output.
func (p *python) must(t testing.TB, args ...string) string {
	t.Helper()
	r := p.run(t, args...)
	if r.Exit != 0 {
		t.Fatalf("Python's barman %s %s: exit code %d\n%s%s", p.version, strings.Join(args, " "), r.Exit, r.Stdout, r.Stderr)
	}
	return r.Stdout
}
