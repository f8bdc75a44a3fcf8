package lab

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Installation is one installed PostgreSQL.
type Installation struct {
	Major int
	// Bin is the directory of initdb, postgres, psql, pg_basebackup and the others.
	Bin string
}

// CacheRoots returns the directories where test/lab/versions.sh keeps other PostgreSQL and Barman versions, best first:
// $BARMAN_TEST_CACHE, /var/cache/barman-test, and ~/.cache/barman-test. (The home directory of root cannot be entered by
// the user postgres, so root's cache is the one under /var.)
func CacheRoots() []string {
	var roots []string
	if dir := os.Getenv("BARMAN_TEST_CACHE"); dir != "" {
		roots = append(roots, dir)
	}
	roots = append(roots, "/var/cache/barman-test")
	if home, err := os.UserHomeDir(); err == nil {
		roots = append(roots, filepath.Join(home, ".cache", "barman-test"))
	}
	return roots
}

// Installations returns all PostgreSQL versions of this machine, oldest first: Debian's /usr/lib/postgresql/N, and those of the
// caches (CACHE/pg/N; $BARMAN_TEST_PG_CACHE names such a pg directory itself). Of several with the same major version the
// first one found counts.
func Installations() []Installation {
	var patterns []string
	if dir := os.Getenv("BARMAN_TEST_PG_CACHE"); dir != "" {
		patterns = append(patterns, filepath.Join(dir, "*", "bin"))
	}
	patterns = append(patterns, "/usr/lib/postgresql/*/bin")
	for _, root := range CacheRoots() {
		patterns = append(patterns, filepath.Join(root, "pg", "*", "bin"))
	}
	var found []Installation
	for _, pattern := range patterns {
		dirs, _ := filepath.Glob(pattern) // the pattern is well-formed
		for _, bin := range dirs {
			major, err := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
			known := slices.ContainsFunc(found, func(i Installation) bool { return i.Major == major })
			if _, missing := os.Stat(filepath.Join(bin, "initdb")); err == nil && missing == nil && !known {
				found = append(found, Installation{major, bin})
			}
		}
	}
	slices.SortFunc(found, func(a, b Installation) int { return cmp.Compare(a.Major, b.Major) })
	return found
}

// FindPostgres returns the installation of a major version; 0 means the one of the operating system, or else the newest.
func FindPostgres(major int) (Installation, error) {
	all := Installations()
	var names []string
	for _, i := range all {
		if i.Major == major || major == 0 && strings.HasPrefix(i.Bin, "/usr/lib/") {
			return i, nil
		}
		names = append(names, strconv.Itoa(i.Major))
	}
	if major == 0 && len(all) > 0 {
		return all[len(all)-1], nil
	}
	return Installation{}, fmt.Errorf("PostgreSQL %d is not installed (found: %s); run test/lab/versions.sh, or apt-get install postgresql",
		major, strings.Join(names, ", "))
}

// NeedPostgres skips the test unless the major version is installed.
func NeedPostgres(t testing.TB, major int) {
	t.Helper()
	if _, err := FindPostgres(major); err != nil {
		t.Skip(err)
	}
}
