package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sort"

	"golang.org/x/sync/errgroup"

	"github.com/barman-go/barman/sdk/plugin"
)

// Status is what the search makes of a candidate.
type Status string

// Statuses.
const (
	// InForce is the one that is used.
	InForce Status = "in force"
	// Shadowed is trusted, but another one comes earlier.
	Shadowed Status = "shadowed"
	// Rejected is not trusted, or does not match its pin.
	Rejected Status = "rejected"
	// Broken is in force and does not start or is not what its name says.
	Broken Status = "broken"
)

// Entry is one line of `barman plugin list`.
type Entry struct {
	Type, Name string
	// Version and Summary are known of plugins in force only: others are not started.
	Version, Summary string
	Path, RealPath   string
	Origin           Origin
	Status           Status
	// Reason says why it is shadowed, rejected or broken.
	Reason string
	// SHA256 is in hexadecimal; of rejected candidates it is empty.
	SHA256 string
}

// maxStarting bounds the plugins that List starts at the same time.
const maxStarting = 4

// List looks at every candidate in every directory of the search, sorted by type, name and order of the search, and
// starts those in force to ask for their version.
func (h *Host) List(ctx context.Context, use Use) ([]Entry, error) {
	var entries []Entry
	winners := map[string]string{}
	for _, c := range h.candidates(use) {
		e := h.judge(c, winners)
		entries = append(entries, e)
	}
	sort.SliceStable(entries, func(i, j int) bool {
		a, b := entries[i], entries[j]
		if a.Type != b.Type {
			return a.Type < b.Type
		}
		return a.Name < b.Name
	})
	var group errgroup.Group
	group.SetLimit(maxStarting)
	for i := range entries {
		if e := &entries[i]; e.Status == InForce {
			group.Go(func() error { h.ask(ctx, e, use); return nil })
		}
	}
	// The functions above return no error: what they find is in the entries.
	_ = group.Wait()
	return entries, ctx.Err()
}

// candidate is a file with a plugin's name, in the order of the search.
type candidate struct {
	executable
	path   string
	origin Origin
}

func (h *Host) candidates(use Use) []candidate {
	var out []candidate
	explicit := make([]string, 0, len(h.opts.Paths))
	for key := range h.opts.Paths {
		explicit = append(explicit, key)
	}
	sort.Strings(explicit)
	for _, key := range explicit {
		typ, name := filepath.Split(key)
		out = append(out, candidate{executable{filepath.Clean(typ), name}, h.opts.Paths[key], OriginExplicit})
	}
	for _, p := range h.directories(use.PathPrefix) {
		for _, e := range executables(p.path) {
			out = append(out, candidate{e, filepath.Join(p.path, plugin.ExecutableName(e.typ, e.name)), p.origin})
		}
	}
	return out
}

// judge decides a candidate's status; winners maps "type/name" to the path that is in force so far.
func (h *Host) judge(c candidate, winners map[string]string) Entry {
	e := Entry{Type: c.typ, Name: c.name, Path: c.path, Origin: c.origin}
	key := c.typ + "/" + c.name
	winner, taken := winners[key]
	if c.origin == OriginExplicit {
		// It is the only place where the plugin is looked for, even when it is rejected.
		winners[key] = c.path
	}
	f, err := h.examine(c.typ, c.name, c.path, "")
	if err != nil {
		e.Status, e.Reason = Rejected, err.Error()
		return e
	}
	defer func() { _ = f.file.Close() }()
	e.RealPath = f.RealPath
	if e.SHA256, err = digest(f.file); err != nil {
		e.Status, e.Reason = Rejected, "it cannot be read: "+err.Error()
		return e
	}
	if taken {
		e.Status, e.Reason = Shadowed, "by "+winner
		return e
	}
	winners[key] = c.path
	e.Status = InForce
	return e
}

// ask starts a plugin for its version.
func (h *Host) ask(ctx context.Context, e *Entry, use Use) {
	info, err := h.Info(ctx, e.Type, e.Name, use)
	if err != nil {
		e.Status, e.Reason = Broken, err.Error()
		var start *StartError
		if errors.As(err, &start) {
			e.Reason = start.Reason
		}
		return
	}
	e.Version, e.Summary = info.Version, info.Summary
}

// Verify checks one plugin: found, trusted, starts, is what its name says, describes its options well, and, if use has
// a Decode, accepts its configuration. The entry is filled in as far as the check came.
func (h *Host) Verify(ctx context.Context, pluginType, name string, use Use) (Entry, error) {
	e := Entry{Type: pluginType, Name: name, Status: Rejected}
	f, err := h.find(pluginType, name, use)
	if err != nil {
		e.Reason = err.Error()
		return e, err
	}
	e.Path, e.RealPath, e.Origin, e.Status = f.Path, f.RealPath, f.Origin, InForce
	e.SHA256, err = digest(f.file)
	_ = f.file.Close()
	if err != nil {
		return e, fmt.Errorf("%s: %w", f.RealPath, err)
	}
	h.ask(ctx, &e, use)
	if e.Status == Broken {
		return e, fmt.Errorf("plugin %s/%s (%s): %s", pluginType, name, e.Path, e.Reason)
	}
	if use.Decode == nil {
		return e, nil
	}
	found, err := h.Validate(ctx, pluginType, name, use)
	if err == nil && found.HasErrors() {
		err = &ConfigError{Plugin: pluginType + "/" + name, Server: use.Server, Diagnostics: found}
	}
	return e, err
}
