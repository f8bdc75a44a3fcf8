package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/barman-go/barman/sdk/diag"
)

// attributeName is compiled in plugins only: every command of barman links this package.
var attributeName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`) })

// Check looks for mistakes of the plugin's author: bad or repeated names, unknown types, defaults that do not fit, options
// that are required and have a default, missing help. It returns nil or all of them joined.
func (s Schema) Check() error {
	var errs []error
	seen := map[string]bool{}
	for _, a := range s {
		fail := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("option %q: "+format, append([]any{a.Name}, args...)...))
		}
		if !attributeName().MatchString(a.Name) {
			fail(`the name must be lower-case words joined by "_"`)
		}
		if seen[a.Name] {
			fail("is listed twice")
		}
		seen[a.Name] = true
		if a.Type < String || a.Type > StringMap {
			fail("has no type")
			continue
		}
		if a.Help == "" {
			fail("has no help")
		}
		if len(a.Allowed) > 0 && a.Type != String {
			fail("allowed values need type %s, not %s", String, a.Type)
		}
		if a.Default == nil {
			continue
		}
		if a.Required {
			fail("is required and has a default")
		}
		if _, problem := a.normalize(a.Default); problem != "" {
			fail("default: %s", problem)
		}
	}
	return errors.Join(errs...)
}

// Complete checks values against the schema and returns them with the defaults of those not given. Every value of the
// result has the Go type of its attribute: string, int, float64, bool, []string, map[string]string. Any error in the
// list means that the values are unusable; each diagnostic names its attribute.
func (s Schema) Complete(v Values) (Values, diag.List) {
	var found diag.List
	report := func(severity diag.Severity, name, summary, detail string) {
		found = append(found, diag.Diagnostic{
			Severity: severity, Attribute: name, Code: diag.CodeInvalidOption, Summary: summary, Detail: detail,
		})
	}
	out := Values{}
	for _, a := range s {
		value, given := v[a.Name]
		if given && value != nil {
			normal, problem := a.normalize(value)
			if problem != "" {
				report(diag.Error, a.Name, fmt.Sprintf("option %q %s", a.Name, problem), a.Help)
				continue
			}
			if a.Deprecated != "" {
				report(diag.Warning, a.Name, fmt.Sprintf("option %q is deprecated", a.Name), a.Deprecated)
			}
			out[a.Name] = normal
			continue
		}
		if a.Required {
			report(diag.Error, a.Name, fmt.Sprintf("option %q is required", a.Name), a.Help)
			continue
		}
		if a.Default != nil {
			out[a.Name], _ = a.normalize(a.Default)
		}
	}
	for _, name := range unknownNames(s, v) {
		report(diag.Error, name, fmt.Sprintf("unknown option %q", name), "options are: "+strings.Join(s.names(), ", "))
	}
	return out, found
}

// Normalized returns the schema with defaults in the Go types of their attributes, which JSON loses. A default that
// does not fit its type is left as it is, for Check to find.
func (s Schema) Normalized() Schema {
	out := make(Schema, len(s))
	for i, a := range s {
		if a.Default != nil {
			if normal, problem := a.normalize(a.Default); problem == "" {
				a.Default = normal
			}
		}
		out[i] = a
	}
	return out
}

func (s Schema) names() []string {
	names := make([]string, len(s))
	for i, a := range s {
		names[i] = a.Name
	}
	return names
}

func unknownNames(s Schema, v Values) []string {
	var names []string
	for name := range v {
		if _, known := s.Attribute(name); !known {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

// normalize returns the value in the attribute's Go type, or what is wrong with it. The problem never quotes the value
// of a sensitive option.
func (a Attribute) normalize(value any) (any, string) {
	switch a.Type {
	case String:
		s, ok := value.(string)
		if ok && len(a.Allowed) > 0 && !slices.Contains(a.Allowed, s) {
			if a.Sensitive {
				return nil, "has a value that is not allowed"
			}
			return nil, fmt.Sprintf("is %q; allowed are: %s", s, strings.Join(a.Allowed, ", "))
		}
		return s, a.mismatch(ok)
	case Integer:
		i, ok := asInt(value)
		return i, a.mismatch(ok)
	case Number:
		f, ok := asFloat(value)
		return f, a.mismatch(ok)
	case Bool:
		b, ok := value.(bool)
		return b, a.mismatch(ok)
	case StringList:
		l, ok := asStrings(value)
		return l, a.mismatch(ok)
	case StringMap:
		m, ok := asStringMap(value)
		return m, a.mismatch(ok)
	}
	return nil, "has an unknown type"
}

func (a Attribute) mismatch(ok bool) string {
	if ok {
		return ""
	}
	return "must be of type " + a.Type.String()
}

func asInt(value any) (int, bool) {
	switch n := value.(type) {
	case json.Number:
		i, err := n.Int64()
		return int(i), err == nil
	case int:
		return n, true
	case int64:
		return int(n), true
	case float64:
		return int(n), n == float64(int(n))
	}
	return 0, false
}

func asFloat(value any) (float64, bool) {
	switch n := value.(type) {
	case json.Number:
		f, err := n.Float64()
		return f, err == nil
	case float64:
		return n, true
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	}
	return 0, false
}

func asStrings(value any) ([]string, bool) {
	switch l := value.(type) {
	case []string:
		return l, true
	case []any:
		out := make([]string, len(l))
		for i, e := range l {
			s, ok := e.(string)
			if !ok {
				return nil, false
			}
			out[i] = s
		}
		return out, true
	}
	return nil, false
}

func asStringMap(value any) (map[string]string, bool) {
	switch m := value.(type) {
	case map[string]string:
		return m, true
	case map[string]any:
		out := make(map[string]string, len(m))
		for k, e := range m {
			s, ok := e.(string)
			if !ok {
				return nil, false
			}
			out[k] = s
		}
		return out, true
	}
	return nil, false
}
