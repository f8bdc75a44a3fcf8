package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"sort"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Field is a member of an Object.
type Field struct {
	Name  string
	Value any
}

// Object is a JSON object whose members keep their order.
type Object []Field

// EncodeJSON writes v as the JSON that scripts written for Barman expect: ", " and ": " as separators, everything
// outside ASCII escaped, keys of maps sorted, floats in their shortest form with a decimal point, no final newline.
// With indent > 0 every member stands on its own line.
//
// v is made of nil, bool, string, integers, floats, json.Number, []any, []string, map[string]any, Object, and anything
// that encoding/json can turn into these.
func EncodeJSON(w io.Writer, v any, indent int) error {
	var b bytes.Buffer
	if err := encode(&b, v, indent, 0); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

func encode(b *bytes.Buffer, v any, indent, depth int) error {
	switch x := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(x))
	case string:
		encodeString(b, x)
	case int:
		b.WriteString(strconv.Itoa(x))
	case int64:
		b.WriteString(strconv.FormatInt(x, 10))
	case float64:
		b.WriteString(floatText(x))
	case json.Number:
		b.WriteString(x.String())
	case []string:
		items := make([]any, len(x))
		for i, s := range x {
			items[i] = s
		}
		return encodeList(b, items, indent, depth)
	case []any:
		return encodeList(b, x, indent, depth)
	case Object:
		return encodeObject(b, x, indent, depth)
	case map[string]any:
		return encodeObject(b, sortedFields(x), indent, depth)
	default:
		return encodeOther(b, v, indent, depth)
	}
	return nil
}

// encodeOther goes through encoding/json, which knows struct tags and Marshalers.
func encodeOther(b *bytes.Buffer, v any, indent, depth int) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %T: %w", v, err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var plain any
	if err := dec.Decode(&plain); err != nil {
		return fmt.Errorf("encode %T: %w", v, err)
	}
	return encode(b, plain, indent, depth)
}

func sortedFields(m map[string]any) Object {
	o := make(Object, 0, len(m))
	for k, v := range m {
		o = append(o, Field{k, v})
	}
	sort.Slice(o, func(i, j int) bool { return o[i].Name < o[j].Name })
	return o
}

func encodeObject(b *bytes.Buffer, o Object, indent, depth int) error {
	if len(o) == 0 {
		b.WriteString("{}")
		return nil
	}
	b.WriteByte('{')
	for i, f := range o {
		separate(b, i, indent, depth+1)
		encodeString(b, f.Name)
		b.WriteString(": ")
		if err := encode(b, f.Value, indent, depth+1); err != nil {
			return err
		}
	}
	newline(b, indent, depth)
	b.WriteByte('}')
	return nil
}

func encodeList(b *bytes.Buffer, list []any, indent, depth int) error {
	if len(list) == 0 {
		b.WriteString("[]")
		return nil
	}
	b.WriteByte('[')
	for i, v := range list {
		separate(b, i, indent, depth+1)
		if err := encode(b, v, indent, depth+1); err != nil {
			return err
		}
	}
	newline(b, indent, depth)
	b.WriteByte(']')
	return nil
}

func separate(b *bytes.Buffer, i, indent, depth int) {
	if i > 0 {
		b.WriteByte(',')
		if indent == 0 {
			b.WriteByte(' ')
		}
	}
	newline(b, indent, depth)
}

func newline(b *bytes.Buffer, indent, depth int) {
	if indent > 0 {
		b.WriteByte('\n')
		b.WriteString(strings.Repeat(" ", indent*depth))
	}
}

func encodeString(b *bytes.Buffer, s string) {
	b.WriteByte('"')
	for _, r := range s {
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
		case r == '\b':
			b.WriteString(`\b`)
		case r == '\f':
			b.WriteString(`\f`)
		case r < 0x20 || r > 0x7e && r <= 0xffff:
			fmt.Fprintf(b, `\u%04x`, r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(b, `\u%04x\u%04x`, hi, lo)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}

func floatText(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
