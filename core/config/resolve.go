package config

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// resolveGlobal computes the barman block. Attributes may refer to each other as barman.NAME, so each is computed after
// those it mentions.
func (l *loader) resolveGlobal() *Global {
	l.shared = map[string]setting{}
	values := map[string]Value{}
	for _, b := range l.barman.nested {
		d := b.file.diagnostic(Fatal, b.DefRange(), "Block %q is not allowed in the barman block", b.Type)
		d.Detail = "Plugin blocks stand at the top level or in a server, hook blocks in a server."
		l.report(l.barman, d)
	}
	l.checkNames(l.barman)
	visiting := map[string]bool{}
	for _, o := range Options() {
		l.resolveBarmanAttribute(o, values, visiting)
	}
	if _, ok := l.barman.attrs["barman_home"]; !ok {
		d := l.barman.file.diagnostic(Fatal, l.barman.at, "ERROR: Parameter \"barman_home\" is required in [barman] section.\n"+
			"Your configuration is missing required parameters. Exiting.")
		l.report(l.barman, d)
	}
	if l.diags.Fatal() {
		return nil
	}
	g := &Global{values: values}
	bindingOf[Global]().set(g, values)
	if prefix, ok := values["path_prefix"]; ok {
		g.PathPrefix, _ = prefix.Go.([]string)
	}
	return g
}

// resolveBarmanAttribute computes one option of the barman block after those that its expression mentions.
func (l *loader) resolveBarmanAttribute(o *Option, values map[string]Value, visiting map[string]bool) {
	if _, done := values[o.Name]; done || o.Scope == ScopeModel {
		return
	}
	if _, done := l.shared[o.Name]; done {
		return
	}
	attr, written := l.barman.attrs[o.Name]
	if written {
		visiting[o.Name] = true
		for _, name := range variablesOf(hclsyntax.Variables(attr.Expr)) {
			other, ok := Lookup(name)
			if !ok {
				continue // HCL reports it, with the place
			}
			if visiting[name] {
				d := attr.file.diagnostic(Fatal, attr.Expr.Range(), "Option %q refers to itself through barman.%s", o.Name, name)
				l.report(l.barman, d)
				l.shared[o.Name] = setting{outcome: broken, attr: attr}
				return
			}
			l.resolveBarmanAttribute(other, values, visiting)
			if l.shared[name].outcome == broken {
				l.shared[o.Name] = setting{outcome: broken, attr: attr}
				return // one message is enough
			}
		}
		delete(visiting, o.Name)
	}
	set := setting{}
	if written {
		set = l.read(l.barman, o, attr)
		l.shared[o.Name] = set
		l.judgeGlobal(o, set)
	}
	switch {
	case o.Scope == ScopeGlobal:
		v := l.globalValue(o, set, values)
		values[o.Name] = v
		if v.IsSet() {
			l.barmanVars[o.Name] = cty.StringVal(v.Text())
		}
	case set.outcome == valued:
		values[o.Name] = set.value
		l.barmanVars[o.Name] = cty.StringVal(set.shown)
	}
}

// judgeGlobal reports a value of the barman block that the grammar does not accept. Late and Disable are judged by the
// servers that inherit the value.
func (l *loader) judgeGlobal(o *Option, set setting) {
	if set.outcome != rejected {
		return
	}
	switch {
	case o.Invalid == Abort:
		d := set.attr.file.diagnostic(Fatal, set.attr.Expr.Range(),
			"FATAL: invalid value '%s' for key %s in [barman] section: %s", set.shown, o.Name, set.reason)
		d.Option = o.Name
		l.report(l.barman, d)
	case o.Name == "log_level":
		d := set.attr.file.diagnostic(Warning, set.attr.Expr.Range(), "Unknown log_level '%s', using INFO", set.shown)
		d.Option, d.LogOnly, d.Detail = o.Name, true, set.reason.Error()
		l.report(l.barman, d)
	case o.Invalid == Warn, o.Invalid == Free:
		l.warnIgnored(l.barman, o, set)
	}
}

// globalValue completes a global option with its default.
func (l *loader) globalValue(o *Option, set setting, values map[string]Value) Value {
	home, _ := values["barman_home"].Go.(string)
	if set.outcome == valued {
		v := set.value
		if text, ok := v.Go.(string); ok && o.Kind == FilePath {
			text = expandHome(text, l.opts.Home)
			if o.Name == "configuration_files_directory" && !filepath.IsAbs(text) {
				text = filepath.Join(filepath.Dir(l.path), text)
			}
			v.Go = text
		}
		return v
	}
	v := Value{Option: o}
	switch {
	case o.Name == "barman_lock_directory" && home != "":
		v.Go = home
	case o.Name == "config_changes_queue" && home != "":
		v.Go = filepath.Join(home, "cfg_changes.queue")
	case o.Default != "":
		v.Go = mustParse(o, o.Default)
	}
	return v
}

// mustParse reads a text of the option table itself.
func mustParse(o *Option, text string) any {
	v, err := o.Parse(text)
	if err != nil {
		panic(fmt.Sprintf("option table, %s: %v", o.Name, err))
	}
	if o.UnsetWord != "" && v == o.UnsetWord {
		return nil
	}
	return v
}

// resolveServers computes all servers, sorted by name.
func (l *loader) resolveServers(cfg *Config) []*Server {
	shared := l.commonOf(cfg.Global)
	servers := make([]*Server, 0, len(l.servers))
	for _, name := range sortedKeys(l.servers) {
		servers = append(servers, l.resolveServer(cfg, shared, l.servers[name]))
	}
	return servers
}

func (l *loader) resolveServer(cfg *Config, shared *common, sec *section) *Server {
	s := new(Server)
	*s = shared.server
	s.Name, s.defined, s.rejected = sec.name, rangeOf(sec.at), map[string]string{}
	s.values = serverValues{own: map[string]Value{}, common: shared.values}
	l.checkNames(sec)
	for _, o := range shared.options {
		_, written := sec.attrs[o.Name]
		if _, same := shared.values[o.Name]; written || !same {
			s.values.own[o.Name] = l.resolveOption(s, sec, o)
		}
	}
	s.derive()
	l.readNested(cfg, s, sec)
	if m, clash := l.models[sec.name]; clash && m.file != nil {
		l.report(sec, m.file.diagnostic(Error, m.at,
			"A server and a model have the same name %q", sec.name))
	}
	// Messages about the text itself come first: they explain the others.
	s.Messages = append(s.Messages, sec.messages...)
	l.applyActiveModel(cfg, s, sec)
	shared.fields.set(s, s.values.own)
	if !sec.incomplete {
		l.checkRules(s, sec)
	}
	disabled := s.values.of("disabled")
	disabled.Go = s.Disabled || len(s.Messages) > 0
	s.values.own["disabled"] = disabled
	shared.fields.set(s, s.values.own)
	return s
}

// resolveOption finds the effective value of one server option: the server's own, else the barman block's, else the
// default of the table. Without a section it is the value of servers that say nothing.
func (l *loader) resolveOption(s *Server, sec *section, o *Option) Value {
	if sec != nil {
		if attr, ok := sec.attrs[o.Name]; ok && !o.Fixed {
			if v, done := l.accept(s, sec, o, l.read(sec, o, attr), sec); done {
				return v
			}
		}
	}
	if set, ok := l.shared[o.Name]; ok && o.Scope == ScopeShared {
		if v, done := l.accept(s, sec, o, set, l.barman); done {
			return v
		}
	}
	v := Value{Option: o}
	if o.Default != "" {
		v.Go = mustParse(o, o.Default)
	} else if o.Kind == ChoiceSet {
		v.Go = Set{}
	}
	return v
}

// accept decides what a reading means for the server. False: go on with the next place.
func (l *loader) accept(s *Server, sec *section, o *Option, set setting, from *section) (Value, bool) {
	source := Source{Origin: origins[from.kind], Range: rangeOf(set.attr.SrcRange), Block: from.title()}
	switch set.outcome {
	case valued:
		return set.value, true
	case unset:
		v := Value{Option: o, Source: source}
		if o.Fallback != "" {
			v.Go = mustParse(o, o.Fallback)
		} else if o.Kind == ChoiceSet {
			v.Go = Set{}
		}
		return v, true
	case rejected:
		switch o.Invalid {
		case Late:
			return l.acceptLate(s, sec, o, set), true
		case Disable:
			s.rejected[o.Name] = set.reason.Error()
			return Value{Option: o, Go: set.value.Go, Source: source}, true
		default:
			if from == sec { // the barman block was judged once for all servers
				l.warnIgnored(sec, o, set)
			}
		}
	}
	return Value{}, false
}

// acceptLate replaces an invalid value and leaves a note for the log.
func (l *loader) acceptLate(s *Server, sec *section, o *Option, set setting) Value {
	v := Value{Option: o, Source: Source{Origin: FromRule}}
	text := fmt.Sprintf("Invalid %s %q for server %q", o.Name, set.shown, s.Name)
	var bad *badRulesError
	switch {
	case errors.As(set.reason, &bad):
		if limits, ok := set.value.Go.(map[string]int); ok && len(limits) > 0 {
			v.Go, v.Source = limits, set.value.Source
		}
		text = fmt.Sprintf("Invalid rules in tablespace_bandwidth_limit for server %q are ignored: %s", s.Name, choiceText(bad.rules))
	case o.Name == "bandwidth_limit":
		text += ` (fallback to "0")`
	case o.Name == "minimum_redundancy":
		if _, err := ParseInt(set.shown); err == nil {
			text = fmt.Sprintf("Negative value of minimum_redundancy %q for server %q", set.shown, s.Name)
		}
		text += ` (fallback to "0")`
	case o.Fallback != "":
		text = fmt.Sprintf("Unsupported %s value %q for server %q (fallback to %q)", o.Name, set.shown, s.Name, o.Fallback)
	}
	if o.Fallback != "" {
		v.Go = mustParse(o, o.Fallback)
	}
	s.rejected[o.Name] = set.reason.Error()
	d := set.attr.file.diagnostic(Warning, set.attr.Expr.Range(), "%s", text)
	d.Option, d.LogOnly = o.Name, true
	l.report(sec, d)
	return v
}

// derive fills in the defaults that depend on other options of the same server.
func (s *Server) derive() {
	set := func(name, value string) {
		if v := s.values.of(name); !v.IsSet() && value != "" && v.Source.Origin == FromDefault {
			v.Go = value
			s.values.own[name] = v
		}
	}
	set("cluster", s.Name)
	set("streaming_conninfo", s.values.text("conninfo"))
	set("backup_directory", filepath.Join(s.BarmanHome, s.Name))
	root := s.values.text("backup_directory")
	set("basebackups_directory", filepath.Join(root, "base"))
	set("errors_directory", filepath.Join(root, "errors"))
	set("incoming_wals_directory", filepath.Join(root, "incoming"))
	set("streaming_wals_directory", filepath.Join(root, "streaming"))
	set("wals_directory", filepath.Join(root, "wals"))
	set("xlogdb_directory", s.values.text("wals_directory"))
}
