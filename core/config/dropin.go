package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

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
	if l.opts.auto != nil {
		l.readText(g.AutoPath(), l.opts.auto, Error, false)
	} else if _, err := os.Stat(g.AutoPath()); err == nil {
		l.readFile(g.AutoPath(), false)
	}
}

// AutoFile is a file in barman_home that holds what config-update changed. It is read after all other files.
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
