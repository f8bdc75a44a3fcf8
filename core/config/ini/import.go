package ini

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/barman-go/barman/core/config"
	"github.com/barman-go/barman/core/redact"
)

// Import reads an INI configuration, given its main file, and returns the equivalent HCL. With an error among the
// diagnostics the HCL is nil. Warnings name values that were carried over although the new grammar refuses them, and
// everything else that a person should look at.
func Import(path string) ([]byte, config.Diagnostics) {
	im := &importer{}
	main := im.load(path)
	if main == nil {
		return nil, im.diags
	}
	if main.find("barman") == nil {
		im.fail(path, 0, "Configuration file '%s' has no [barman] section", path)
		return nil, im.diags
	}
	im.merge(main)
	im.mergeDropIns(path)
	if im.diags.HasErrors() {
		return nil, im.diags
	}
	return im.write(path), im.diags
}

// importer merges files into final sections, whose values are resolved.
type importer struct {
	diags    config.Diagnostics
	sections []*section
	// trailing are the comments at the ends of the files.
	trailing []string
}

func (im *importer) fail(file string, line int, format string, args ...any) {
	im.diags = append(im.diags, config.Diagnostic{
		Severity: config.Fatal, Summary: fmt.Sprintf(format, args...), Range: config.Range{File: file, Line: line},
	})
}

func (im *importer) warn(o *option, section, format string, args ...any) {
	im.diags = append(im.diags, config.Diagnostic{
		Severity: config.Warning, Summary: redact.Text(fmt.Sprintf(format, args...)), Option: o.key, Block: "[" + section + "]",
		Range: config.Range{File: o.file, Line: o.line},
	})
}

func (im *importer) load(path string) *file {
	data, err := os.ReadFile(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			im.fail("", 0, "Configuration file '%s' does not exist", path)
		} else {
			im.fail("", 0, "Configuration file '%s' cannot be read: %v", path, err)
		}
		return nil
	}
	f, err := parse(path, string(data))
	if err != nil {
		var bad *syntaxError
		line := 0
		if errors.As(err, &bad) {
			line = bad.line
		}
		im.fail(path, line, "Configuration file '%s' cannot be read: %v", path, err)
		return nil
	}
	return f
}

// merge adds a file; its options replace earlier ones.
func (im *importer) merge(f *file) {
	im.trailing = append(im.trailing, f.trailing...)
	for _, s := range f.sections {
		target := im.section(s.name)
		target.comments = append(target.comments, s.comments...)
		for _, o := range append(slices.Clone(s.options), f.inherited(s)...) {
			value, err := f.resolved(s, o)
			if err != nil {
				im.warn(o, s.name, "Option %q in [%s] cannot be interpolated and stops Barman 3.17: %v; it is written as %q",
					o.key, s.name, err, value)
			}
			resolved := *o
			resolved.value = value
			target.set(&resolved)
		}
	}
}

// inherited lists the options of [DEFAULT] that the section does not have. Barman copies them into every section.
func (f *file) inherited(s *section) []*option {
	var out []*option
	for _, o := range f.defaults.options {
		if s.find(o.key) == nil {
			out = append(out, o)
		}
	}
	return out
}

func (im *importer) section(name string) *section {
	for _, s := range im.sections {
		if s.name == name {
			return s
		}
	}
	s := &section{name: name}
	im.sections = append(im.sections, s)
	return s
}

// mergeDropIns reads the drop-in directory, then what config-update wrote.
func (im *importer) mergeDropIns(main string) {
	global := im.section("barman")
	if o := global.find("configuration_files_directory"); o != nil && o.value != "" {
		dir := o.value
		if home, err := os.UserHomeDir(); err == nil && (dir == "~" || strings.HasPrefix(dir, "~/")) {
			dir = filepath.Join(home, dir[1:])
		}
		names, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.conf"))
		if _, statErr := os.Stat(dir); err != nil || statErr != nil {
			im.warn(o, "barman", "Drop-in directory '%s' cannot be read and is left out", dir)
		}
		for _, name := range names {
			if strings.HasPrefix(filepath.Base(name), ".") {
				continue
			}
			if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
				im.warn(o, "barman", "Discarding configuration file: %s (not a file)", name)
				continue
			}
			im.mergeDropIn(name)
		}
	}
	home := global.find("barman_home")
	if home == nil {
		im.fail(main, 0, "Parameter \"barman_home\" is required in [barman] section.")
		return
	}
	auto := filepath.Join(home.value, ".barman.auto.conf")
	if _, err := os.Stat(auto); err == nil {
		im.mergeDropIn(auto)
	}
}

// mergeDropIn merges a file that may not change the [barman] section.
func (im *importer) mergeDropIn(path string) {
	f := im.load(path)
	if f == nil {
		return
	}
	if s := f.find("barman"); s != nil {
		for _, o := range s.options {
			now, _ := f.resolved(s, o)
			if before := im.section("barman").find(o.key); before == nil || before.value != now {
				im.fail(path, o.line, "FATAL: the configuration file %s contains a not empty [barman] section", filepath.Base(path))
				return
			}
		}
	}
	im.merge(f)
}

func escapeGlob(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}
