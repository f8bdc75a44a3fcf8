package backuphost

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Server is an HCL block of a server. Values are strings, numbers, booleans, lists of strings, or HCL; Extra is nested blocks.
func Server(name string, options map[string]any, extra ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "server %q {\n", name)
	for _, option := range slices.Sorted(maps.Keys(options)) {
		fmt.Fprintf(&b, "  %s = %s\n", option, value(options[option]))
	}
	for _, block := range extra {
		fmt.Fprintf(&b, "%s\n", block)
	}
	b.WriteString("}\n")
	return b.String()
}

func value(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%q", v)
	case []string:
		words := make([]string, len(v))
		for i, w := range v {
			words[i] = fmt.Sprintf("%q", w)
		}
		return "[" + strings.Join(words, ", ") + "]"
	}
	return fmt.Sprint(v)
}
