package pyliteral

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Format returns the literal of v as Python's repr() prints it. Accepted are nil, bool, int, int64, float64, string,
// []string, []any, Tuple and Dict; infinities and NaN are refused because Python cannot read them back.
func Format(v any) (string, error) {
	var b strings.Builder
	if err := format(&b, v); err != nil {
		return "", err
	}
	return b.String(), nil
}

func format(b *strings.Builder, v any) error {
	switch v := v.(type) {
	case nil:
		b.WriteString("None")
	case bool:
		if v {
			b.WriteString("True")
		} else {
			b.WriteString("False")
		}
	case int:
		b.WriteString(strconv.Itoa(v))
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return fmt.Errorf("%v has no Python literal", v)
		}
		b.WriteString(FormatFloat(v))
	case string:
		quote(b, v)
	case []string:
		return formatSequence(b, "[", "]", len(v), func(i int) any { return v[i] })
	case []any:
		return formatSequence(b, "[", "]", len(v), func(i int) any { return v[i] })
	case Tuple:
		end := ")"
		if len(v) == 1 {
			end = ",)"
		}
		return formatSequence(b, "(", end, len(v), func(i int) any { return v[i] })
	case Dict:
		return formatDict(b, v)
	default:
		return fmt.Errorf("a value of type %T has no Python literal", v)
	}
	return nil
}

func formatSequence(b *strings.Builder, begin, end string, n int, at func(int) any) error {
	b.WriteString(begin)
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		if err := format(b, at(i)); err != nil {
			return err
		}
	}
	b.WriteString(end)
	return nil
}

func formatDict(b *strings.Builder, d Dict) error {
	b.WriteByte('{')
	for i, pair := range d {
		if i > 0 {
			b.WriteString(", ")
		}
		if err := format(b, pair.Key); err != nil {
			return err
		}
		b.WriteString(": ")
		if err := format(b, pair.Value); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

// Quote returns the literal of s: in single quotes, unless s holds a single quote and no double quote.
func Quote(s string) string {
	var b strings.Builder
	quote(&b, s)
	return b.String()
}

func quote(b *strings.Builder, s string) {
	mark := byte('\'')
	if strings.IndexByte(s, '\'') >= 0 && strings.IndexByte(s, '"') < 0 {
		mark = '"'
	}
	b.WriteByte(mark)
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(b, `\udc%02x`, s[i])
		case r == rune(mark) || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			fmt.Fprintf(b, `\U%08x`, r)
		}
		i += size
	}
	b.WriteByte(mark)
}

// FormatFloat returns f as Python's repr() prints it: the shortest digits that read back as f, always with a point or
// an exponent, and with an exponent only below 1e-4 and from 1e16 on. Infinities and NaN come out as inf, -inf and
// nan.
func FormatFloat(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	}
	scientific := strconv.FormatFloat(f, 'e', -1, 64)
	exponent, err := strconv.Atoi(scientific[strings.IndexByte(scientific, 'e')+1:])
	if err != nil || exponent < -4 || exponent >= 16 {
		return scientific
	}
	plain := strconv.FormatFloat(f, 'f', -1, 64)
	if strings.IndexByte(plain, '.') < 0 {
		plain += ".0"
	}
	return plain
}
