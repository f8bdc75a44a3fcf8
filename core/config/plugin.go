package config

import (
	"math"
	"math/big"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/barman-go/barman/core/pattern"
	"github.com/barman-go/barman/sdk/hook"
)

// PluginBlock is what the configuration says about one plugin: a `plugin "compress" "zstd" { … }` block at the top
// level or in a server, or both laid over each other. Its options stay unread until DecodePlugin.
type PluginBlock struct {
	// Type is "transfer", "compress" or "hook".
	Type, Name string
	// Path is the absolute path of the executable, or empty to look for it.
	Path string
	// SHA256 pins the executable: 64 lower-case hexadecimal digits, or empty.
	SHA256 string
	// PassEnv are the names of environment variables that the plugin may see.
	PassEnv []string
	// Range is the header of the innermost block.
	Range Range
	// Server is the server that the block belongs to, or empty.
	Server string

	// bodies are the config blocks, outermost first: later ones override attribute by attribute.
	bodies []pluginBody
}

// pluginBody is one unread config block and what its expressions may refer to.
type pluginBody struct {
	body  *hclsyntax.Body
	eval  *hcl.EvalContext
	file  *sourceFile
	block string
}

// Plugin returns what is configured about a plugin for a server, or with a nil server for all servers: the server's
// block laid over the top-level one. Nil means that nothing is configured, which is no error.
func (c *Config) Plugin(s *Server, pluginType, name string) *PluginBlock {
	layers := slices.Clone(c.Plugins)
	if s != nil {
		layers = append(layers, s.plugins...)
	}
	return overlay(layers, pluginType, name)
}

// PluginsOf returns the blocks of all plugins that the configuration mentions for a server, sorted by type and name.
func (c *Config) PluginsOf(s *Server) []*PluginBlock {
	layers := slices.Clone(c.Plugins)
	if s != nil {
		layers = append(layers, s.plugins...)
	}
	var out []*PluginBlock
	seen := map[string]bool{}
	for _, p := range layers {
		if key := p.Type + " " + p.Name; !seen[key] {
			seen[key] = true
			out = append(out, overlay(layers, p.Type, p.Name))
		}
	}
	slices.SortFunc(out, func(a, b *PluginBlock) int { return strings.Compare(a.Type+" "+a.Name, b.Type+" "+b.Name) })
	return out
}

// overlay joins all layers that are about one plugin; later ones win.
func overlay(layers []*PluginBlock, pluginType, name string) *PluginBlock {
	var out *PluginBlock
	for _, p := range layers {
		if p.Type != pluginType || p.Name != name {
			continue
		}
		if out == nil {
			out = &PluginBlock{Type: pluginType, Name: name}
		}
		if p.Path != "" {
			// A pin belongs to the executable it was given for.
			out.Path, out.SHA256 = p.Path, ""
		}
		if p.SHA256 != "" {
			out.SHA256 = p.SHA256
		}
		if p.PassEnv != nil {
			out.PassEnv = p.PassEnv
		}
		if p.Server != "" {
			out.Server = p.Server
		}
		out.Range = p.Range
		out.bodies = append(out.bodies, p.bodies...)
	}
	return out
}

// readNested reads the hook and plugin blocks of a server.
func (l *loader) readNested(cfg *Config, s *Server, sec *section) {
	var hooks []topBlock
	for _, b := range sec.nested {
		switch b.Type {
		case "plugin":
			if p := l.pluginBlock(sec, b, Error); p != nil {
				s.plugins = append(s.plugins, p)
			}
		case "hook":
			hooks = append(hooks, b)
		default:
			d := b.file.diagnostic(Error, b.DefRange(), "Unknown block %q", b.Type)
			d.Suggestion = nearest(b.Type, []string{"hook", "plugin"})
			if o, ok := Lookup(b.Type); ok && o.Kind == Limits {
				d.Detail = "Write it with an equals sign: " + b.Type + " = { … }"
			}
			l.report(sec, d)
		}
	}
	for _, b := range hooks { // after the plugin blocks, wherever those stand
		if h := l.hookBlock(cfg, s, sec, b); h != nil {
			s.Hooks = append(s.Hooks, *h)
		}
	}
}

var (
	sha256Pattern  = pattern.New(`^[0-9a-fA-F]{64}$`)
	envNamePattern = pattern.New(`^[A-Za-z_][A-Za-z0-9_]*$`)
	pluginTypes    = []string{"transfer", "compress", "hook"}
)

// pluginBlock reads a plugin block without looking into its config. Nil: it was reported.
func (l *loader) pluginBlock(sec *section, b topBlock, severity Severity) *PluginBlock {
	fail := func(at hcl.Range, format string, args ...any) *PluginBlock {
		l.report(sec, b.file.diagnostic(severity, at, format, args...))
		return nil
	}
	if len(b.Labels) != 2 {
		return fail(b.DefRange(), `Write a plugin block as: plugin "type" "name" { … }`)
	}
	p := &PluginBlock{Type: b.Labels[0], Name: b.Labels[1], Range: rangeOf(b.DefRange())}
	if sec.kind == blockServer {
		p.Server = sec.name
	}
	if !slices.Contains(pluginTypes, p.Type) {
		return fail(b.LabelRanges[0], "Unknown plugin type %q (use %s)", p.Type, choiceText(pluginTypes))
	}
	if !pluginNamePattern.MatchString(p.Name) {
		return fail(b.LabelRanges[1], "Plugin name %q may only contain lower-case letters, digits, '.', '_' and '-'", p.Name)
	}
	for _, name := range sortedKeys(b.Body.Attributes) {
		attr := attribute{Attribute: b.Body.Attributes[name], file: b.file}
		if !l.pluginAttribute(p, sec, attr, severity) {
			return nil
		}
	}
	if !l.configBodies(p, sec, b, severity) {
		return nil
	}
	return p
}

// pluginAttribute reads path, sha256 or pass_env.
func (l *loader) pluginAttribute(p *PluginBlock, sec *section, attr attribute, severity Severity) bool {
	fail := func(at hcl.Range, format string, args ...any) bool {
		l.report(sec, attr.file.diagnostic(severity, at, format, args...))
		return false
	}
	known := []string{"path", "sha256", "pass_env"}
	if !slices.Contains(known, attr.Name) {
		d := attr.file.diagnostic(severity, attr.NameRange, "Unknown option %q of a plugin block", attr.Name)
		d.Suggestion = nearest(attr.Name, known)
		d.Detail = "Options of the plugin itself belong into: config { … }"
		l.report(sec, d)
		return false
	}
	v, found := evaluate(attr.Expr, l.evalContext(attr.file, p.Server))
	if found.HasErrors() {
		for _, d := range attr.file.fromHCL(severity, found) {
			l.report(sec, d)
		}
		return false
	}
	g, err := givenFrom(v)
	switch {
	case err != nil:
		return fail(attr.Expr.Range(), "Invalid %s: %v", attr.Name, err)
	case g.null:
		return true
	case attr.Name == "pass_env":
		if g.list == nil || slices.ContainsFunc(g.list, func(s string) bool { return !envNamePattern.MatchString(s) }) {
			return fail(attr.Expr.Range(), "Invalid pass_env: write a list of names of environment variables")
		}
		p.PassEnv = g.list
	case !g.isText:
		return fail(attr.Expr.Range(), "Invalid %s: write a text in double quotes", attr.Name)
	case attr.Name == "path":
		if !filepath.IsAbs(g.text) {
			return fail(attr.Expr.Range(), "Invalid path %q: must be an absolute path", g.text)
		}
		p.Path = g.text
	case !sha256Pattern.MatchString(g.text):
		return fail(attr.Expr.Range(), "Invalid sha256: must be 64 hexadecimal digits, as sha256sum prints them")
	default:
		p.SHA256 = strings.ToLower(g.text)
	}
	return true
}

// configBodies keeps the config block of a plugin or hook block.
func (l *loader) configBodies(p *PluginBlock, sec *section, b topBlock, severity Severity) bool {
	for i, c := range b.Body.Blocks {
		if c.Type != "config" || len(c.Labels) > 0 || i > 0 {
			d := b.file.diagnostic(severity, c.DefRange(), "Unknown block %q", c.Type)
			d.Detail = "A " + b.Type + " block holds at most one: config { … }"
			l.report(sec, d)
			return false
		}
		p.bodies = append(p.bodies, pluginBody{
			body: c.Body, eval: l.evalContext(b.file, p.Server), file: b.file, block: strings.Join(append([]string{b.Type}, quoted(b.Labels)...), " "),
		})
	}
	return true
}

func quoted(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = `"` + w + `"`
	}
	return out
}

// hookAttributes are the options of a hook block itself.
var hookAttributes = map[string]struct {
	// form is what may be written.
	form string
	// into takes a value that is not null; false means that it is not of the form.
	into func(*HookBlock, cty.Value) bool
}{
	"retry": {"true or false", func(h *HookBlock, v cty.Value) bool {
		if v.Type() != cty.Bool {
			return false
		}
		h.Retry = v.True()
		return true
	}},
	"timeout": {"a whole number of seconds, or 0 for no limit", func(h *HookBlock, v cty.Value) bool {
		if v.Type() != cty.Number {
			return false
		}
		seconds, accuracy := v.AsBigFloat().Int64()
		h.Timeout = time.Duration(seconds) * time.Second
		return accuracy == big.Exact && seconds >= 0 && seconds <= math.MaxInt32
	}},
}

// hookBlock reads `hook "post_backup" "webhook" { retry = true  timeout = 60  config { … } }`. A hook that is misread must not be
// skipped, since it may guard something: any mistake disables the server.
func (l *loader) hookBlock(cfg *Config, s *Server, sec *section, b topBlock) *HookBlock {
	fail := func(at hcl.Range, suggestion, format string, args ...any) *HookBlock {
		d := b.file.diagnostic(Error, at, format, args...)
		d.Suggestion = suggestion
		l.report(sec, d)
		return nil
	}
	if len(b.Labels) != 2 {
		return fail(b.DefRange(), "", `Write a hook block as: hook "post_backup" "plugin" { … }`)
	}
	phase, event, _ := strings.Cut(b.Labels[0], "_")
	if !slices.Contains(hookPhases(), phase) || !slices.Contains(HookEvents(), event) {
		var all []string
		for _, e := range HookEvents() {
			all = append(all, hook.PhasePre+"_"+e, hook.PhasePost+"_"+e)
		}
		return fail(b.LabelRanges[0], nearest(b.Labels[0], all), "Unknown hook event %q (use %s)", b.Labels[0], choiceText(all))
	}
	name := b.Labels[1]
	if !pluginNamePattern.MatchString(name) {
		return fail(b.LabelRanges[1], "", "Plugin name %q may only contain lower-case letters, digits, '.', '_' and '-'", name)
	}
	h := &HookBlock{Phase: phase, Event: event}
	for _, key := range sortedKeys(b.Body.Attributes) {
		attr := b.Body.Attributes[key]
		set, known := hookAttributes[key]
		if !known {
			return fail(attr.NameRange, nearest(key, sortedKeys(hookAttributes)),
				"Unknown option %q of a hook block; options of the plugin belong into: config { … }", key)
		}
		v, found := evaluate(attr.Expr, l.evalContext(b.file, s.Name))
		if found.HasErrors() || v.IsNull() || !set.into(h, v) {
			return fail(attr.Expr.Range(), "", "Invalid %s: write %s", key, set.form)
		}
	}
	own := &PluginBlock{Type: "hook", Name: name, Server: s.Name, Range: rangeOf(b.DefRange())}
	if !l.configBodies(own, sec, b, Error) {
		return nil
	}
	layers := append(slices.Clone(cfg.Plugins), s.plugins...)
	h.Config = overlay(append(layers, own), "hook", name)
	return h
}
