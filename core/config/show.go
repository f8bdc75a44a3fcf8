package config

import "slices"

// Row is one line of `config show`.
type Row struct {
	Option string
	// Value is the text form with passwords masked.
	Value string
	// Source is "default", "rule" or FILE:LINE; Block the block it stands in, or empty.
	Source, Block string
}

// ShowGlobal lists the global options, and the defaults of servers that the barman block gives, sorted by name.
func (c *Config) ShowGlobal() []Row { return rows(c.Global.Values()) }

// Show lists the effective value of every option of a server, sorted by name.
func (s *Server) Show() []Row { return rows(s.Values()) }

// Show lists what the model sets, sorted by name.
func (m *Model) Show() []Row { return rows(m.Values()) }

func rows(values []Value) []Row {
	out := make([]Row, 0, len(values))
	for _, v := range values {
		out = append(out, Row{Option: v.Option.Name, Value: v.Redacted(), Source: v.Source.String(), Block: v.Source.Block})
	}
	return slices.Clip(out)
}
