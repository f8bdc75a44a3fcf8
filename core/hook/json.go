package hook

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf16"
)

// truthy leaves out what Python takes for false: nil, false, 0 and the empty string.
func truthy(options map[string]any) map[string]any {
	out := map[string]any{}
	for name, value := range options {
		if value != nil && value != false && value != 0 && value != "" {
			out[name] = value
		}
	}
	return out
}

// pythonJSON is what Python's json.dumps(…, sort_keys=True) prints for an object of strings, booleans and ints, byte for
// byte, since scripts may compare text; an empty object gives an empty string.
func pythonJSON(object map[string]any) string {
	if len(object) == 0 {
		return ""
	}
	members := make([]string, 0, len(object))
	for _, name := range slices.Sorted(maps.Keys(object)) {
		text := fmt.Sprint(object[name])
		switch object[name].(type) {
		case bool, int, int32, int64, uint32, uint64:
		default:
			text = pythonString(text)
		}
		members = append(members, pythonString(name)+": "+text)
	}
	return "{" + strings.Join(members, ", ") + "}"
}

var jsonEscapes = map[rune]string{
	'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\f': `\f`,
}

// pythonString quotes a string in ASCII.
func pythonString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch escape, found := jsonEscapes[r]; {
		case found:
			b.WriteString(escape)
		case r >= ' ' && r <= '~':
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
