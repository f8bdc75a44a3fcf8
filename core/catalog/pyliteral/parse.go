package pyliteral

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// SyntaxError says where a text stops being a Python literal.
type SyntaxError struct {
	// Offset is the number of bytes before the fault.
	Offset int
	// Reason is what was expected or found.
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("not a Python literal: %s at byte %d", e.Reason, e.Offset+1)
}

// maxDepth bounds the nesting of lists, so that a damaged file cannot exhaust the stack.
const maxDepth = 100

// Parse reads one literal. Blanks around it are ignored; anything else after it is an error. Errors are *SyntaxError.
func Parse(text string) (any, error) {
	p := &parser{text: text}
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	p.blanks()
	if p.pos < len(p.text) {
		return nil, p.fault("unexpected text after the value")
	}
	return v, nil
}

type parser struct {
	text string
	pos  int
}

func (p *parser) fault(format string, args ...any) error {
	return &SyntaxError{Offset: p.pos, Reason: fmt.Sprintf(format, args...)}
}

// peek returns the byte at the position, 0 at the end.
func (p *parser) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

func (p *parser) blanks() {
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n\f", p.text[p.pos]) >= 0 {
		p.pos++
	}
}

func (p *parser) value(depth int) (any, error) {
	p.blanks()
	if depth > maxDepth {
		return nil, p.fault("too deeply nested")
	}
	switch c := p.peek(); {
	case p.pos >= len(p.text):
		return nil, p.fault("the text ends")
	case c == '\'' || c == '"':
		return p.str()
	case (c == 'u' || c == 'U') && p.pos+1 < len(p.text) && (p.text[p.pos+1] == '\'' || p.text[p.pos+1] == '"'):
		p.pos++ // the prefix that Python 2 printed
		return p.str()
	case c == '[':
		items, _, err := p.items(']', depth)
		return items, err
	case c == '(':
		return p.tuple(depth)
	case c == '{':
		return p.dict(depth)
	case c == '+' || c == '-' || c == '.' || c >= '0' && c <= '9':
		return p.number()
	}
	return p.constant()
}

var constants = []struct {
	word  string
	value any
}{{"None", nil}, {"True", true}, {"False", false}}

func (p *parser) constant() (any, error) {
	for _, c := range constants {
		if rest, ok := strings.CutPrefix(p.text[p.pos:], c.word); ok && (rest == "" || !isWord(rest[0])) {
			p.pos += len(c.word)
			return c.value, nil
		}
	}
	return nil, p.fault("unexpected %q", p.peek())
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// items reads comma-separated values up to end; comma reports whether the last one was followed by a comma.
func (p *parser) items(end byte, depth int) (list []any, comma bool, err error) {
	p.pos++
	list = []any{}
	for {
		p.blanks()
		if p.peek() == end {
			p.pos++
			return list, comma, nil
		}
		if len(list) > 0 && !comma {
			return nil, false, p.fault("expected ',' or %q", end)
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, false, err
		}
		list = append(list, v)
		comma = p.comma()
	}
}

func (p *parser) comma() bool {
	p.blanks()
	if p.peek() != ',' {
		return false
	}
	p.pos++
	return true
}

// tuple reads a tuple, or the value inside parentheses that only group.
func (p *parser) tuple(depth int) (any, error) {
	list, comma, err := p.items(')', depth)
	if err != nil {
		return nil, err
	}
	if len(list) == 1 && !comma {
		return list[0], nil
	}
	return Tuple(list), nil
}

func (p *parser) dict(depth int) (any, error) {
	p.pos++
	d := Dict{}
	comma := true
	for {
		p.blanks()
		if p.peek() == '}' {
			p.pos++
			return d, nil
		}
		if !comma {
			return nil, p.fault("expected ',' or '}'")
		}
		key, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		p.blanks()
		if p.peek() != ':' {
			return nil, p.fault("expected ':'")
		}
		p.pos++
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		d = append(d, Pair{Key: key, Value: v})
		comma = p.comma()
	}
}

// number reads a decimal integer or a float. Integers that do not fit 64 bits are refused: nothing in a catalog is
// that large.
func (p *parser) number() (any, error) {
	start := p.pos
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		sign := (c == '+' || c == '-') && (p.pos == start || p.text[p.pos-1] == 'e' || p.text[p.pos-1] == 'E')
		if !sign && c != '.' && c != 'e' && c != 'E' && (c < '0' || c > '9') {
			break
		}
		p.pos++
	}
	text := p.text[start:p.pos]
	if !strings.ContainsAny(text, ".eE") {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			p.pos = start
			return nil, p.fault("%q is not a 64-bit integer", text)
		}
		return n, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || math.IsInf(f, 0) {
		p.pos = start
		return nil, p.fault("%q is not a number", text)
	}
	return f, nil
}
