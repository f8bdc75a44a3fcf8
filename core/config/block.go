package config

import (
	"fmt"
	"strings"
)

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
