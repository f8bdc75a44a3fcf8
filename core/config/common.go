package config

import "maps"

// common is what servers have without a word of their own. It is computed once: a host may have hundreds of servers, and
// every command reads them all.
type common struct {
	// options are all options of servers, in the order of the table.
	options []*Option
	// values are of the barman block and of the table. An option is missing when each server has to judge it.
	values map[string]Value
	// server has the values in its fields.
	server Server
	fields binding
}

func (l *loader) commonOf(g *Global) *common {
	c := &common{values: map[string]Value{}, fields: bindingOf[Server]()}
	for _, o := range Options() {
		if !o.IsServer() {
			continue
		}
		c.options = append(c.options, o)
		set, written := l.shared[o.Name]
		if written && set.outcome == rejected && (o.Invalid == Late || o.Invalid == Disable) {
			continue // the message names the server
		}
		c.values[o.Name] = l.resolveOption(nil, nil, o)
	}
	c.server.LockDirectory, c.server.BarmanHome = g.LockDirectory, g.BarmanHome
	c.fields.set(&c.server, c.values)
	return c
}

// serverValues are a server's values: its own before the common ones.
type serverValues struct{ own, common map[string]Value }

func (v serverValues) get(name string) (Value, bool) {
	if x, ok := v.own[name]; ok {
		return x, true
	}
	x, ok := v.common[name]
	return x, ok
}

// of is get for an option that the table has.
func (v serverValues) of(name string) Value {
	x, _ := v.get(name)
	return x
}

// text is the value of an option that is a text, or empty.
func (v serverValues) text(name string) string {
	s, _ := v.of(name).Go.(string)
	return s
}

func (v serverValues) all() map[string]Value {
	all := maps.Clone(v.common)
	maps.Copy(all, v.own)
	return all
}
