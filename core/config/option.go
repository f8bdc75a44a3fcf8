package config

import (
	"slices"
	"strings"
	"sync"
)

// Scope tells in which block an option may be written.
type Scope int

// Scopes.
const (
	// ScopeGlobal options belong to the barman block only.
	ScopeGlobal Scope = iota + 1
	// ScopeShared options belong to a server, and in the barman block are the default of every server.
	ScopeShared
	// ScopeServer options belong to a server only. In the barman block they have no effect.
	ScopeServer
	// ScopeModel options belong to a model only.
	ScopeModel
)

// String returns the scope as the documentation writes it.
func (s Scope) String() string {
	switch s {
	case ScopeGlobal:
		return "global"
	case ScopeShared:
		return "global/server"
	case ScopeServer:
		return "server"
	case ScopeModel:
		return "model"
	}
	return "unknown"
}

// Kind is the grammar of an option's value and decides the Go type that holds it.
type Kind int

// Kinds of values, each with the Go type of Value.Go.
const (
	Text       Kind = iota + 1 // string
	Path                       // string, an absolute path
	FilePath                   // string, a path that may be relative or start with ~/
	PathList                   // []string, absolute directories; text form separated by colons
	Command                    // string, run through a shell or split like one
	ConnInfo                   // string, a libpq connection string in either form
	Boolean                    // bool
	Integer                    // int
	Interval                   // time.Duration
	Size                       // int64, bytes
	Choice                     // string, one of Option.Choices
	PluginName                 // string, one of Option.Choices or the name of an installed plugin
	ChoiceSet                  // Set, several of Option.Choices
	List                       // []string; text form separated by commas
	Limits                     // map[string]int, kB/s by tablespace name
	Level                      // CompressionLevel
	Retention                  // string, normalised; core/retention gives it its meaning
	SlotName                   // string
	Hex                        // string that starts with 0x
)

// Reaction is what happens to a value that does not fit the grammar.
type Reaction int

// Reactions.
const (
	// Free text: nothing is invalid.
	Free Reaction = iota
	// Warn ignores the value with a warning at every command; the barman block's value or the default applies.
	Warn
	// Late replaces the value by Option.Fallback; the problem goes to the log only.
	Late
	// Disable disables the server.
	Disable
	// Abort ends the program.
	Abort
)

// Option is one row of the option table. Rows are never changed after the table was built.
type Option struct {
	Name  string
	Scope Scope
	// InModel tells whether a model may set it.
	InModel bool
	Kind    Kind
	// Default is the default in text form; empty means that the option is unset unless configured.
	Default string
	// Derived describes a default that is computed from other options, such as "<barman_home>/<server name>".
	Derived string
	// Required options have no default and must be given.
	Required bool
	Invalid  Reaction
	// Fallback is the text form of the value that replaces an invalid one when Invalid is Late; empty means unset.
	Fallback string
	// Choices are the values of Choice, PluginName and ChoiceSet, in the order of the documentation.
	Choices []string
	// ExactCase: Choices are compared without folding case.
	ExactCase bool
	// EmptyUnsets: an empty text (or None) means unset without inheriting. For other options it is absent or invalid.
	EmptyUnsets bool
	// EmptyAbsent: an empty text is the same as no value at all, so the barman block's value applies.
	EmptyAbsent bool
	// UnsetWord is a value that means the same as no value, such as "none".
	UnsetWord string
	// Unit is shown in the documentation: "seconds", "kB/s", …
	Unit string
	// Area is the part of Barman that the option belongs to; Areas lists them in the order of the documentation.
	Area string
	// AppliesTo names the backup methods or the part that uses it.
	AppliesTo string
	// Help is one or two sentences.
	Help string
	// Deprecated says what to use instead.
	Deprecated string
	// Ignored options are accepted, have no effect, and give a warning.
	Ignored bool
	// Fixed options are never configured in a server; a value there is ignored without a warning.
	Fixed bool
	// Sensitive options may hold a password; it is masked wherever the value is shown.
	Sensitive bool
}

// IsServer tells whether the option has a value in every server.
func (o *Option) IsServer() bool { return o.Scope == ScopeShared || o.Scope == ScopeServer }

// IsHook tells whether the option is one of the twenty hook scripts.
func (o *Option) IsHook() bool { return o.Area == AreaHooks }

// Areas of the documentation, in its order.
const (
	AreaGlobal      = "Global options"
	AreaConnection  = "Server identity and connection"
	AreaDirectories = "Directories"
	AreaBackup      = "Backup"
	AreaArchive     = "WAL archiving"
	AreaRetention   = "Retention and monitoring"
	AreaRestore     = "Restore"
	AreaHooks       = "Hook scripts"
	AreaEnvironment = "Environment"
	AreaCloud       = "Snapshots and cloud providers"
)

// Areas returns all areas in the order of the documentation.
func Areas() []string {
	return []string{
		AreaGlobal, AreaConnection, AreaDirectories, AreaBackup, AreaArchive, AreaRetention, AreaRestore, AreaHooks,
		AreaEnvironment, AreaCloud,
	}
}

// table is the option table with its index. It is built once and never changed.
var table = sync.OnceValue(func() *optionTable {
	t := &optionTable{byName: map[string]*Option{}}
	for _, group := range [][]Option{
		globalOptions(), connectionOptions(), directoryOptions(), backupOptions(), archiveOptions(), retentionOptions(),
		restoreOptions(), hookOptions(), environmentOptions(), cloudOptions(),
	} {
		for _, o := range group {
			t.all = append(t.all, &o)
			t.byName[o.Name] = &o
		}
	}
	return t
})

type optionTable struct {
	all    []*Option
	byName map[string]*Option
}

// Options returns the whole table in the order of the documentation. The rows are shared: do not change them.
func Options() []*Option { return slices.Clone(table().all) }

// Lookup finds an option by its name, which is lower-case.
func Lookup(name string) (*Option, bool) {
	o, ok := table().byName[name]
	return o, ok
}

// allowedIn lists the names of the options that may be written in a kind of block, for did-you-mean.
func allowedIn(block blockKind) []string {
	var names []string
	for _, o := range table().all {
		if o.allowedIn(block) && !o.Fixed && !o.Ignored {
			names = append(names, o.Name)
		}
	}
	return names
}

func (o *Option) allowedIn(block blockKind) bool {
	switch block {
	case blockBarman:
		return o.Scope != ScopeModel
	case blockServer:
		return o.IsServer()
	case blockModel:
		return o.Scope == ScopeModel || o.InModel
	}
	return false
}

// blockKind is the type of a top-level block that holds options.
type blockKind string

const (
	blockBarman blockKind = "barman"
	blockServer blockKind = "server"
	blockModel  blockKind = "model"
	// blockPlugin is a plugin block at the top level. It holds no options of the table; its section's name is its labels.
	blockPlugin blockKind = "plugin"
)

// choiceText is the list of choices as messages show it.
func choiceText(choices []string) string {
	return "'" + strings.Join(choices, "', '") + "'"
}
