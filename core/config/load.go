package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// EnvConfigFile names the environment variable that holds the path of the main file when LoadOptions.Path is empty.
const EnvConfigFile = "BARMAN_CONFIG_FILE"

// LoadOptions say where to look.
type LoadOptions struct {
	// Path is the main file, as given with -c; empty to look for it.
	Path string
	// Env looks up environment variables, for BARMAN_CONFIG_FILE and env(); nil is os.LookupEnv.
	Env func(string) (string, bool)
	// Home is the user's home directory, for ~/.barman.hcl; empty is os.UserHomeDir.
	Home string
	// Search replaces the default locations of the main file, for tests.
	Search []string
}

// DefaultLocations are the places where the main file is looked for, in order.
func DefaultLocations(home string) []string {
	var paths []string
	if home != "" {
		paths = append(paths, filepath.Join(home, ".barman.hcl"))
	}
	return append(paths, "/etc/barman.hcl", "/etc/barman/barman.hcl")
}

// Load finds and reads the configuration. With a fatal diagnostic the Config is nil; otherwise it can be used, whatever
// else was found: broken servers are disabled.
func Load(opts LoadOptions) (*Config, Diagnostics) {
	if opts.Env == nil {
		opts.Env = os.LookupEnv
	}
	if opts.Home == "" {
		// Without a home directory there is no ~ to expand, which is no error by itself.
		opts.Home, _ = os.UserHomeDir()
	}
	if opts.Search == nil {
		opts.Search = DefaultLocations(opts.Home)
	}
	l := &loader{
		opts: opts, barman: &section{kind: blockBarman, attrs: map[string]attribute{}},
		servers: map[string]*section{}, models: map[string]*section{}, barmanVars: map[string]cty.Value{},
	}
	cfg := l.load()
	if l.diags.Fatal() {
		return nil, l.diags
	}
	return cfg, l.diags
}

// loader collects what the files say; load turns it into a Config.
type loader struct {
	opts  LoadOptions
	diags Diagnostics
	path  string
	files []string

	barman          *section
	servers, models map[string]*section
	plugins         []*PluginBlock
	// barmanVars are the attributes of barman.* in expressions.
	barmanVars map[string]cty.Value
	// shared are the readings of the barman block's attributes.
	shared map[string]setting
}

func (l *loader) fatal(format string, args ...any) {
	l.diags = append(l.diags, Diagnostic{Severity: Fatal, Summary: fmt.Sprintf(format, args...)})
}

func (l *loader) load() *Config {
	l.path = l.find()
	if l.diags.Fatal() {
		return nil
	}
	if !l.readFile(l.path, true) {
		return nil
	}
	if l.barman.file == nil && !l.diags.Fatal() {
		l.diags = append(l.diags, Diagnostic{
			Severity: Fatal, Summary: "Configuration file '" + l.path + "' has no barman block",
			Detail: "Add: barman { barman_home = \"/var/lib/barman\" }", Range: Range{File: l.path},
		})
	}
	if l.diags.Fatal() {
		return nil
	}
	global := l.resolveGlobal()
	if l.diags.Fatal() {
		return nil
	}
	l.readDropIns(global)
	if l.diags.Fatal() {
		return nil
	}
	cfg := &Config{Path: l.path, Files: l.files, Global: global, Plugins: l.plugins}
	cfg.Models = l.resolveModels()
	cfg.Servers = l.resolveServers(cfg)
	l.checkConflictsBetweenServers(cfg)
	return cfg
}

// find applies the lookup order.
func (l *loader) find() string {
	path := l.opts.Path
	if path == "" {
		if env, ok := l.opts.Env(EnvConfigFile); ok && env != "" {
			path = env
		}
	}
	if path != "" {
		if _, err := os.Stat(path); err != nil {
			l.fatal("Configuration file '%s' does not exist", path)
			if !errors.Is(err, fs.ErrNotExist) {
				l.diags[len(l.diags)-1].Summary = fmt.Sprintf("Configuration file '%s' cannot be read: %v", path, errors.Unwrap(err))
			}
		}
		return path
	}
	for _, candidate := range l.opts.Search {
		if f, err := os.Open(candidate); err == nil {
			f.Close() //nolint:errcheck // only tried whether it can be read
			return candidate
		}
	}
	l.fatal("Could not find any configuration file at default locations.\nCheck Barman's documentation for more help.")
	l.diags[0].Detail = "Looked for: " + strings.Join(l.opts.Search, ", ")
	for _, old := range []string{filepath.Join(l.opts.Home, ".barman.conf"), "/etc/barman.conf", "/etc/barman/barman.conf"} {
		if _, err := os.Stat(old); err == nil {
			l.diags[0].Detail += "\nTo convert the old configuration: barman config import " + old
			break
		}
	}
	return ""
}

// readFile reads one file and sorts its blocks. False means that nothing could be read.
func (l *loader) readFile(path string, main bool) bool {
	severity := Error
	if main {
		severity = Fatal
	}
	data, err := readLimited(path)
	if err != nil {
		l.diags = append(l.diags, Diagnostic{
			Severity: severity, Summary: fmt.Sprintf("Configuration file '%s' cannot be read: %v", path, err),
		})
		return false
	}
	l.files = append(l.files, path)
	file := newSourceFile(path, data)
	if looksLikeINI(file) {
		l.diags = append(l.diags, Diagnostic{
			Severity: severity, Summary: fmt.Sprintf("Configuration file '%s' is in the old INI format", path),
			Detail: "Convert it: barman config import " + path, Range: Range{File: path},
		})
		return false
	}
	blocks, stray, found := file.parse(data)
	l.diags = append(l.diags, file.fromHCL(severity, found)...)
	for _, name := range sortedKeys(stray) {
		d := file.diagnostic(Warning, stray[name].NameRange, "Option %q stands outside of any block and is ignored", name)
		d.Option, d.Detail = name, "Global options belong into: barman { … }"
		l.diags = append(l.diags, d)
	}
	seen := map[string]bool{}
	for _, b := range blocks {
		l.sortBlock(b, main, seen)
	}
	return true
}

// looksLikeINI tells whether the first line with content is a section header of the old format.
func looksLikeINI(f *sourceFile) bool {
	for _, line := range f.lines {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		return strings.HasPrefix(line, "[")
	}
	return false
}

// sortBlock files one top-level block under what it describes.
func (l *loader) sortBlock(b topBlock, main bool, seen map[string]bool) {
	switch blockKind(b.Type) {
	case blockBarman:
		if !l.labels(b, 0, Fatal) || !l.syntax(b, l.barman, Fatal) {
			return
		}
		if !main {
			l.checkRestated(b)
			return
		}
		l.merge(l.barman, b, seen)
	case blockServer, blockModel:
		l.namedBlock(b, seen)
	case blockPlugin:
		sec := &section{kind: blockPlugin, name: strings.Join(quoted(b.Labels), " ")}
		if !l.syntax(b, sec, Fatal) {
			return
		}
		// A pin that is misread must not be skipped, so a mistake here is as bad as one in the barman block.
		if p := l.pluginBlock(sec, b, Fatal); p != nil {
			l.plugins = append(l.plugins, p)
		}
	default:
		d := b.file.diagnostic(Warning, b.TypeRange, "Unknown block %q is ignored", b.Type)
		d.Suggestion = nearest(b.Type, []string{"barman", "server", "model", "plugin"})
		l.diags = append(l.diags, d)
	}
}

// labels checks the number of labels of a block.
func (l *loader) labels(b topBlock, want int, severity Severity) bool {
	if len(b.Labels) == want {
		return true
	}
	d := b.file.diagnostic(severity, b.DefRange(), "Block %q takes %d names, found %d", b.Type, want, len(b.Labels))
	switch b.Type {
	case "server", "model":
		d.Detail = fmt.Sprintf("Write: %s \"name\" { … }", b.Type)
	case "plugin":
		d.Detail = `Write: plugin "type" "name" { … }, where type is transfer, compress or hook.`
	}
	l.add(d)
	return false
}

// syntax reports what kept a block from being parsed. True: there was nothing.
func (l *loader) syntax(b topBlock, s *section, severity Severity) bool {
	if b.syntax == nil {
		return true
	}
	// The first is the cause; the others are what the parser stumbled over afterwards.
	l.report(s, b.file.fromHCL(severity, b.syntax)[0])
	s.incomplete = true
	return false
}

func (l *loader) namedBlock(b topBlock, seen map[string]bool) {
	if !l.labels(b, 1, Error) {
		return
	}
	name := b.Labels[0]
	if name == "all" {
		d := b.file.diagnostic(Fatal, b.DefRange(), "FATAL: the reserved word 'all' is not allowed as %s name.Please rename it.", b.Type)
		l.diags = append(l.diags, d)
		return
	}
	if reason := badName(name); reason != "" && b.Type == string(blockServer) {
		d := b.file.diagnostic(Error, b.DefRange(), "Server name %q cannot be used: %s", name, reason)
		d.Detail = "The name is also a directory below barman_home. This server is left out."
		l.diags = append(l.diags, d)
		return
	}
	sections, kind := l.servers, blockServer
	if b.Type == string(blockModel) {
		sections, kind = l.models, blockModel
	}
	s := sections[name]
	if s == nil {
		s = &section{kind: kind, name: name, attrs: map[string]attribute{}}
		sections[name] = s
	}
	if !l.syntax(b, s, Error) {
		s.at, s.file = b.TypeRange, b.file
		return
	}
	l.merge(s, b, seen)
}

// badName says why a server name is not safe as a path component, or "".
func badName(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case len(name) > 200:
		return "it is longer than 200 bytes"
	case strings.HasPrefix(name, "."), strings.HasPrefix(name, "-"):
		return "it starts with a dot or a dash"
	case strings.TrimSpace(name) != name:
		return "it starts or ends with a blank"
	case strings.ContainsFunc(name, func(r rune) bool { return r == '/' || r < ' ' || r == 0x7f || r == '\uFFFD' }):
		return "it contains a slash or a control character"
	}
	return ""
}

// merge adds a block to its section. Within one file a second block of the same name is probably a mistake.
func (l *loader) merge(s *section, b topBlock, seen map[string]bool) {
	if key := s.title(); seen[key] {
		d := b.file.diagnostic(Warning, b.DefRange(), "Block %s appears twice in this file; later options replace earlier ones", key)
		l.report(s, d)
	} else {
		seen[key] = true
	}
	if s.file == nil {
		s.at, s.file = b.DefRange(), b.file
	}
	for name, attr := range b.Body.Attributes {
		s.attrs[name] = attribute{Attribute: attr, file: b.file}
	}
	for _, nested := range b.Body.Blocks {
		s.nested = append(s.nested, topBlock{Block: nested, file: b.file})
	}
}

// readDropIns reads the files of configuration_files_directory and what config-update wrote.
func (l *loader) readDropIns(g *Global) {
	dir := g.ConfigurationFilesDirectory
	if dir != "" {
		entries, err := os.ReadDir(dir)
		if err != nil {
			d := Diagnostic{
				Severity: Warning, Summary: fmt.Sprintf("Ignoring configuration_files_directory '%s': %v", dir, errors.Unwrap(err)),
				Option: "configuration_files_directory", Block: "barman", LogOnly: true,
				Range: l.shared["configuration_files_directory"].value.Source.Range,
			}
			l.diags = append(l.diags, d)
		}
		for _, e := range entries { // sorted by name
			path := filepath.Join(dir, e.Name())
			if filepath.Ext(path) != ".hcl" || strings.HasPrefix(e.Name(), ".") {
				continue
			}
			if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
				l.diags = append(l.diags, Diagnostic{
					Severity: Warning, Summary: fmt.Sprintf("Discarding configuration file: %s (not a file)", path), LogOnly: true,
				})
				continue
			}
			l.readFile(path, false)
		}
	}
	auto := filepath.Join(g.BarmanHome, AutoFile)
	if _, err := os.Stat(auto); err == nil {
		l.readFile(auto, false)
	}
}

// AutoFile, in barman_home, holds what config-update changed. It is read after all other files.
const AutoFile = ".barman.auto.hcl"

// checkRestated ends the program when a drop-in file changes the barman block. Saying the same again is tolerated.
func (l *loader) checkRestated(b topBlock) {
	again := &section{kind: blockBarman, attrs: map[string]attribute{}}
	differs := len(b.Body.Blocks) > 0
	for _, name := range sortedKeys(b.Body.Attributes) {
		attr := attribute{Attribute: b.Body.Attributes[name], file: b.file}
		o, known := Lookup(name)
		before, stated := l.shared[name]
		if !known || !stated {
			differs = true
			break
		}
		now := l.read(again, o, attr)
		if now.outcome != before.outcome || (Value{Option: o, Go: now.value.Go}).Text() != (Value{Option: o, Go: before.value.Go}).Text() {
			differs = true
		}
	}
	if differs {
		d := b.file.diagnostic(Fatal, b.TypeRange,
			"FATAL: the configuration file %s contains a not empty [barman] section", filepath.Base(b.file.path))
		d.Detail = "Global options belong into " + l.path + "."
		l.diags = append(l.diags, d)
	}
}

func sortedAttributes[V any](m map[string]V) []string { return sortedKeys(m) }

// variablesOf lists the attributes of barman.* that an expression refers to.
func variablesOf(vars []hcl.Traversal) []string {
	var names []string
	for _, t := range vars {
		if t.RootName() != "barman" || len(t) < 2 {
			continue
		}
		if step, ok := t[1].(hcl.TraverseAttr); ok && !slices.Contains(names, step.Name) {
			names = append(names, step.Name)
		}
	}
	return names
}
