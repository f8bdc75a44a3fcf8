package config

import "slices"

// Config is a whole configuration.
type Config struct {
	// Path is the main file as it was named: relative stays relative. Hooks get it as BARMAN_CONFIGURATION.
	Path string
	// Files are all files read, in order.
	Files  []string
	Global *Global
	// Servers and Models are sorted by name.
	Servers []*Server
	Models  []*Model
	// Plugins are the plugin blocks at the top level of the files.
	Plugins []*PluginBlock
	// Errors are mistakes that concern several servers, such as a shared directory. Every command that looks up servers
	// prints them and ends.
	Errors []string
}

// Global are the options of the barman block.
type Global struct {
	BarmanHome                  string `option:"barman_home"`
	LockDirectory               string `option:"barman_lock_directory"`
	LockDirectoryCleanup        bool   `option:"lock_directory_cleanup"`
	BarmanUser                  string `option:"barman_user"`
	ConfigChangesQueue          string `option:"config_changes_queue"`
	ConfigurationFilesDirectory string `option:"configuration_files_directory"`
	LogFile                     string `option:"log_file"`
	// LogLevel is a name in upper case, or a number.
	LogLevel string `option:"log_level"`
	// PathPrefix is the barman block's path_prefix: absolute directories.
	PathPrefix []string

	values map[string]Value
}

// Value returns the value of a global option, or of a server option that the barman block gives. False: neither.
func (g *Global) Value(name string) (Value, bool) {
	v, ok := g.values[name]
	return v, ok
}

// Values returns the global options, and the server options that the barman block gives, sorted by name.
func (g *Global) Values() []Value { return sortedValues(g.values) }

// Model is a set of values that may be laid over the servers of a cluster.
type Model struct {
	Name    string
	Cluster string

	values  map[string]Value
	defined Range
}

// Values returns what the model sets, sorted by name.
func (m *Model) Values() []Value { return sortedValues(m.values) }

// Server finds a server by name.
func (c *Config) Server(name string) (*Server, bool) {
	for _, s := range c.Servers {
		if s.Name == name {
			return s, true
		}
	}
	return nil, false
}

// Model finds a model by name.
func (c *Config) Model(name string) (*Model, bool) {
	for _, m := range c.Models {
		if m.Name == name {
			return m, true
		}
	}
	return nil, false
}

// ServerNames returns the names of all servers, sorted.
func (c *Config) ServerNames() []string {
	names := make([]string, len(c.Servers))
	for i, s := range c.Servers {
		names[i] = s.Name
	}
	return names
}

func sortedValues(m map[string]Value) []Value {
	names := sortedKeys(m)
	out := make([]Value, 0, len(names))
	for _, n := range names {
		out = append(out, m[n])
	}
	return slices.Clip(out)
}
