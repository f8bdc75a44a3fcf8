package pluginhost

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/agext/levenshtein"

	"github.com/barman-go/barman/sdk/plugin"
)

// Found is a trusted executable.
type Found struct {
	Type, Name string
	// Path is where the search found it, RealPath what it is after symbolic links.
	Path, RealPath string
	// Origin is the part of the search that found it.
	Origin Origin
	// SHA256 is in hexadecimal; empty when nothing asked for it.
	SHA256 string
	// file is the checked descriptor.
	file *os.File
}

func (f *Found) key() string { return f.Type + "/" + f.Name }

// Origin is a part of the search.
type Origin string

// Origins, in the order of the search.
const (
	OriginExplicit Origin = "path"
	OriginServer   Origin = "server path_prefix"
	OriginGlobal   Origin = "path_prefix"
	OriginBundled  Origin = "bundled"
	OriginPATH     Origin = "PATH"
)

// place is a directory of the search, or a file when it is explicit.
type place struct {
	origin Origin
	path   string
}

// places lists where a plugin is looked for, in order; a directory that comes twice counts where it comes first.
func (h *Host) places(pluginType, name string, use Use) []place {
	explicit := use.Path
	if explicit == "" {
		explicit = h.opts.Paths[pluginType+"/"+name]
	}
	if explicit != "" {
		// An administrator who names a file means that file and no other.
		return []place{{OriginExplicit, explicit}}
	}
	return h.directories(use.PathPrefix)
}

func (h *Host) directories(serverPrefix []string) []place {
	var out []place
	seen := map[string]bool{}
	add := func(origin Origin, dirs ...string) {
		for _, d := range dirs {
			if d == "" || seen[d] {
				continue
			}
			seen[d] = true
			out = append(out, place{origin, d})
		}
	}
	add(OriginServer, serverPrefix...)
	add(OriginGlobal, h.opts.GlobalPathPrefix...)
	add(OriginBundled, h.opts.BundledDir)
	add(OriginPATH, h.opts.SearchPath...)
	return out
}

// find returns the first trusted executable, or a *NotFoundError.
func (h *Host) find(pluginType, name string, use Use) (*Found, error) {
	missing := &NotFoundError{Type: pluginType, Name: name}
	if !slices.Contains(plugin.Types(), pluginType) || name == "" || strings.ContainsAny(name, "/\x00") {
		return nil, missing
	}
	for _, p := range h.places(pluginType, name, use) {
		missing.Looked = append(missing.Looked, p.path)
		path := p.path
		if p.origin != OriginExplicit {
			path = filepath.Join(p.path, plugin.ExecutableName(pluginType, name))
		}
		f, err := h.examine(pluginType, name, path, use.SHA256)
		if err == nil {
			f.Origin = p.origin
			return f, nil
		}
		if p.origin == OriginExplicit || !errors.Is(err, fs.ErrNotExist) {
			missing.Rejected = append(missing.Rejected, Candidate{Path: path, Reason: err.Error()})
		}
	}
	missing.Installed = h.installed(pluginType, use)
	missing.Nearest = nearest(name, missing.Installed)
	return nil, missing
}

// examine checks one executable: trust, then pins.
func (h *Host) examine(pluginType, name, path, pin string) (*Found, error) {
	real, file, err := openTrusted(path)
	if err != nil {
		return nil, err
	}
	f := &Found{Type: pluginType, Name: name, Path: path, RealPath: real, file: file}
	if err := h.checkDigest(f, pin); err != nil {
		_ = file.Close()
		return nil, err
	}
	return f, nil
}

// checkDigest compares the file with the pin and the lock file. Without either nothing is read.
func (h *Host) checkDigest(f *Found, pin string) error {
	key := f.key()
	if pin == "" {
		pin = h.opts.Pins[key]
	}
	if pin == "" && h.opts.Lock == nil {
		return nil
	}
	sum, err := digest(f.file)
	if err != nil {
		return fmt.Errorf("it cannot be read: %w", err)
	}
	f.SHA256 = sum
	if pin != "" && !strings.EqualFold(pin, sum) {
		return fmt.Errorf("its sha256 is %s, the configuration wants %s", sum, strings.ToLower(pin))
	}
	if h.opts.Lock == nil {
		return nil
	}
	switch locked := h.opts.Lock.Digests[key]; locked {
	case sum:
		return nil
	case "":
		return fmt.Errorf("the lock file %s does not name %s", h.opts.Lock.Path, key)
	default:
		return fmt.Errorf("its sha256 is %s, the lock file %s wants %s", sum, h.opts.Lock.Path, locked)
	}
}

// installed lists the names of plugins of a type in all directories, trusted or not.
func (h *Host) installed(pluginType string, use Use) []string {
	var names []string
	for _, p := range h.directories(use.PathPrefix) {
		for _, e := range executables(p.path) {
			if e.typ == pluginType && !slices.Contains(names, e.name) {
				names = append(names, e.name)
			}
		}
	}
	sort.Strings(names)
	return names
}

type executable struct{ typ, name string }

// executables lists the files of a directory that are named like plugins.
func executables(dir string) []executable {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer func() { _ = d.Close() }()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil
	}
	sort.Strings(names)
	var out []executable
	for _, file := range names {
		for _, t := range plugin.Types() {
			if name, ok := strings.CutPrefix(file, plugin.ExecutableName(t, "")); ok && name != "" {
				out = append(out, executable{t, name})
			}
		}
	}
	return out
}

// nearest returns the names that a person may have meant, best first.
func nearest(name string, known []string) []string {
	// Two letters exchanged count as two edits.
	limit := min((len(name)+1)/2, 3)
	var near []string
	for _, k := range known {
		if k != name && levenshtein.Distance(name, k, nil) <= limit {
			near = append(near, k)
		}
	}
	sort.SliceStable(near, func(i, j int) bool {
		return levenshtein.Distance(name, near[i], nil) < levenshtein.Distance(name, near[j], nil)
	})
	return near[:min(len(near), 3)]
}
