package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/barman-go/barman/core/redact"
)

// section is the barman block, a server or a model, merged from all its blocks in all files: later attributes replace
// earlier ones of the same name.
type section struct {
	kind  blockKind
	name  string
	attrs map[string]attribute
	// nested are hook and plugin blocks, in order.
	nested []topBlock
	// at is the header of the first block, in file.
	at   hcl.Range
	file *sourceFile
	// messages are reasons why the block cannot be used.
	messages []string
	// incomplete: something cannot be parsed or computed, so that options may be missing here that the user has written.
	incomplete bool
}

type attribute struct {
	*hclsyntax.Attribute
	file *sourceFile
}

// title is the block as one would write it.
func (s *section) title() string {
	switch s.kind {
	case blockBarman:
		return "barman"
	case blockPlugin:
		return "plugin " + s.name
	}
	return fmt.Sprintf("%s %q", s.kind, s.name)
}

// label is how messages of Barman name the block.
func (s *section) label() string {
	if s.kind == blockBarman {
		return "barman"
	}
	return s.name
}

// outcome is what became of one attribute.
type outcome int

const (
	// absent: as if the attribute were not there.
	absent outcome = iota
	// unset: no value, and nothing is inherited.
	unset
	// valued: setting.value holds.
	valued
	// rejected: the grammar does not accept it; setting.reason says why.
	rejected
	// broken: the expression cannot be computed; reported already.
	broken
)

// setting is the result of reading one attribute.
type setting struct {
	outcome outcome
	value   Value
	// shown is the value as messages show it.
	shown  string
	reason error
	attr   attribute
}

// interpret applies an option's grammar and the rules for empty values to what was written.
func (o *Option) interpret(g given) (outcome, any, error) {
	if g.null || g.list != nil && len(g.list) == 0 && o.EmptyUnsets {
		return unset, nil, nil
	}
	var value any
	var err error
	switch {
	case g.list != nil:
		value, err = o.ParseList(g.list)
	case g.dict != nil:
		value, err = o.ParseMap(g.dict)
	case g.isBool && o.Kind != Boolean:
		err = errors.New("a boolean is not accepted here")
	case o.Kind == PluginName && !g.isText:
		err = errors.New("write the name in double quotes")
	default:
		text := g.text
		// Python Barman reads the word None as an empty value.
		if text == "None" {
			text = ""
		}
		if text == "" && o.EmptyUnsets {
			return unset, nil, nil
		}
		if text == "" && o.EmptyAbsent {
			return absent, nil, nil
		}
		value, err = o.Parse(text)
	}
	if err != nil {
		return rejected, value, err
	}
	if o.UnsetWord != "" && value == o.UnsetWord {
		return unset, nil, nil
	}
	return valued, value, nil
}

// read evaluates an attribute of a section for an option.
func (l *loader) read(s *section, o *Option, attr attribute) setting {
	server := ""
	if s.kind == blockServer {
		server = s.name
	}
	out := setting{attr: attr}
	v, found := evaluate(attr.Expr, l.evalContext(attr.file, server))
	if found.HasErrors() {
		severity := Error
		if s.kind == blockBarman {
			severity = Fatal
		}
		for _, d := range attr.file.fromHCL(severity, found) {
			d.Option = o.Name
			l.report(s, d)
		}
		s.incomplete = true
		out.outcome = broken
		return out
	}
	g, err := givenFrom(v)
	out.shown = redact.Text(g.String())
	if err != nil {
		out.outcome, out.reason, out.shown = rejected, err, "…"
		return out
	}
	out.outcome, out.value.Go, out.reason = o.interpret(g)
	out.value.Option = o
	out.value.Source = Source{Origin: origins[s.kind], Range: rangeOf(attr.SrcRange), Block: s.title()}
	if out.outcome == rejected && out.value.Go == nil && o.Invalid == Disable {
		// A rule decides later whether the value matters; until then it is shown as it is.
		out.value.Go = g.text
	}
	return out
}

var origins = map[blockKind]Origin{blockBarman: FromBarman, blockServer: FromServer, blockModel: FromModel}

// report files a diagnostic that belongs to a section. An error in a server or model makes that block unusable.
func (l *loader) report(s *section, d Diagnostic) {
	d.Block = s.title()
	if s.kind == blockServer {
		d.Server = s.name
	}
	if d.Severity == Error {
		message := d.Error()
		if d.Detail != "" {
			message += ": " + d.Detail
		}
		s.messages = append(s.messages, message)
	}
	l.add(d)
}

// add files a diagnostic. Fatal messages go out without a prefix, so those that Barman has no words for get one.
func (l *loader) add(d Diagnostic) {
	if d.Severity == Fatal && !strings.HasPrefix(d.Summary, "FATAL: ") && !strings.HasPrefix(d.Summary, "ERROR: ") {
		d.Summary = "FATAL: " + d.Summary
	}
	l.diags = append(l.diags, d)
}

// warnIgnored is the warning about a value that the grammar does not accept.
func (l *loader) warnIgnored(s *section, o *Option, set setting) {
	d := set.attr.file.diagnostic(Warning, set.attr.Expr.Range(),
		"Ignoring invalid configuration value '%s' for key %s in [%s] section: %s", set.shown, o.Name, s.label(), set.reason)
	d.Option = o.Name
	l.report(s, d)
}

// checkNames warns about attributes that are no options of the section.
func (l *loader) checkNames(s *section) {
	for _, name := range sortedKeys(s.attrs) {
		attr := s.attrs[name]
		o, known := Lookup(name)
		if known && o.allowedIn(s.kind) && !o.Ignored {
			if s.kind == blockBarman && o.Scope == ScopeServer {
				d := attr.file.diagnostic(Warning, attr.NameRange, "Option %q has no effect in the barman block", name)
				d.Option, d.Detail, d.LogOnly = name, "Set it in each server.", true
				l.report(s, d)
			}
			continue
		}
		d := attr.file.diagnostic(Warning, attr.NameRange, "Invalid configuration option %q in [%s] section.", name, s.label())
		d.Option = name
		switch {
		case known && o.Ignored:
			d.Detail = o.Help
		case known && o.Scope == ScopeModel && s.kind == blockServer:
			d.Detail = fmt.Sprintf("Write the block as: model %q { … }", s.name)
		case known && s.kind == blockModel && o.IsServer():
			d.Detail = "A model cannot set this option."
		case known:
			d.Detail = fmt.Sprintf("It is a %s option.", o.Scope)
		default:
			d.Suggestion = nearest(name, allowedIn(s.kind))
		}
		l.report(s, d)
	}
}
