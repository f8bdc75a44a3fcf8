package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ErrNotCached means that test/lab/versions.sh has not been run, or does not know the version.
var ErrNotCached = errors.New("not in the cache")

// PythonBarman returns the command line prefix that runs Python Barman of a version ("3.13", "3.20"), as any user. It skips the
// test unless the cache has it. The other commands (barman-wal-archive, …) lie beside it.
func PythonBarman(t testing.TB, version string) []string {
	t.Helper()
	return needPeer(t, "barman", version, "barman")
}

// PgBackRest returns the command line prefix that runs pgBackRest, of the cache's newest version.
func PgBackRest(t testing.TB) []string {
	t.Helper()
	return needPeer(t, "pgbackrest", "*", "pgbackrest")
}

func needPeer(t testing.TB, product, version, program string) []string {
	t.Helper()
	path, err := FindPeer(product, version, program)
	if err != nil {
		t.Skip(err)
	}
	return []string{path}
}

// FindPeer looks for CACHE/product/version/bin/program; version may be a pattern. Errors wrap ErrNotCached.
func FindPeer(product, version, program string) (string, error) {
	for _, root := range CacheRoots() {
		found, err := filepath.Glob(filepath.Join(root, product, version, "bin", program))
		if err != nil {
			return "", err
		}
		if len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	return "", fmt.Errorf("%s %s is %w (%s): run test/lab/versions.sh as root%s",
		product, version, ErrNotCached, strings.Join(CacheRoots(), ", "), rootHint())
}

func rootHint() string {
	if os.Geteuid() == 0 {
		return ""
	}
	return ", for instance with sudo"
}
