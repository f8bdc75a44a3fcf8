package ini

import (
	"fmt"
	"strings"
)

// maxDepth is how deep %(option)s may nest. Source: configparser.MAX_INTERPOLATION_DEPTH.
const maxDepth = 10

// interpolate replaces %(option)s by options of the same section or of DEFAULT, and %% by %.
func interpolate(value string, lookup func(string) (string, bool), depth int) (string, error) {
	if depth > maxDepth {
		return "", fmt.Errorf("%%(…)s is nested too deeply in %q", value)
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(value, '%')
		if i < 0 {
			b.WriteString(value)
			return b.String(), nil
		}
		b.WriteString(value[:i])
		value = value[i:]
		switch {
		case strings.HasPrefix(value, "%%"):
			b.WriteByte('%')
			value = value[2:]
		case strings.HasPrefix(value, "%("):
			end := strings.Index(value, ")s")
			if end < 0 {
				return "", fmt.Errorf("%q has no closing )s", value)
			}
			name := strings.ToLower(value[2:end])
			text, ok := lookup(name)
			if !ok {
				return "", fmt.Errorf("%%(%s)s is not an option of the same section", name)
			}
			if strings.Contains(text, "%") {
				var err error
				if text, err = interpolate(text, lookup, depth+1); err != nil {
					return "", err
				}
			}
			b.WriteString(text)
			value = value[end+2:]
		default:
			return "", fmt.Errorf("a percent sign must be followed by %%%% or (, found %q", value)
		}
	}
}

// resolved returns the effective value of an option: interpolated twice, as Barman does, and without the quotes around it.
func (f *file) resolved(s *section, o *option) (string, error) {
	lookup := func(name string) (string, bool) {
		if other := s.find(name); other != nil {
			return other.value, true
		}
		if other := f.defaults.find(name); other != nil {
			return other.value, true
		}
		return "", false
	}
	once, err := interpolate(o.value, lookup, 1)
	if err != nil {
		return o.value, err
	}
	twice, err := interpolate(once, lookup, 1)
	if err != nil {
		// A file that fails here stops Barman; what was meant is the value after one pass.
		return once, err
	}
	return unquote(twice), nil
}

// unquote removes one pair of matching quotes around the whole value.
func unquote(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}
