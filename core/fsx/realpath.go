package fsx

import (
	"os"
	"path/filepath"
	"strings"
)

// RealPaths finds what the names of directories lead to, and remembers it: those of hundreds of servers have most of their path in
// common. It is not for several goroutines.
type RealPaths map[string]string

// Of resolves the symbolic links of an absolute path, as far as it exists. A dangling link is followed, too, or two servers could
// meet behind it once its target is created. A circle of links ends somewhere in it.
func (r RealPaths) Of(path string) string {
	if !filepath.IsAbs(path) {
		path = "/" + path
	}
	return r.clean(filepath.Clean(path))
}

// clean resolves a clean absolute path. Its parent is a part of it, so that nothing is copied where there are no links.
func (r RealPaths) clean(path string) string {
	if path == "/" {
		return path
	}
	if real, ok := r[path]; ok {
		return real
	}
	parent := filepath.Dir(path)
	real := r.clean(parent)
	if real == parent {
		return r.step(path)
	}
	r[path] = r.step(filepath.Join(real, filepath.Base(path)))
	return r[path]
}

// walk goes along a path from a directory without links.
func (r RealPaths) walk(from, path string) string {
	for name := range strings.SplitSeq(path, "/") {
		switch name {
		case "", ".":
		case "..":
			from = filepath.Dir(from)
		default:
			from = r.step(filepath.Join(from, name))
		}
	}
	return from
}

// step resolves the last name of a path.
func (r RealPaths) step(path string) string {
	if real, ok := r[path]; ok {
		return real
	}
	r[path] = path // where links go in a circle
	target, err := os.Readlink(path)
	if err != nil {
		return path
	}
	from := filepath.Dir(path)
	if filepath.IsAbs(target) {
		from = "/"
	}
	r[path] = r.walk(from, target)
	return r[path]
}
