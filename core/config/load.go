package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"github.com/barman-go/barman/core/fsx"
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
	// auto, if not nil, stands for the content of AutoFile.
	auto []byte
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
		real: fsx.RealPaths{},
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
	seen   evaluated
	real   fsx.RealPaths
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
	return l.readText(path, data, severity, main)
}

// readText sorts the blocks of a file. False means that it has none.
func (l *loader) readText(path string, data []byte, severity Severity, main bool) bool {
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
