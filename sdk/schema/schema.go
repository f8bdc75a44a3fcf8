package schema

// Type is the type of an option's value.
type Type int

// Types of options.
const (
	String Type = iota + 1
	Integer
	Number
	Bool
	StringList
	StringMap
)

// String returns the type's name as documentation writes it.
func (t Type) String() string {
	switch t {
	case String:
		return "string"
	case Integer:
		return "integer"
	case Number:
		return "number"
	case Bool:
		return "boolean"
	case StringList:
		return "list of strings"
	case StringMap:
		return "map of strings"
	}
	return "unknown type"
}

// Attribute is one option.
type Attribute struct {
	// Name is lower-case words joined by "_".
	Name string
	Type Type
	// Required options have no default and must be given.
	Required bool
	// Default is a value of the Go type that belongs to Type (string, int, float64, bool, []string,
	// map[string]string), or nil.
	Default any
	// Allowed, for String, lists the only values accepted; empty accepts all.
	Allowed []string
	// Sensitive values are never logged or shown.
	Sensitive bool
	// Deprecated, if not empty, is the warning that using the option gives.
	Deprecated string
	// Help is one or two sentences.
	Help string
}

// Schema is all options of a plugin, in the order of its documentation.
type Schema []Attribute

// Attribute returns the option with that name.
func (s Schema) Attribute(name string) (Attribute, bool) {
	for _, a := range s {
		if a.Name == name {
			return a, true
		}
	}
	return Attribute{}, false
}
