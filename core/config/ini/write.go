package ini

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/barman-go/barman/core/config"
)

// write renders all sections. Options keep their order and their comments.
func (im *importer) write(main string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Converted from %s.\n", strconv.Quote(main))
	for _, s := range im.sections {
		kind := im.kind(s)
		b.WriteByte('\n')
		writeComments(&b, "", s.comments)
		if kind == "barman" {
			b.WriteString("barman {\n")
		} else {
			fmt.Fprintf(&b, "%s %s {\n", kind, quote(s.name))
		}
		for _, o := range s.options {
			im.writeOption(&b, s, o)
		}
		b.WriteString("}\n")
	}
	if len(im.trailing) > 0 {
		b.WriteByte('\n')
		writeComments(&b, "", im.trailing)
	}
	return b.Bytes()
}

// kind is the type of HCL block that a section becomes.
func (im *importer) kind(s *section) string {
	if s.name == "barman" {
		return "barman"
	}
	if o := s.find("model"); o != nil {
		isModel, err := config.ParseBool(o.value)
		if err != nil {
			im.warn(o, s.name, "Invalid value %q of option \"model\" in [%s]: %v; the section is written as a server", o.value, s.name, err)
		}
		if isModel {
			return "model"
		}
	}
	return "server"
}

func writeComments(b *bytes.Buffer, indent string, comments []string) {
	for _, c := range comments {
		for line := range strings.SplitSeq(c, "\n") {
			b.WriteString(strings.TrimRight(indent+"# "+line, " ") + "\n")
		}
	}
}

func (im *importer) writeOption(b *bytes.Buffer, s *section, o *option) {
	writeComments(b, "  ", o.comments)
	row, known := config.Lookup(o.key)
	switch {
	case o.key == "model":
		return // the block's type says it
	case o.key == "configuration_files_directory":
		// Its files are part of this file now, and are of no use as *.conf.
		writeComments(b, "  ", []string{o.key + " = " + o.value + " (its files are merged into this one)"})
		return
	case !known, row.Ignored, row.Fixed:
		im.warn(o, s.name, "Invalid configuration option %q in [%s] section.", o.key, s.name)
		writeComments(b, "  ", []string{"not an option: " + o.key + " = " + o.value})
		return
	}
	fmt.Fprintf(b, "  %s = %s\n", o.key, im.value(row, s, o))
}

// value is the option's value in its natural HCL form when that means the same, else as text.
func (im *importer) value(row *config.Option, s *section, o *option) string {
	if o.value == "" || o.value == "None" {
		return quote(o.value)
	}
	parsed, err := row.Parse(o.value)
	if err != nil {
		im.warn(o, s.name, "Invalid value '%s' for option %q in [%s]: %v", o.value, o.key, s.name, err)
		return quote(o.value)
	}
	switch v := parsed.(type) {
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case config.CompressionLevel:
		if v.Name == "" {
			return strconv.Itoa(v.Number)
		}
		return quote(v.Name)
	case []string:
		return list(v)
	case config.Set:
		return list(v)
	case map[string]int:
		var parts []string
		for _, rule := range strings.FieldsFunc(o.value, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) }) {
			name, _, _ := strings.Cut(rule, ":")
			parts = append(parts, fmt.Sprintf("%s = %d", quote(name), v[name]))
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	}
	return quote(o.value)
}

func list(items []string) string {
	out := make([]string, len(items))
	for i, s := range items {
		out[i] = quote(s)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// quote writes an HCL string in which nothing is interpolated.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case (r == '$' || r == '%') && strings.HasPrefix(s[i+1:], "{"):
			b.WriteRune(r)
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
