package toolexec

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNotFound means that the tool is in none of the directories; the error's text lists them.
var ErrNotFound = errors.New("tool not found")

// LookPath finds a tool in the directories of prefix and then in PATH, and returns its path. Files that are not
// executable are passed over and named in the error. Empty and relative directories of PATH are ignored: a program of
// the working directory is never meant. An absolute name is only checked. The error wraps ErrNotFound.
func LookPath(name string, prefix []string) (string, error) {
	if filepath.IsAbs(name) {
		if err := executable(name); err != nil {
			return "", fmt.Errorf("%w: %w", ErrNotFound, err)
		}
		return name, nil
	}
	if name == "" || strings.ContainsRune(name, '/') {
		return "", fmt.Errorf("%w: %q is neither a program's name nor an absolute path", ErrNotFound, name)
	}
	var passed []string
	dirs := searchPath(prefix)
	for _, dir := range dirs {
		candidate := filepath.Join(dir, name)
		err := executable(candidate)
		if err == nil {
			return candidate, nil
		}
		if !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
			passed = append(passed, err.Error())
		}
	}
	text := fmt.Sprintf("%s, looked in %s", name, strings.Join(dirs, ", "))
	if len(passed) > 0 {
		text += "; passed over: " + strings.Join(passed, "; ")
	}
	return "", fmt.Errorf("%w: %s", ErrNotFound, text)
}

// Candidates returns every tool of that name in the order of LookPath, for callers that choose by asking for a version.
func Candidates(name string, prefix []string) []string {
	var found []string
	if name == "" || strings.ContainsRune(name, '/') {
		return nil
	}
	for _, dir := range searchPath(prefix) {
		if candidate := filepath.Join(dir, name); executable(candidate) == nil {
			found = append(found, candidate)
		}
	}
	return found
}

// searchPath returns the directories of prefix and PATH in order, each once.
func searchPath(prefix []string) []string {
	var dirs []string
	seen := map[string]bool{}
	for _, dir := range append(append([]string{}, prefix...), filepath.SplitList(os.Getenv("PATH"))...) {
		if !filepath.IsAbs(dir) {
			continue
		}
		dir = filepath.Clean(dir)
		if !seen[dir] {
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// executable tells whether path is a file that this process may execute.
func executable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	// The effective identity counts, as for exec.
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("%s is not executable: %w", path, err)
	}
	return nil
}
